package analyzer

import (
	"testing"
	"time"
)

// TestConvergenceBeforeIsWhatIsRemembered: a leader that has read a whole day when the stage is known must not know more of a
// node's past than one that was there when the stage began, and had eight runs of it.
func TestConvergenceBeforeIsWhatIsRemembered(t *testing.T) {
	const usual, patience = 30 * time.Minute, 40 * time.Minute
	started := now
	runAt := func(k int) *Run { // k half hours before the stage; the two runs ten hours before it changed something
		at := started.Add(-time.Duration(k)*usual - time.Minute)
		r := &Run{Certname: "n", Environment: "base", Status: "unchanged", CachedCatalog: "not_used", CatalogUUID: "u", Start: at, End: at.Add(20 * time.Second), Produced: at.Add(21 * time.Second)}
		if k == 20 || k == 21 {
			r.Status = "changed"
		}
		return r
	}
	var here, next Recent
	var was, is Odd
	for k := 40; k >= 0; k-- {
		here.Add(runAt(k), 1)
		next.Add(runAt(k), 1)
		next.Odd(usual, patience, started, time.Time{}, &is) // the stage is known while it reads
	}
	here.Odd(usual, patience, started, time.Time{}, &was)
	if was != is {
		t.Errorf("the next leader has %+v, the one that was there %+v", is, was)
	}
}
