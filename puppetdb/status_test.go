package puppetdb_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

func TestVersion(t *testing.T) {
	s := puppetdbtest.NewServer(t)
	for _, v := range []string{"7.12.1", ""} { // OpenVoxDB 8.12.0 says nothing
		s.SetVersion(v)
		if got, err := client(t, puppetdb.Config{URL: s.URL}).Version(t.Context()); got != v || err != nil {
			t.Errorf("version %q, %v, want %q", got, err, v)
		}
	}
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"ok":true}`) }))
	defer h.Close()
	if _, err := client(t, puppetdb.Config{URL: h.URL}).Version(t.Context()); err == nil {
		t.Error("a service without a version passed for PuppetDB")
	}
}

func TestStatus(t *testing.T) {
	s := puppetdbtest.NewServer(t)
	c := client(t, puppetdb.Config{URL: s.URL})
	s.SetQueueDepth(4711)
	s.SetMaintenance(true)
	want := puppetdb.Status{State: "running", QueueDepth: 4711, ReadUp: true, WriteUp: true, Maintenance: true}
	if got, err := c.Status(t.Context()); got != want || err != nil {
		t.Errorf("status %+v, %v, want %+v", got, err, want)
	}
	s.SetState("starting") // with status 503, which is an answer here
	want.State = "starting"
	if got, err := c.Status(t.Context()); got != want || err != nil {
		t.Errorf("status %+v, %v, want %+v", got, err, want)
	}
	if n := len(s.Requests()); n != 2 {
		t.Errorf("%d requests for two answers", n)
	}
}

// Ensure that what is missing from a status never reads as all right.
func TestStatusIncomplete(t *testing.T) {
	ask := func(answer string) (puppetdb.Status, error) {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }))
		defer h.Close()
		c := client(t, puppetdb.Config{URL: h.URL})
		defer c.Close()
		return c.Status(t.Context())
	}
	for _, answer := range []string{
		`{}`, `[]`, `null`, ``, `{"state":"running"}`, `{"state":"running","status":{"maintenance_mode?":false}}`,
		`{"state":"running","status":{"queue_depth":null,"maintenance_mode?":false}}`,
		`{"state":"running","status":{"queue_depth":-1,"maintenance_mode?":false}}`,
		`{"state":"running","status":{"queue_depth":0}}`,
		`{"state":"running","status":{"queue_depth":0,"maintenance_mode?":false}}x`,
		`{"state":"running","status":{"queue_dep`,
	} {
		if got, err := ask(answer); err == nil || got != (puppetdb.Status{}) {
			t.Errorf("%s: %+v, %v", answer, got, err)
		}
	}
	got, err := ask(`{"state":"running","status":{"queue_depth":0,"maintenance_mode?":false}}`)
	if err != nil || got.ReadUp || got.WriteUp {
		t.Errorf("databases that are not mentioned: %+v, %v", got, err)
	}
}
