package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
)

// remote is sluiced's API, for people who have no access to the store.
type remote struct {
	base           string // without a slash at the end
	user, password string
	client         *http.Client
}

// Variables of the environment for it; names and passwords have no place on a command line.
const (
	envAPI         = "SLUICE_API"
	envAPIUser     = "SLUICE_API_USER"
	envAPIPassword = "SLUICE_API_PASSWORD"
	envAPICA       = "SLUICE_API_CACERT"
	envAPICert     = "SLUICE_API_CLIENT_CERT"
	envAPIKey      = "SLUICE_API_CLIENT_KEY"
)

const (
	// answerWithin is how long an answer may take, besides what a verb waits for the leader.
	answerWithin = 20 * time.Second
	// mostAnswer is how many bytes one may have.
	mostAnswer = 64 << 20
)

// openAPI reads where the API is and who asks; it asks nothing yet.
func openAPI(address string, getenv func(string) string) (*remote, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, usage("--api %q: expected the URL of sluiced, such as http://127.0.0.1:9631", address)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, usage("--api %s: expected no more than scheme, host and path; who you are is said by %s and %s", u.Redacted(), envAPIUser, envAPIPassword)
	}
	r := &remote{base: strings.TrimSuffix(address, "/"), user: getenv(envAPIUser), password: getenv(envAPIPassword)}
	if r.password != "" && u.Scheme == "http" && !ofThisHost(u.Hostname()) {
		return nil, usage("--api %s: a password would go over the network for everybody to read: expected https", address)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if transport.TLSClientConfig, err = tlsOf(getenv); err != nil {
		return nil, err
	}
	r.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return r, nil
}

func ofThisHost(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

func tlsOf(getenv func(string) string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file := getenv(envAPICA); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", envAPICA, err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: %s: expected certificates in PEM", envAPICA, file)
		}
	}
	cert, key := getenv(envAPICert), getenv(envAPIKey)
	if cert == "" && key == "" {
		return c, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", envAPICert, envAPIKey, err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// Close lets connections go.
func (r *remote) Close() { r.client.CloseIdleConnections() }

// unreachable says that the API gave no answer that can be used. For a reader it is a store that is not there now.
type unreachable struct {
	base string
	err  error
	sent bool // a verb may have reached it
}

func (e *unreachable) Error() string {
	text := fmt.Sprintf("%s does not answer as sluiced's API: %v", e.base, e.err)
	if e.sent {
		text += "; whether it was carried out is not known: look before you ask again"
	}
	return text
}

func (e *unreachable) Unwrap() error        { return e.err }
func (e *unreachable) Is(target error) bool { return target == store.ErrUnavailable }

// without is what is left to somebody whom the API does not answer.
const without = `sluice: without the API, go to the store: leave out --api (and SLUICE_API) and say where it is by --consul.address or --store.dir.
sluice: what stops needs no sluice: consul kv put sluice/flags/NAME/pause true, or echo true > DIR/flags/NAME/pause`

// ask sends a request with a JSON body, or without one, and decodes the answer of 200 into into.
func (r *remote) ask(ctx context.Context, method, path string, body, into any, within time.Duration) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+"/api/v1/"+path, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.user != "" || r.password != "" {
		req.SetBasicAuth(r.user, r.password)
	}
	broken := func(err error) error {
		var dial *net.OpError
		return &unreachable{r.base, err, body != nil && !(errors.As(err, &dial) && dial.Op == "dial")}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the address is said already
		}
		return 0, broken(err)
	}
	defer resp.Body.Close()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		return resp.StatusCode, fmt.Errorf("%s: who you are is not known there: expected %s and %s, or %s and %s", r.base, envAPIUser, envAPIPassword, envAPICert, envAPIKey)
	case kind != "application/json":
		err := fmt.Errorf("expected JSON, got %s with status %d", cmp.Or(kind, "nothing"), resp.StatusCode)
		return resp.StatusCode, broken(err)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return resp.StatusCode, broken(err)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return resp.StatusCode, broken(fmt.Errorf("status %d: %w", resp.StatusCode, err))
	}
	return resp.StatusCode, nil
}
