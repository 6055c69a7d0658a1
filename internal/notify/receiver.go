package notify

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// maxAnswer bounds what is read of a receiver's answer, in bytes.
const maxAnswer = 4 << 20

// receiver is what the HTTP notifiers share: an address that may be shown, a
// token that is read again for each request, a bounded answer.
type receiver struct {
	url       *url.URL
	safe      string // for messages: a webhook's path or query is often its secret
	tokenFile string
	transport http.RoundTripper
}

func newReceiver(what, address, tokenFile string, transport http.RoundTripper) (receiver, error) {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return receiver{}, fmt.Errorf("%s url: expected http://HOST[:PORT]/… or https://…, got something else", what)
	}
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	r := receiver{url: u, safe: what + " " + u.Scheme + "://" + u.Host, tokenFile: tokenFile, transport: transport}
	if _, err := r.token(); err != nil {
		return receiver{}, err
	}
	return r, nil
}

// token returns the bearer token, or "" when none is configured. A file that
// is configured and empty is an error: the request would go out without it.
func (r receiver) token() (string, error) {
	if r.tokenFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(r.tokenFile)
	if err != nil {
		return "", fmt.Errorf("%s: token file: %w", r.safe, err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return "", fmt.Errorf("%s: token file %s: expected one token", r.safe, r.tokenFile)
	}
	return token, nil
}

// RoundTrip bounds the answer.
func (r receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// CloseIdleConnections ends what keep-alive left open.
func (r receiver) CloseIdleConnections() {
	if c, ok := r.transport.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// plain drops the request line that net/http puts before an error, because it
// shows the whole URL.
func plain(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}
