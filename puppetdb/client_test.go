package puppetdb_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// client returns a client whose repetitions do not wait noticeably.
func client(t *testing.T, cfg puppetdb.Config) *puppetdb.Client {
	t.Helper()
	if cfg.RetryWait == 0 {
		cfg.RetryWait = time.Millisecond
	}
	c, err := puppetdb.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func filled(t *testing.T, n int) *puppetdbtest.Server {
	t.Helper()
	s := puppetdbtest.NewServer(t)
	for i := range n {
		s.Add(puppetdb.Report{Certname: fmt.Sprintf("n%d.example.test", i), Environment: "production", Status: "unchanged",
			ProducerTimestamp: noon.Add(time.Duration(i) * time.Millisecond)})
	}
	return s
}

func read(ctx context.Context, c *puppetdb.Client) (n int, err error) {
	err = c.Reports(ctx, noon, noon.Add(time.Hour), func(puppetdb.Report) error { n++; return nil })
	return n, err
}

// Ensure that every way in which an answer can be broken is an error.
func TestBrokenAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		fault puppetdbtest.Fault
		want  string
	}{
		"cut off with status 200": {puppetdbtest.Fault{Cut: true}, "unexpected EOF"},
		"connection broken":       {puppetdbtest.Fault{Abort: true}, "unexpected EOF"},
		"more behind the array":   {puppetdbtest.Fault{Garbage: "Query timed out"}, "'Q' behind the closing ]"},
		"bulldozed every time":    {puppetdbtest.Fault{Status: 500, Body: "Query backend terminated"}, "http status 500: Query backend terminated"},
		"unavailable every time":  {puppetdbtest.Fault{Status: 503}, "http status 503"},
		"refused":                 {puppetdbtest.Fault{Status: 403, Body: "Permission denied:\n  client"}, "http status 403: Permission denied: client"},
		"redirected":              {puppetdbtest.Fault{Status: 302}, "http status 302"},
		"nothing":                 {puppetdbtest.Fault{Status: 204}, "http status 204"},
		"a page, not JSON":        {puppetdbtest.Fault{Status: 404, Body: strings.Repeat("<html>", 1000)}, "<html> …"},
	} {
		t.Run(name, func(t *testing.T) {
			s := filled(t, 100)
			s.BreakUntilMended(tc.fault)
			c := client(t, puppetdb.Config{URL: s.URL, Retries: 2})
			_, err := read(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), s.URL+"/pdb/query/v4/reports") {
				t.Fatalf("error %v, want %q and the address", err, tc.want)
			}
			if len(err.Error()) > 800 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			s.Mend()
			if n, err := read(t.Context(), c); n != 100 || err != nil {
				t.Errorf("mended: %d reports, %v", n, err)
			}
		})
	}
}

func TestRepeatsWhatMayHeal(t *testing.T) {
	s := filled(t, 3)
	s.Break(puppetdbtest.Fault{Status: 500, Body: "Query backend terminated"}, 1)
	s.Break(puppetdbtest.Fault{Status: 503}, 1)
	if n, err := read(t.Context(), client(t, puppetdb.Config{URL: s.URL})); n != 3 || err != nil {
		t.Errorf("%d reports, %v", n, err)
	}
	s.Break(puppetdbtest.Fault{Status: 400, Body: "no"}, 1)
	if _, err := read(t.Context(), client(t, puppetdb.Config{URL: s.URL})); err == nil {
		t.Error("a 400 was repeated")
	}
	s.Break(puppetdbtest.Fault{Status: 500}, 1)
	if _, err := read(t.Context(), client(t, puppetdb.Config{URL: s.URL, Retries: -1})); err == nil {
		t.Error("repeated although told never to")
	}
}

// Ensure that repeated rows are passed on by the client and told apart by the
// feed.
func TestFeedOverRepeatingServer(t *testing.T) {
	s := filled(t, 10)
	s.BreakUntilMended(puppetdbtest.Fault{Repeat: 2})
	c := client(t, puppetdb.Config{URL: s.URL})
	if n, err := read(t.Context(), c); n != 30 || err != nil {
		t.Errorf("%d reports, %v", n, err)
	}
	f, err := puppetdb.NewFeed(c, noon, puppetdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := f.Poll(t.Context(), noon.Add(time.Minute)); len(b.Reports) != 10 || err != nil {
		t.Errorf("feed: %d reports, %v", len(b.Reports), err)
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := puppetdbtest.NewHandler()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/reports") {
			cancel() // the query is under way
			s.BreakUntilMended(puppetdbtest.Fault{Delay: time.Hour})
		}
		s.ServeHTTP(w, r)
	}))
	defer h.Close()
	if _, err := read(ctx, client(t, puppetdb.Config{URL: h.URL})); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
}

// Ensure that each version is sent what it knows, and nothing else.
func TestParametersByVersion(t *testing.T) {
	for version, want := range map[string]string{
		"6.22.1": "query", "7.5.2": "query", "7.6.0": "query origin", "7.12.1": "query origin",
		"8.0.0": "query origin timeout", "8.15.0-SNAPSHOT": "query origin timeout", "10.1": "query origin timeout", "": "query",
	} {
		s := filled(t, 1)
		s.SetVersion(version)
		if n, err := read(t.Context(), client(t, puppetdb.Config{URL: s.URL, Timeout: 90 * time.Second})); n != 1 || err != nil {
			t.Errorf("version %q: %d reports, %v", version, n, err)
			continue
		}
		all := s.Requests()
		var body struct {
			Origin  string
			Timeout *int
		}
		if err := json.Unmarshal([]byte(all[len(all)-1].Body), &body); err != nil {
			t.Fatal(err)
		}
		got := "query"
		if body.Origin == "sluice:reports" {
			got += " origin"
		}
		if body.Timeout != nil && *body.Timeout > 0 && *body.Timeout <= 90 {
			got += " timeout"
		}
		if got != want {
			t.Errorf("version %q was sent %s, want %s", version, got, want)
		}
	}
}

// Ensure that a PuppetDB replaced by an older one is asked for its version.
func TestDowngrade(t *testing.T) {
	s := filled(t, 1)
	s.SetVersion("8.12.1")
	c := client(t, puppetdb.Config{URL: s.URL})
	if _, err := read(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	s.SetVersion("7.12.1")
	if _, err := read(t.Context(), c); err == nil || !strings.Contains(err.Error(), "Unsupported query parameter 'timeout'") {
		t.Errorf("first query: %v", err)
	}
	if n, err := read(t.Context(), c); n != 1 || err != nil {
		t.Errorf("second query: %d reports, %v", n, err)
	}
}

func TestDetailsInChunks(t *testing.T) {
	s := puppetdbtest.NewServer(t)
	want := map[string]puppetdb.Detail{}
	var hashes []string
	for i := range 120 {
		d := puppetdb.Detail{Metrics: []puppetdb.Metric{{Category: "resources", Name: "failed", Value: float64(i)}}}
		h := s.AddDetailed(puppetdb.Report{Certname: fmt.Sprintf("n%d", i), ProducerTimestamp: noon}, d)
		want[h], hashes = d, append(hashes, h, h)
	}
	c := client(t, puppetdb.Config{URL: s.URL})
	got, err := c.Details(t.Context(), hashes)
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if n := len(s.Requests()); n != 4 { // version and 50 + 50 + 20
		t.Errorf("%d requests, want 4", n)
	}
	s.Break(puppetdbtest.Fault{}, 1)
	s.Break(puppetdbtest.Fault{Cut: true}, 1)
	if got, err := c.Details(t.Context(), hashes); err == nil || got != nil {
		t.Errorf("second chunk cut off: %d details, %v", len(got), err)
	}
	if _, err := c.Details(t.Context(), []string{`"]`}); err == nil || !strings.Contains(err.Error(), "expected hexadecimal digits") {
		t.Errorf("a hash that is none: %v", err)
	}
	if got, err := c.Details(t.Context(), nil); len(got) != 0 || err != nil {
		t.Errorf("no hashes: %v, %v", got, err)
	}
}

func TestEmptyRangeAndQuery(t *testing.T) {
	s := filled(t, 1)
	c := client(t, puppetdb.Config{URL: s.URL})
	if err := c.Reports(t.Context(), noon, noon.Add(time.Microsecond), nil); err == nil || !strings.Contains(err.Error(), "expected a range") {
		t.Errorf("a range of less than a millisecond: %v", err)
	}
	if err := c.PQL(t.Context(), " \n", nil); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("an empty PQL query: %v", err)
	}
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}
