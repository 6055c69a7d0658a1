package consul_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
	"github.com/openinfrastructure/sluice/internal/store/consultest"
)

// between puts a handler between a store and the real server. next passes a request
// on.
func between(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) *api.Config {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: server.Addr})
	proxy.Transport = transport
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, proxy) }))
	t.Cleanup(front.Close)
	config := server.Config(server.Management)
	config.Address = front.Listener.Addr().String()
	return config
}

// TestLostAnswer: Consul applied the transaction, and the connection broke before
// the caller heard of it.
func TestLostAnswer(t *testing.T) {
	client := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Path != "/v1/txn" {
			next.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler) // closes the connection without an answer
	})
	s := openClient(t, client, nil)
	step := store.CAS("state", []byte("1"), 0)
	wantError(t, s.Txn(t.Context(), step), store.ErrUnavailable)
	e, err := s.Get(t.Context(), "state")
	must(t, err)
	if string(e.Value) != "1" {
		t.Errorf("value %q, want the one whose answer was lost", e.Value)
	}
}

// TestTimeout: a server that takes a request and says nothing holds nobody up.
func TestTimeout(t *testing.T) {
	client := between(t, func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices that its client left only after the body
		<-r.Context().Done()
	})
	s := openClient(t, client, func(c *consul.Config) { c.Timeout, c.Wait = 50*time.Millisecond, time.Millisecond })
	ctx := t.Context()
	_, err := s.Get(ctx, "a")
	wantError(t, err, store.ErrUnavailable)
	_, _, err = s.List(ctx, "")
	wantError(t, err, store.ErrUnavailable)
	_, err = s.Watch(ctx, "", 1)
	wantError(t, err, store.ErrUnavailable)
	wantError(t, s.Txn(ctx, store.Set("a", nil)), store.ErrUnavailable)
}

// TestNotConsul: whatever else answers on that address, it is neither "the flag is
// not set" nor "written".
func TestNotConsul(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"404 page":       http.NotFound,
		"200 page":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>welcome</html>")) },
		"200 nothing":    func(http.ResponseWriter, *http.Request) {},
		"200 empty list": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("[]")) },
		"409 nothing":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) },
		"500":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"429":            func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) },
	} {
		t.Run(name, func(t *testing.T) {
			s := openClient(t, between(t, func(w http.ResponseWriter, r *http.Request, _ http.Handler) { answer(w, r) }), nil)
			_, err := s.Get(t.Context(), "flags/freeze")
			wantError(t, err, store.ErrUnavailable)
			_, _, err = s.List(t.Context(), "flags/")
			wantError(t, err, store.ErrUnavailable)
			_, err = s.Watch(t.Context(), "flags/", 7)
			wantError(t, err, store.ErrUnavailable)
			wantError(t, s.Txn(t.Context(), store.Set("a", nil)), store.ErrUnavailable)
			wantError(t, s.Txn(t.Context(), store.DeleteCAS("a", 1)), store.ErrUnavailable)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err = s.Campaign(ctx, "leader", "anna")
			wantError(t, err, context.DeadlineExceeded)
		})
	}
}

// TestWatchBlocks: with nothing new, a watch asks once and then waits at the server.
func TestWatchBlocks(t *testing.T) {
	var mu sync.Mutex
	var queries []string
	waiting := make(chan struct{})
	client := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		queries = append(queries, r.URL.RawQuery)
		mu.Unlock()
		if r.URL.Query().Get("index") != "" {
			close(waiting) // a second one panics
		}
		next.ServeHTTP(w, r)
	})
	s := openClient(t, client, nil)
	must(t, s.Txn(t.Context(), store.Set("flags/freeze", nil)))
	_, index, err := s.List(t.Context(), "flags/")
	must(t, err)
	mu.Lock()
	queries = nil
	mu.Unlock()
	woken := make(chan error, 1)
	go func() {
		_, err := s.Watch(t.Context(), "flags/", index)
		woken <- err
	}()
	select {
	case <-waiting:
	case err := <-woken:
		t.Fatalf("watch returned without waiting: %v", err)
	}
	must(t, s.Txn(t.Context(), store.Set("flags/freeze", []byte("true"))))
	must(t, <-woken)
	mu.Lock()
	defer mu.Unlock()
	if len(queries) != 3 { // look, wait, write
		t.Errorf("requests %q, want a look, a wait and the write", queries)
	}
}

// TestKilledServer is about one leader through a power cut of the whole store.
func TestKilledServer(t *testing.T) {
	own := consultest.Start(t)
	s := open(t, own, own.Management, shortTTL)
	l := campaign(t, s, "anna")
	must(t, s.Txn(t.Context(), l.Check(), store.Set("state", []byte("1"))))
	must(t, own.Kill())
	wantLost(t, l) // by the local clock: nobody is left to ask
	_, err := s.Get(t.Context(), "state")
	wantError(t, err, store.ErrUnavailable)
	wantError(t, s.Txn(t.Context(), l.Check(), store.Set("state", []byte("2"))), store.ErrUnavailable)

	won := make(chan store.Lease, 1)
	go func() {
		next, err := s.Campaign(t.Context(), "leader", "berta") // begins with the store down
		if err != nil {
			t.Errorf("campaign: %v", err)
		}
		won <- next
	}()
	must(t, own.Restart(t.Context()))
	next := <-won
	if next == nil {
		t.FailNow()
	}
	wantError(t, s.Txn(t.Context(), l.Check(), store.Set("state", []byte("2"))), store.ErrConflict)
	must(t, s.Txn(t.Context(), next.Check(), store.Set("state", []byte("3"))))
	must(t, next.Release(t.Context()))
}

// TestRestoredSnapshot: a backup takes the store back under everybody's feet.
func TestRestoredSnapshot(t *testing.T) {
	own := consultest.Start(t)
	s := open(t, own, own.Management, nil)
	must(t, s.Txn(t.Context(), store.Set("flags/freeze", []byte("true"))))
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	must(t, own.Save(t.Context(), snapshot))
	for _, v := range []string{"a", "b", "c"} {
		must(t, s.Txn(t.Context(), store.Set("flags/freeze", []byte(v))))
	}
	l := campaign(t, s, "anna")
	e, err := s.Get(t.Context(), "flags/freeze")
	must(t, err)
	_, index, err := s.List(t.Context(), "flags/")
	must(t, err)
	woken := make(chan error, 1)
	go func() {
		_, err := s.Watch(t.Context(), "flags/", index)
		woken <- err
	}()
	must(t, own.Restore(t.Context(), snapshot))
	must(t, <-woken)
	wantLost(t, l) // its session is of the future
	wantError(t, s.Txn(t.Context(), store.CAS("flags/freeze", []byte("x"), e.Version)), store.ErrConflict)
	now, err := s.Watch(t.Context(), "flags/", index)
	must(t, err)
	if now >= index {
		t.Errorf("index %d after the restore, want one before %d", now, index)
	}
	got, err := s.Get(t.Context(), "flags/freeze")
	must(t, err)
	if string(got.Value) != "true" {
		t.Errorf("restored value %q, want true", got.Value)
	}
}
