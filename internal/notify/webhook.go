package notify

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// WebhookVersion is the version of the body that a Webhook sends. Fields may
// be added to it; anything else gets a new number.
const WebhookVersion = 1

// Message is the body of a webhook request.
type Message struct {
	Version int   `json:"version"`
	Event   Event `json:"event"`
}

// WebhookOptions describe one receiver.
type WebhookOptions struct {
	// Name is the notifier's; empty means "webhook".
	Name string
	// URL is posted to. It never appears in a message beyond its host.
	URL string
	// TokenFile, if not empty, holds a bearer token, read for each request.
	TokenFile string
	// Transport replaces the notifier's own; nil keeps it.
	Transport http.RoundTripper
}

// Webhook posts events as JSON. A repetition carries the same
// Idempotency-Key, the event's ID, by which the receiver can tell it.
type Webhook struct {
	receiver
	name   string
	client *http.Client
}

var _ Notifier = (*Webhook)(nil)

// NewWebhook checks the options; it sends nothing.
func NewWebhook(o WebhookOptions) (*Webhook, error) {
	r, err := newReceiver("webhook", o.URL, o.TokenFile, o.Transport)
	if err != nil {
		return nil, err
	}
	return &Webhook{receiver: r, name: cmp.Or(o.Name, "webhook"),
		client: &http.Client{Transport: r, CheckRedirect: sameHost}}, nil
}

// Name returns the notifier's name.
func (w *Webhook) Name() string { return w.name }

// sameHost keeps the event and its token where they were sent. A redirect
// that turns the POST into a GET would answer 200 and deliver nothing.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Host != first.Host || req.URL.Scheme != first.Scheme {
		return &Error{Err: fmt.Errorf("redirected to %s://%s: expected to stay at the host", req.URL.Scheme, req.URL.Host), Permanent: true}
	}
	if req.Method != http.MethodPost {
		return &Error{Err: fmt.Errorf("redirected from POST to %s: expected status 307 or 308", req.Method), Permanent: true}
	}
	if len(via) >= 3 {
		return errors.New("redirected more than twice")
	}
	return nil
}

// Notify posts the event. Any 2xx status means that it was taken.
func (w *Webhook) Notify(ctx context.Context, e Event) error {
	req, err := w.request(ctx, e)
	if err != nil {
		return err
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", w.safe, plain(err))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return &Error{
		Err:        fmt.Errorf("%s: expected status 2xx, got %s", w.safe, resp.Status),
		Permanent:  refused(resp.StatusCode),
		RetryAfter: parseRetryAfter(resp.Header.Get("Retry-After"), time.Now()),
	}
}

func (w *Webhook) request(ctx context.Context, e Event) (*http.Request, error) {
	body, err := json.Marshal(Message{Version: WebhookVersion, Event: e})
	if err != nil {
		return nil, &Error{Err: fmt.Errorf("%s: event %q: %w", w.safe, e.ID, err), Permanent: true}
	}
	token, err := w.token()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.safe, plain(err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "sluice")
	req.Header.Set("Idempotency-Key", e.ID)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return req, nil
}

// parseRetryAfter reads both forms of the header (RFC 9110, 10.2.3); what is
// neither, or lies in the past, is no wish.
func parseRetryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
