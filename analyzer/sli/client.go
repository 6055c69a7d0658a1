package sli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

const (
	// DefaultTimeout bounds one query, at the server too.
	DefaultTimeout = 30 * time.Second
	// maxBody bounds one answer: about a million series of 250 bytes.
	maxBody = 256 << 20
)

// Client asks one Prometheus, or anything that speaks its query API. It is
// safe for concurrent use.
type Client struct {
	api     promv1.API
	idler   api.CloseIdler
	safeURL string // without userinfo, for messages
	timeout time.Duration
}

// New returns a client of the server at address, an http or https URL whose
// path, if any, is the prefix the server is routed under. Userinfo in it is
// sent as basic authentication and never shown. A nil rt means a transport of
// the client's own.
func New(address string, rt http.RoundTripper) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		// url.Error repeats the address, and with it a password.
		return nil, errors.New("prometheus url: expected http://HOST[:PORT][/PREFIX], got something that does not parse")
	}
	safe := *u
	safe.User, safe.RawQuery, safe.Fragment = nil, "", ""
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("prometheus url %s: expected http://HOST[:PORT][/PREFIX]", &safe)
	}
	if rt == nil {
		rt = http.DefaultTransport.(*http.Transport).Clone()
	}
	c, err := api.NewClient(api.Config{Address: address, RoundTripper: limited{rt, maxBody}})
	if err != nil {
		return nil, fmt.Errorf("prometheus url %s: %w", &safe, readable(err))
	}
	idler, _ := c.(api.CloseIdler)
	return &Client{api: promv1.NewAPI(c), idler: idler, safeURL: safe.String(), timeout: DefaultTimeout}, nil
}

// WithTimeout returns a copy of c whose queries take at most d; d must be
// positive, anything else leaves the timeout as it is.
func (c *Client) WithTimeout(d time.Duration) *Client {
	n := *c
	if d > 0 {
		n.timeout = d
	}
	return &n
}

// Close drops idle connections.
func (c *Client) Close() {
	if c.idler != nil {
		c.idler.CloseIdleConnections()
	}
}

// Sample evaluates q at the given time, which must not be zero: "now" is the
// caller's, so that a replay asks the same question. An error that wraps
// ErrNoData comes with a Sample that holds the counts and warnings; any other
// error comes with the zero Sample.
func (c *Client) Sample(ctx context.Context, q Query, at time.Time) (Sample, error) {
	if err := q.Validate(); err != nil {
		return Sample{}, err
	}
	if at.IsZero() {
		return Sample{}, fmt.Errorf("sli %q: expected an evaluation time, got none", q.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	result, warnings, _, err := c.api.Query(ctx, q.PromQL, at, promv1.WithTimeout(c.timeout))
	if err != nil {
		return Sample{}, fmt.Errorf("sli %q: query %s: %w", q.Name, c.safeURL, readable(err))
	}
	s, err := fold(q, at, result)
	if err != nil && !errors.Is(err, ErrNoData) {
		return Sample{}, fmt.Errorf("sli %q: query %s: %w", q.Name, c.safeURL, err)
	}
	s.Warnings = warnings
	if err != nil {
		return s, fmt.Errorf("sli %q: query %s: %w", q.Name, c.safeURL, err)
	}
	return s, nil
}

// Reachable reports whether the server evaluates queries now. It asks for a
// constant, because a status page answers before the query engine does.
func (c *Client) Reachable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	result, _, _, err := c.api.Query(ctx, "1", time.Time{}, promv1.WithTimeout(c.timeout))
	if err != nil {
		return fmt.Errorf("prometheus %s: %w", c.safeURL, readable(err))
	}
	if s, ok := result.(*model.Scalar); !ok || s.Value != 1 {
		return fmt.Errorf("prometheus %s: expected the scalar 1, got %s", c.safeURL, typeName(result))
	}
	return nil
}

// readable drops the request line that net/http puts before an error: it
// carries the user's name and the whole query. What a server says beside a
// 5xx is kept, in short: "query timed out" is worth more than "503".
func readable(err error) error {
	if pe, ok := errors.AsType[*promv1.Error](err); ok && pe.Detail != "" {
		return fmt.Errorf("%w: %.200q", err, pe.Detail)
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

// limited fails the reading of a body that is longer than max bytes, so that
// a runaway query cannot exhaust the daemon's memory.
type limited struct {
	next http.RoundTripper
	max  int64
}

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = limitedBody{http.MaxBytesReader(nil, resp.Body, l.max), l.max}
	return resp, nil
}

// CloseIdleConnections passes the call on; http.Client looks for it.
func (l limited) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type limitedBody struct {
	io.ReadCloser
	max int64
}

func (b limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return n, fmt.Errorf("answer is larger than %d bytes", b.max)
	}
	return n, err
}
