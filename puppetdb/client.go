package puppetdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Client queries one PuppetDB. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base *url.URL
	http *retryablehttp.Client

	mu    sync.Mutex // guards known
	known *dialect   // nil until the version was learnt
}

// New returns a client for cfg, after reading the certificate files. It opens
// no connection: an unreachable PuppetDB shows in the first call.
func New(cfg Config) (*Client, error) {
	base, err := cfg.base()
	if err != nil {
		return nil, err
	}
	rt, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	r := retryablehttp.NewClient()
	r.HTTPClient = &http.Client{
		Transport: rt,
		// A redirect would turn the POST into a GET, or carry the token away.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r.Logger = nil
	r.RetryMax, r.RetryWaitMin, r.RetryWaitMax = cfg.Retries, cfg.RetryWait, 16*cfg.RetryWait
	r.ErrorHandler = retryablehttp.PassthroughErrorHandler // the last answer's body is the best reason there is
	r.CheckRetry = worthRepeating
	return &Client{cfg: cfg, base: base, http: r}, nil
}

// Close drops pooled connections. The client stays usable.
func (c *Client) Close() { c.http.HTTPClient.CloseIdleConnections() }

// StatusError is an answer with another status than 200.
type StatusError struct {
	Path string // "/pdb/query/v4/reports"
	Code int    // HTTP status
	Body string // its beginning, on one line
}

func (e *StatusError) Error() string {
	if e.Body == "" {
		return fmt.Sprintf("http status %d %s", e.Code, http.StatusText(e.Code))
	}
	return fmt.Sprintf("http status %d: %s", e.Code, e.Body)
}

// worthRepeating adds to the library's policy (connection errors, 429, 5xx)
// what a second attempt cannot heal. PuppetDB's partition garbage collection
// kills running queries every hour: those come back as 500 or 503.
func worthRepeating(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if err != nil && refused(err) {
		return false, err
	}
	if resp != nil && ctx.Value(oneShot{}) != nil {
		return false, nil
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}

// oneShot marks, in a context, a call whose 5xx answer is meant as an answer.
type oneShot struct{}

// request is the body of a query. PuppetDB rejects parameters that it does not
// know, so the optional ones are sent by dialect.
type request struct {
	Query   any    `json:"query"`
	Origin  string `json:"origin,omitempty"`
	Timeout int    `json:"timeout,omitempty"` // seconds
}

// query posts an AST or PQL query to path and hands the answer's body to read.
// purpose names the query in PuppetDB's own logs.
func (c *Client) query(ctx context.Context, path, purpose string, q any, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req := request{Query: q}
	d, err := c.dialect(ctx)
	if err != nil {
		return err
	}
	if d.origin {
		req.Origin = "sluice:" + purpose
	}
	if d.timeout {
		left, _ := ctx.Deadline()
		req.Timeout = max(int(math.Ceil(time.Until(left).Seconds())), 1)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("puppetdb %s: query: %w", path, err)
	}
	err = c.do(ctx, http.MethodPost, path, body, read)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusBadRequest {
		c.forget() // perhaps an older PuppetDB took this one's place
	}
	return err
}

// do sends one request and hands a 200 answer's body to read.
func (c *Client) do(ctx context.Context, method, path string, body []byte, read func(io.Reader) error) error {
	return c.exchange(ctx, method, path, body, func(code int, r io.Reader) error {
		if code != http.StatusOK {
			return &StatusError{Path: path, Code: code, Body: beginning(r)}
		}
		return read(r)
	})
}

// exchange sends one request and hands every answer to read.
func (c *Client) exchange(ctx context.Context, method, path string, body []byte, read func(int, io.Reader) error) error {
	fail := func(err error) error {
		return fmt.Errorf("puppetdb %s: %w", c.base.JoinPath(path).Redacted(), err)
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), body)
	if err != nil {
		return fail(err)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.cfg.Token != "" {
		req.Header.Set("X-Authentication", c.cfg.Token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // fail names the place already
		}
		return fail(c.cfg.explain(err))
	}
	defer resp.Body.Close()
	if err := read(resp.StatusCode, resp.Body); err != nil {
		return fail(err)
	}
	return nil
}

// beginning returns the first line or so of an error body.
func beginning(r io.Reader) string {
	const limit = 600
	b, _ := io.ReadAll(io.LimitReader(r, limit)) // a torn error body is still the reason
	s := strings.Join(strings.Fields(string(bytes.ToValidUTF8(b, []byte("?")))), " ")
	if len(b) == limit {
		s += " …"
	}
	return s
}
