package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// wrote is what one look put into the store, in bytes of keys and values.
type wrote struct {
	keys                 map[string]int
	audit, status, other int
	manifest             bool
}

func (w *wrote) take(ops []store.Op) {
	for _, op := range ops {
		n := len(op.Key) + len(op.Value)
		switch {
		case n == len(op.Key): // a check or a removal
			continue
		case strings.HasPrefix(op.Key, "audit/"):
			w.audit += n
		case strings.HasSuffix(op.Key, "/status"):
			w.status += n
		default:
			w.other += n
		}
		w.keys[op.Key] += n
		w.manifest = w.manifest || op.Key == tree.ManifestKey
	}
}

// crept makes a rollout's past as long as if it had taken so many steps, none of which admitted anybody.
func (l *lab) crept(name string, steps int) {
	l.Helper()
	for range steps / 10 {
		snap := l.snapshot()
		r := snap.Rollout(name)
		next := r.State
		var more []gate.Admission
		for i := range 10 {
			a := next.Admissions[0]
			a.At, a.Threshold = a.At.Add(time.Duration(i)*time.Second+123456789), segments.FromShare(uint64(i+1))
			more = append(more, a)
		}
		next.Admissions = append(slices.Clone(r.State.Admissions), more...)
		l.must(l.kv.Txn(l.Context(), snap.PutState(r, next, true)...))
	}
}

// TestStepIsSmall: a look that raises a threshold, inside a stage or with the next one, writes 4 kB at most beside the lines of
// the audit, whatever the fleet's size is: what has a node's name in it is capped, and sets are written once. The status is not
// part of it, since it is written every minute whether there is a step or not; it stays below 12 kB. So it is after hundreds of
// steps.
func TestStepIsSmall(t *testing.T) {
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("web-%07d.fra1.prod.example.org", i)) // as long as certnames are
	}
	l := newLabOf(t, names, mem.New(), "")
	l.lead()
	l.look()
	r := startOf("production_2")
	r.Schedule = "steps"
	l.request("production_8f3c2d1a", tree.Request{Kind: tree.RequestStart, Rollout: "production_8f3c2d1a", Start: r})
	var w wrote
	l.l.faults.Plan(func(c storetest.Call) storetest.Fault {
		if c.Method == "Txn" {
			w.take(c.Ops)
		}
		return storetest.Fault{}
	})
	steps, most, mostAudit, mostStatus := 0, wrote{}, 0, 0
	var before gate.State
	for range 144 {
		for range 3 {
			w = wrote{keys: map[string]int{}}
			_, err := l.l.look(l.Context())
			l.must(err)
			now := l.state("production_8f3c2d1a")
			if len(before.Admissions) > 0 && len(now.Admissions) > len(before.Admissions) {
				if steps++; steps == 2 {
					l.crept("production_8f3c2d1a", 600)
					now = l.state("production_8f3c2d1a")
				}
				if w.other > most.other {
					most = w
				}
				mostAudit, mostStatus = max(mostAudit, w.audit), max(mostStatus, w.status)
			}
			before = now
			l.accept()
		}
		if before.Phase == gate.Completed {
			break
		}
		l.agents()
		l.accept()
		l.collect(l.l)
	}
	pages, _, err := l.kv.List(l.Context(), "rollouts/production_8f3c2d1a/past/")
	l.must(err)
	if before.Phase != gate.Completed || steps < 8 || !most.manifest || len(pages) < 30 {
		t.Fatalf("%s after %d steps, %d pages; closed: %s", before.Phase, steps, len(pages), l.closed("production_8f3c2d1a"))
	}
	t.Logf("%d steps; the largest wrote %d bytes (%v), and at most %d into the audit and %d into the status", steps, most.other, most.keys, mostAudit, mostStatus)
	if most.other > 4000 || mostAudit > 4000 || mostStatus > 12_000 {
		t.Errorf("a step wrote %d bytes (%v), %d into the audit and %d into the status, expected 4000, 4000 and 12000 at most", most.other, most.keys, mostAudit, mostStatus)
	}
}
