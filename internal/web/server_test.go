package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func nothing() error { return nil }

// run starts a server that ends, in order, with the test.
func run(t *testing.T, o Options) *Server {
	t.Helper()
	if o.ListenAddress == nil {
		o.ListenAddress = []string{"127.0.0.1:0"}
	}
	if o.Ready == nil {
		o.Ready = nothing
	}
	if o.Reload == nil {
		o.Reload = nothing
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return s
}

type answer struct {
	code   int
	header http.Header
	body   string
}

// ask makes one request on a connection of its own.
func ask(t *testing.T, method, url string, change ...func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	for _, c := range change {
		c(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func TestEndpoints(t *testing.T) {
	notReady := errors.New("no leader since 12:00")
	var ready error
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "api "+r.URL.Path) })
	s := run(t, Options{Ready: func() error { return ready }, API: api})
	base := "http://" + s.Addr()
	tests := []struct {
		method, path string
		ready        error
		code         int
		body         string // exact, or a part when it ends in an ellipsis
	}{
		{"GET", "/-/healthy", notReady, 200, "sluiced is Healthy.\n"},
		{"HEAD", "/-/healthy", nil, 200, ""},
		{"POST", "/-/healthy", nil, 405, "Method Not Allowed\n"},
		{"GET", "/-/ready", nil, 200, "sluiced is Ready.\n"},
		{"GET", "/-/ready", notReady, 503, "sluiced is not Ready: no leader since 12:00\n"},
		{"HEAD", "/-/ready", notReady, 503, ""},
		{"GET", "/-/reload", nil, 405, "Method Not Allowed\n"},
		{"DELETE", "/-/reload", nil, 405, "Method Not Allowed\n"},
		{"POST", "/-/reload", nil, 200, ""},
		{"PUT", "/-/reload", nil, 200, ""},
		{"GET", "/api/v1/rollouts", nil, 200, "api /api/v1/rollouts"},
		{"GET", "/api/v2/", nil, 404, "404 page not found\n"},
		{"GET", "/nothing", nil, 404, "404 page not found\n"},
		{"GET", "/", nil, 200, `<a href="-/ready">…`},
		{"GET", "/metrics", nil, 200, "\nsluice_build_info{…"},
		{"GET", "/metrics", nil, 200, "\ngo_goroutines …"},
		{"GET", "/metrics", nil, 200, "\nprocess_start_time_seconds …"},
		{"GET", "/metrics", nil, 200, "\nsluice_config_last_reload_successful 1\n…"},
		{"GET", "/metrics", nil, 200, "\nsluice_http_requests_total{code=\"503\",method=\"get\"} 1\n…"},
		{"POST", "/metrics", nil, 405, "Method Not Allowed\n"},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			ready = tt.ready
			got := ask(t, tt.method, base+tt.path)
			part, isPart := strings.CutSuffix(tt.body, "…")
			if got.code != tt.code || (isPart && !strings.Contains(got.body, part)) || (!isPart && got.body != tt.body) {
				t.Errorf("got %d %q, want %d %q", got.code, got.body, tt.code, tt.body)
			}
			if got.header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("got header %v", got.header)
			}
		})
	}
}

func TestNoAPI(t *testing.T) {
	if got := ask(t, "GET", "http://"+run(t, Options{}).Addr()+"/api/v1/rollouts"); got.code != 404 {
		t.Errorf("got %d", got.code)
	}
}

// A reload that fails says so, to the caller and in the metrics, and the time
// of the last success stands.
func TestReload(t *testing.T) {
	reg := prometheus.NewRegistry()
	var result error
	calls := 0
	s := run(t, Options{Registry: reg, Reload: func() error { calls++; return result }})
	url := "http://" + s.Addr() + "/-/reload"
	loaded := testutil.ToFloat64(s.reload.timestamp)
	if loaded == 0 {
		t.Error("the first load has no time")
	}

	result = errors.New("sluice.yml:3: rollouts: unknown key")
	got := ask(t, "POST", url)
	if want := "reload configuration: sluice.yml:3: rollouts: unknown key\n"; got.code != 500 || got.body != want {
		t.Errorf("got %d %q, want %q", got.code, got.body, want)
	}
	if ok := testutil.ToFloat64(s.reload.successful); ok != 0 || testutil.ToFloat64(s.reload.timestamp) != loaded {
		t.Errorf("after a failure: successful %v", ok)
	}

	result = nil
	if got := ask(t, "PUT", url); got.code != 200 || testutil.ToFloat64(s.reload.successful) != 1 || testutil.ToFloat64(s.reload.timestamp) < loaded {
		t.Errorf("after a success: got %d", got.code)
	}
	if err := s.Reload(); err != nil || calls != 3 {
		t.Errorf("got %v after %d calls", err, calls)
	}
	if problems, err := testutil.GatherAndLint(reg, "sluice_config_last_reload_successful",
		"sluice_config_last_reload_success_timestamp_seconds", "sluice_http_requests_total"); err != nil || len(problems) > 0 {
		t.Errorf("lint: %v, %v", problems, err)
	}
}

// A reload that panics ends that request and counts as a failure.
func TestReloadPanic(t *testing.T) {
	s := run(t, Options{Reload: func() error { panic("boom") }})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr()+"/-/reload", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("got %s", resp.Status)
	}
	if got := testutil.ToFloat64(s.reload.successful); got != 0 {
		t.Errorf("successful is %v", got)
	}
	if got := ask(t, "GET", "http://"+s.Addr()+"/-/healthy"); got.code != 200 {
		t.Errorf("afterwards: got %d", got.code)
	}
}

func TestNewRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	bad := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(bad, []byte("basic_auth_userz: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	used := prometheus.NewRegistry()
	used.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_config_last_reload_successful", Help: "another's"}))
	free := []string{"127.0.0.1:0"}
	for want, o := range map[string]Options{
		"expected a listen address":     {Ready: nothing, Reload: nothing},
		"expected the functions ready":  {ListenAddress: free, Reload: nothing},
		"functions ready and reload":    {ListenAddress: free, Ready: nothing},
		"web.yml: ":                     {ListenAddress: free, Ready: nothing, Reload: nothing, WebConfigFile: bad},
		"no such file":                  {ListenAddress: free, Ready: nothing, Reload: nothing, WebConfigFile: bad + ".gone"},
		"register metrics":              {ListenAddress: free, Ready: nothing, Reload: nothing, Registry: used},
		taken.Addr().String() + `": `:   {ListenAddress: []string{"127.0.0.1:0", taken.Addr().String()}, Ready: nothing, Reload: nothing},
		`listen on "127.0.0.1:nowhere"`: {ListenAddress: []string{"127.0.0.1:nowhere"}, Ready: nothing, Reload: nothing},
	} {
		if s, err := New(o); err == nil || s != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestSeveralAddresses(t *testing.T) {
	s := run(t, Options{ListenAddress: []string{"127.0.0.1:0", "127.0.0.1:0"}})
	all := s.Addrs()
	if len(all) != 2 || all[0] == all[1] || all[0] != s.Addr() {
		t.Fatalf("got %v", all)
	}
	for _, a := range all {
		if got := ask(t, "GET", "http://"+a+"/-/healthy"); got.code != 200 {
			t.Errorf("%s: got %d", a, got.code)
		}
	}
}

// A request that is being served when the daemon is told to end is finished.
func TestShutdownFinishesRequests(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s, err := New(Options{ListenAddress: []string{"127.0.0.1:0"}, Ready: nothing, Reload: nothing,
		API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-leave
			if r.Context().Err() != nil {
				t.Error("the request was cut")
			}
			_, _ = io.WriteString(w, "whole")
		})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	body := make(chan string, 1)
	go func() { body <- ask(t, "GET", "http://"+s.Addr()+"/api/v1/").body }()
	<-entered
	cancel(errors.New("told to end"))
	for { // until it takes no more connections
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(leave)
	if got := <-body; got != "whole" {
		t.Errorf("got %q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("a second run was allowed")
	}
}

// One that does not finish is cut, its body unread, and leaves nothing behind.
func TestShutdownCutsRequests(t *testing.T) {
	entered, left := make(chan struct{}), make(chan struct{})
	s, err := New(Options{ListenAddress: []string{"127.0.0.1:0"}, Ready: nothing, Reload: nothing, ShutdownTimeout: time.Millisecond,
		API: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(left)
		})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr()+"/api/v1/", strings.NewReader("unread"))
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan error, 1)
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		failed <- err
	}()
	<-entered
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	<-left
	if err := <-failed; err == nil {
		t.Error("the request that was cut got an answer")
	}
}

// A web configuration that goes bad before the server runs ends all of it.
func TestRunReportsAListenersError(t *testing.T) {
	file := webConfig(t, "")
	s, err := New(Options{ListenAddress: []string{"127.0.0.1:0", "127.0.0.1:0"}, Ready: nothing, Reload: nothing, WebConfigFile: file})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "serve on 127.0.0.1:") {
		t.Errorf("got %v", err)
	}
	for _, a := range s.Addrs() {
		l, err := net.Listen("tcp", a)
		if err != nil {
			t.Errorf("the address is still taken: %v", err)
			continue
		}
		_ = l.Close()
	}
}

func TestCloseFreesTheAddress(t *testing.T) {
	s, err := New(Options{ListenAddress: []string{"127.0.0.1:0"}, Ready: nothing, Reload: nothing})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if diff := cmp.Diff([]string{s.Addr()}, s.Addrs()); diff != "" {
		t.Error(diff)
	}
}
