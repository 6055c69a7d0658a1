package sli

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// promAPI answers every query with one body, after checking that the request
// is one that Prometheus would accept.
func promAPI(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/prom/api/v1/query" || r.Method != http.MethodPost {
			t.Errorf("got %s %s", r.Method, r.URL.Path)
		}
		if r.FormValue("query") == "" || r.FormValue("timeout") == "" {
			t.Errorf("got form %v, want query and timeout", r.Form)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(srv.Close)
	return srv
}

func client(t *testing.T, address string) *Client {
	t.Helper()
	c, err := New(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

var up = Query{Name: "errors", PromQL: `sum by (instance) (rate(errors_total[5m]))`}

func TestSampleReadsValuesAndWarnings(t *testing.T) {
	srv := promAPI(t, 200, `{"status":"success","warnings":["store fra1 did not answer"],"data":{"resultType":"vector","result":[
		{"metric":{"instance":"web1:9100"},"value":[1,"0.5"]},{"metric":{"instance":"web2:9100"},"value":[1,"NaN"]}]}}`)
	got, err := client(t, srv.URL+"/prom").Sample(t.Context(), up, at)
	if err != nil {
		t.Fatal(err)
	}
	want := Sample{Name: "errors", At: at, Values: map[string]float64{"web1": 0.5}, NotFinite: 1,
		Warnings: []string{"store fra1 did not answer"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sample (-want +got):\n%s", diff)
	}
}

// Warnings explain an empty answer, so they come with ErrNoData too.
func TestSampleNoDataKeepsWarnings(t *testing.T) {
	srv := promAPI(t, 200, `{"status":"success","warnings":["partial"],"data":{"resultType":"vector","result":[]}}`)
	got, err := client(t, srv.URL+"/prom").Sample(t.Context(), up, at)
	if !errors.Is(err, ErrNoData) {
		t.Fatalf("got %v, want ErrNoData", err)
	}
	if diff := cmp.Diff([]string{"partial"}, got.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// Nothing that goes wrong at the server may end as a sample.
func TestSampleFailsClosed(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   string
	}{
		{"bad query", 400, `{"status":"error","errorType":"bad_data","error":"parse error"}`, "parse error"},
		{"server timeout", 503, `{"status":"error","errorType":"timeout","error":"query timed out"}`, "query timed out"},
		{"error with status 200", 200, `{"status":"error","errorType":"execution","error":"too many samples"}`, "too many samples"},
		{"starting", 503, `Service Unavailable`, "503"},
		{"a proxy's page", 200, `<html>login</html>`, "invalid character"},
		{"truncated", 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":`, "unexpected end"},
		{"no body", 200, ``, "unexpected end"},
		{"no data field", 200, `{"status":"success"}`, "got nothing"},
		{"no content", 204, ``, "unexpected end"},
		{"matrix", 200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, "got a matrix"},
		{"histogram", 200, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"instance":"web1"},
			"histogram":[1,{"count":"1","sum":"1","buckets":[]}]}]}}`, "native histogram"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := promAPI(t, tt.status, tt.body)
			got, err := client(t, srv.URL+"/prom").Sample(t.Context(), up, at)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if diff := cmp.Diff(Sample{}, got); diff != "" {
				t.Errorf("sample with an error (-want +got):\n%s", diff)
			}
			if prefix := `sli "errors": query ` + srv.URL + "/prom: "; !strings.HasPrefix(err.Error(), prefix) {
				t.Errorf("error %q does not start with %q", err, prefix)
			}
		})
	}
}

func TestSampleNeedsATimeAndAQuery(t *testing.T) {
	c := client(t, "http://127.0.0.1:1")
	if _, err := c.Sample(t.Context(), up, time.Time{}); err == nil || !strings.Contains(err.Error(), "evaluation time") {
		t.Errorf("zero time: got %v", err)
	}
	if _, err := c.Sample(t.Context(), Query{Name: "x"}, at); err == nil || !strings.Contains(err.Error(), "promql") {
		t.Errorf("no query: got %v", err)
	}
}

func TestSampleTimesOut(t *testing.T) {
	released := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm() // the server notices a client that left only once the body is read
		select {
		case <-r.Context().Done():
		case <-released:
		}
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(released) })
	c := client(t, srv.URL).WithTimeout(time.Millisecond)
	if _, err := c.Sample(t.Context(), up, at); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sample: got %v, want a deadline", err)
	}
	if err := c.Reachable(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reachable: got %v, want a deadline", err)
	}
}

func TestSampleRefusesAnEndlessAnswer(t *testing.T) {
	srv := promAPI(t, 200, `{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`+strings.Repeat(" ", 4096))
	c, err := New(srv.URL+"/prom", limited{http.DefaultTransport.(*http.Transport).Clone(), 1024})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, err := c.Sample(t.Context(), up, at); err == nil || !strings.Contains(err.Error(), "larger than 1024 bytes") {
		t.Errorf("got %v", err)
	}
}

// Userinfo reaches the server and no message.
func TestCredentialsAreSentAndHidden(t *testing.T) {
	var user, pass string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ = r.BasicAuth()
		_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "error": "no"})
	}))
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("reader", "hunter2")
	messages := []error{client(t, u.String()).Reachable(t.Context())}
	if user != "reader" || pass != "hunter2" {
		t.Errorf("server saw %q %q", user, pass)
	}
	srv.Close()
	messages = append(messages, client(t, u.String()).Reachable(t.Context()))
	_, err = client(t, u.String()).Sample(t.Context(), up, at)
	messages = append(messages, err)
	for _, bad := range []string{"ftp://reader:hunter2@x", "http://reader:hunter2@", "http://reader:hunter2@x:port", "http://x?token=hunter2", "%zz"} {
		_, err := New(bad, nil)
		messages = append(messages, err)
	}
	for i, err := range messages {
		if err == nil {
			t.Errorf("message %d: got no error", i)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "reader") {
			t.Errorf("message %d shows credentials: %v", i, err)
		}
	}
}

func TestReachable(t *testing.T) {
	for body, want := range map[string]string{
		`{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`: "",
		`{"status":"success","data":{"resultType":"scalar","result":[1,"0"]}}`: "expected the scalar 1",
		`{"status":"success","data":{"resultType":"vector","result":[]}}`:      "got a vector",
		`{"status":"success"}`: "got nothing",
		`ok`:                   "invalid character",
	} {
		err := client(t, promAPI(t, 200, body).URL+"/prom").Reachable(t.Context())
		if (err == nil) != (want == "") || (err != nil && !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
}
