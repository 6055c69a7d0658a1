package daemon

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// TestReportsComeInWhileAnAnswerIsAwaited: a look that waits for PuppetDB to answer a segment's query does not keep the ledger
// locked, and a query that fails keeps the stage closed until one is answered.
func TestReportsComeInWhileAnAnswerIsAwaited(t *testing.T) {
	l := newLab(t, 6).lead()
	l.l.site.cfg.Segments["fra1"] = config.Segment{PQL: `nodes[certname] { certname ~ "n0[0-3]" }`}
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)

	asked, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hung := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		once.Do(func() { close(asked) })
		<-release
		http.Error(w, "out of order", http.StatusInternalServerError)
	}))
	defer hung.Close()
	sound := l.l.site.pdb
	broken, err := puppetdb.New(puppetdb.Config{URL: hung.URL})
	l.must(err)
	l.l.site.pdb = broken
	l.must(l.l.collector.readInventory(l.Context())) // a new one, for which the query is asked again
	done := make(chan error)
	go func() {
		_, err := l.l.look(l.Context())
		done <- err
	}()
	<-asked
	if !l.l.collector.ledger.mu.TryLock() {
		t.Error("the ledger is locked while PuppetDB does not answer")
	} else {
		l.l.collector.ledger.mu.Unlock()
	}
	close(release)
	l.must(<-done)
	if why := l.closed("ntp"); !strings.Contains(why, "segment: fra1 of stage") || !strings.Contains(why, "500") {
		t.Errorf("closed gates: %s", why)
	}
	l.l.site.pdb = sound
	l.until("ntp", gate.Completed)
}
