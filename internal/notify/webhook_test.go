package notify

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func webhook(t *testing.T, o WebhookOptions) *Webhook {
	t.Helper()
	w, err := NewWebhook(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.CloseIdleConnections)
	return w
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// The request is an interface that others depend on.
func TestWebhookRequest(t *testing.T) {
	var got []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, r.Method+" "+r.URL.RequestURI(), r.Header.Get("Content-Type"), r.Header.Get("Authorization"),
			r.Header.Get("Idempotency-Key"), string(body))
		w.WriteHeader(http.StatusAccepted)
	})
	e := stageEvent(KindStageEnded, "pass", 0)
	e.Tags = []string{"dc:fra1"}
	tell(t, webhook(t, WebhookOptions{URL: url + "/hook?key=1", TokenFile: tokenFile(t, "s3cret")}), e)
	tell(t, webhook(t, WebhookOptions{URL: url + "/"}), event("held"))
	want := []string{
		"POST /hook?key=1", "application/json", "Bearer s3cret", "ntp/1/stage_ended",
		`{"version":1,"event":{"id":"ntp/1/stage_ended","rollout":"ntp","track":"production","stage":"canary","stage_index":1,` +
			`"kind":"stage_ended","verdict":"pass","text":"canary stage_ended","at":"2026-03-01T12:00:00Z","tags":["dc:fra1"]}}`,
		"POST /", "application/json", "", "held",
		`{"version":1,"event":{"id":"held","rollout":"ntp","stage_index":0,"kind":"held","at":"2026-03-01T12:00:00Z"}}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestWebhookStatus(t *testing.T) {
	for status, permanent := range map[int]bool{
		200: false, 202: false, 204: false, 304: false, 400: true, 401: false, 403: false, 404: true, 408: false,
		409: true, 410: true, 422: true, 429: false, 500: false, 502: false, 503: false, 504: false,
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
		})
		err := webhook(t, WebhookOptions{URL: url + "/hook/hunter2"}).Notify(t.Context(), event("a"))
		if (err == nil) != (status/100 == 2) || isPermanent(err) != permanent {
			t.Errorf("%d: got %v (permanent: %t)", status, err, isPermanent(err))
		}
		if err != nil && (retryAfter(err) != 7*time.Second || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%d: got %v, retry after %s", status, err, retryAfter(err))
		}
	}
}

// The event and its token stay at the host they were sent to, and a redirect
// that drops the body is no delivery.
func TestWebhookRedirects(t *testing.T) {
	elsewhere := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("followed to another host: %s %s", r.Method, r.Header.Get("Authorization"))
	})
	var took int
	mux := http.NewServeMux()
	mux.HandleFunc("/taken", func(_ http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || len(body) == 0 || r.Method != http.MethodPost {
			t.Errorf("got %s with %d bytes, %v", r.Method, len(body), err)
		}
		took++
	})
	mux.HandleFunc("/same/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/taken", http.StatusPermanentRedirect)
	})
	mux.HandleFunc("/get/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/taken", http.StatusFound) })
	mux.HandleFunc("/other/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere, http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/loop/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/loop/", http.StatusTemporaryRedirect)
	})
	url := serve(t, mux.ServeHTTP)
	for path, want := range map[string]string{
		"/same/": "", "/get/": "redirected from POST to GET", "/other/": "expected to stay at the host", "/loop/": "more than twice",
	} {
		err := webhook(t, WebhookOptions{URL: url + path, TokenFile: tokenFile(t, "x")}).Notify(t.Context(), event("a"))
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	if took != 1 {
		t.Errorf("taken %d times, want 1", took)
	}
}

func TestWebhookTimesOut(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := webhook(t, WebhookOptions{URL: url}).Notify(ctx, event("a")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a deadline", err)
	}
}

// Through the queue: an event refused with 503 and 429 arrives once, under
// one key, and in order.
func TestQueueRetriesAWebhook(t *testing.T) {
	var mu sync.Mutex
	var keys []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if n := len(keys); n <= 2 {
			w.WriteHeader([]int{http.StatusServiceUnavailable, http.StatusTooManyRequests}[n-1])
		}
	})
	q := open(t, Options{BackoffMin: time.Millisecond}, webhook(t, WebhookOptions{URL: url}))
	q.Push(event("a"))
	q.Push(event("b"))
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "a", "a", "b"}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

// No message shows more of a webhook's URL than its host.
func TestWebhookHidesItsURL(t *testing.T) {
	const secret = "hunter2"
	_, parse := NewWebhook(WebhookOptions{URL: "http://[" + secret})
	_, scheme := NewWebhook(WebhookOptions{URL: "gopher://x/" + secret})
	down := webhook(t, WebhookOptions{URL: "http://user:" + secret + "@127.0.0.1:1/" + secret + "?" + secret}).Notify(t.Context(), event("a"))
	for _, err := range []error{parse, scheme, down} {
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "0", "120", "-1", "1e9", "99999999999999999999", "Sun, 01 Mar 2026 12:00:10 GMT", "Sun, 01 Mar 1926 12:00:10 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := parseRetryAfter(value, noon); d < 0 {
			t.Errorf("parseRetryAfter(%q) = %s", value, d)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "120": 2 * time.Minute, "Sun, 01 Mar 2026 12:00:10 GMT": 10 * time.Second, "Sun, 01 Mar 2026 11:00:00 GMT": 0,
	} {
		if got := parseRetryAfter(value, noon); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
		}
	}
}
