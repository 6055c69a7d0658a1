package analyzer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// staged is a rollout in its second stage: nodes that the first admitted, nodes that this one did, and controls. Nodes run every half
// hour, each at a minute of its own.
type staged struct {
	Evidence
	began  time.Time // of the rollout
	serial int
}

func newStaged(early, own, controls int, apart time.Duration) *staged {
	f := &staged{began: now.Add(-2*time.Hour - apart)}
	start := f.began.Add(apart)
	f.Evidence = Evidence{Rollout: "ntp", Stage: "two", StageIndex: 1, Kind: KindEnvironment, Candidate: "cand", Baseline: "base", StageStarted: start, Planned: own,
		Sources: Sources{Fresh: true, Through: now}, Now: now}
	for i := range early + own + controls {
		n := Node{Certname: fmt.Sprintf("n%06d", i), Stage: -1, Summary: &Summary{Seen: now.Add(-time.Minute).UnixMilli(),
			Habit: Habit{Reports: 8, Usual: QuartersOf(30 * time.Minute), Longest: QuartersOf(20 * time.Second), Enforced: true, Last: f.began.UnixMilli()}}}
		switch {
		case i < early:
			n.Stage, n.AdmittedAt, n.Summary.Runs = 0, MomentOf(f.began), 8
		case i < early+own:
			n.Stage, n.AdmittedAt, n.Summary.Runs, n.Summary.Habit.Last = 1, MomentOf(start), 4, start.UnixMilli()
		default:
			n.Summary.Habit.Last = start.UnixMilli()
		}
		f.Nodes = append(f.Nodes, n)
	}
	return f
}

// fail lets a node fail at a time, as others do too.
func (f *staged) fail(i int, at time.Time) {
	n := f.Nodes[i]
	f.serial++
	r := Run{Hash: fmt.Sprint(f.serial), Certname: n.Certname, Environment: "base", Status: "failed", CachedCatalog: cacheNotUsed, CatalogUUID: "u",
		Start: at, End: at.Add(20 * time.Second), Produced: at.Add(21 * time.Second), Received: at.Add(22 * time.Second),
		Detail: &Detail{Metrics: map[string]float64{metricConvertCatalog: .1}, Failures: []Failure{{Kind: KindResource, Resource: fmt.Sprintf("Exec[%d]", i%3)}}}}
	if n.Admitted() && !at.Before(n.AdmittedAt.Time()) {
		r.Environment = "cand"
	}
	f.Runs = append(f.Runs, r)
}

// each lets every k-th node from one on fail in the half hour after a time, in no order.
func (f *staged) each(from, to, k int, at time.Time) {
	for i := from; i < to; i += k {
		f.fail(i, at.Add(time.Duration(i*7_919%1_800)*time.Second))
	}
}

// TestLateFailuresOfEarlierStages: the change breaks nodes hours after they ran it first, in a way that others fail, too. Nodes of the
// stage that is judged are still well.
func TestLateFailuresOfEarlierStages(t *testing.T) {
	world := func(k int) *staged {
		f := newStaged(400, 400, 4_000, 5*time.Hour)
		f.each(0, 4_800, 100, f.began.Add(time.Hour)) // a hundredth of all fails anyway
		f.each(1, 400, k, f.began.Add(5*time.Hour))   // from the tenth run on
		f.each(401, 4_800, 150, f.began.Add(5*time.Hour))
		return f
	}
	v := Look(DefaultPolicy(), world(20).Evidence)
	if v.Result != Inconclusive || !strings.Contains(v.Reason, "20 of the 30 nodes that failed for the first time since the rollout began, until 2026-03-10T10:12:00Z, had the change since an earlier stage, 0.99 would by chance") {
		t.Errorf("a twentieth of the earlier nodes: %s: %s", v.Result, v.Reason)
	}
	if v := Look(DefaultPolicy(), world(150).Evidence); v.Result != Pass {
		t.Errorf("no more than others: %s: %s", v.Result, v.Reason)
	}
	f := world(20)
	for i := range f.Nodes {
		f.Nodes[i].Outside = i < 400 // such as nodes of another segment, which are not like these
	}
	if v := Look(DefaultPolicy(), f.Evidence); v.Result != Pass {
		t.Errorf("outside: %s: %s", v.Result, v.Reason)
	}
	f = world(20)
	f.each(1, 400, 20, f.began.Add(-3*time.Hour))
	if v := Look(DefaultPolicy(), f.Evidence); v.Result != Pass {
		t.Errorf("they failed before, too: %s: %s", v.Result, v.Reason)
	}
}

// TestLastingHoldsItsLevel: a change that does nothing is hardly ever held by it, though the fleet fails more and more.
func TestLastingHoldsItsLevel(t *testing.T) {
	const rollouts = 600
	held := 0
	for seed := range uint64(rollouts) {
		f, rng := newStaged(60, 100, 300, 5*time.Hour), rand.New(rand.NewPCG(seed, 3))
		for i := range f.Nodes {
			for at := f.began.Add(-4*time.Hour + time.Duration(rng.IntN(1800))*time.Second); at.Before(now); at = at.Add(30 * time.Minute) {
				if rng.Float64() < .01*math.Exp2(at.Sub(f.began).Hours()/4) {
					f.fail(i, at)
				}
			}
		}
		c := newCohorts(DefaultPolicy(), f.normalized())
		held += oneIf(c.lasting(failureEvents) != "")
	}
	// At most lastingError/2 = .005: more than 9 of 600 has a probability below .002.
	if held > 9 {
		t.Errorf("%d of %d good changes were held", held, rollouts)
	}
}

// TestRiskCountsEveryNode: against counting everybody anew at each event.
func TestRiskCountsEveryNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawStaged(t)
		c := newCohorts(DefaultPolicy(), f.normalized())
		var began Moment
		for _, n := range f.Nodes {
			if n.Admitted() && !n.Outside && (began == 0 || n.AdmittedAt < began) {
				began = n.AdmittedAt
			}
		}
		if began == 0 {
			return
		}
		first := map[string]int64{} // ms; 0 = it failed before
		for _, r := range f.Runs {
			switch at := r.Produced.Add(-20 * time.Second); {
			case at.Before(began.Time()):
				first[r.Certname] = 0
			default:
				if was, known := first[r.Certname]; !known || at.UnixMilli() < was {
					first[r.Certname] = at.UnixMilli()
				}
			}
		}
		next := func(stage int32) (at int64) { // when the stage after it began, 0 for the last
			for after := stage + 1; at == 0 && int(after) <= f.StageIndex; after++ {
				for _, n := range f.Nodes {
					if m := n.AdmittedAt.milli(); n.Stage == after && !n.Outside && (at == 0 || m < at) {
						at = m
					}
				}
			}
			return at
		}
		side := func(n Node, at int64) int {
			until := next(n.Stage)
			switch {
			case !n.Admitted() || n.AdmittedAt.milli() > at:
				return asControl
			case until == 0 || at < until:
				return asOwn
			}
			return asCanary
		}
		r := c.risk(failureEvents)
		for _, e := range r.events {
			r.moveTo(e.at)
			want := [3]int{}
			for _, n := range f.Nodes {
				if n.Certname == e.certname && side(n, e.at) != r.side(e.intake) {
					t.Fatalf("%s at %d is %d", e.certname, e.at, r.side(e.intake))
				}
				if at, failed := first[n.Certname]; n.Outside || failed && (at < e.at || at == e.at && n.Certname < e.certname) {
					continue
				}
				want[side(n, e.at)]++
			}
			if r.y1 != want[asCanary] || r.y0 != want[asControl] {
				t.Fatalf("%s at %d: %d and %d, want %v", e.certname, e.at, r.y1, r.y0, want)
			}
			r.goes(e.intake)
		}
		if said := c.lasting(failureEvents); said != "" && !strings.Contains(said, "a person has to look") {
			t.Fatal(said) // events that nobody was at risk of
		}
	})
}

// TestDriftFlattersNobody: the nodes of the first stage had their first runs when little failed. Their controls are those of that time.
func TestDriftFlattersNobody(t *testing.T) {
	for _, c := range []struct {
		name         string
		first, later int // each so many-th node fails in the hours of the first stage, and of this one
		harm         int // as do so many of those with the change beside them, 0 = none
		want         Grade
	}{
		{"nothing fails", 0, 0, 0, Certified},
		{"more and more fails, and 1.1 points with the change", 0, 33, 90, Clean},
		{"less and less fails, and the change does nothing", 33, 0, 0, Certified},
		{"the same all the time, and the change does nothing", 50, 50, 0, Certified},
	} {
		const early, own, all = 2_500, 2_500, 20_000
		f := newStaged(early, own, all-early-own, 5*time.Hour)
		f.Ask, f.Asks = 1, 1
		if c.first > 0 {
			f.each(0, all, c.first, f.began.Add(20*time.Minute))
		}
		if c.later > 0 {
			f.each(1, all, c.later, f.StageStarted.Add(20*time.Minute))
		}
		if c.harm > 0 {
			f.each(2, early, c.harm, f.began.Add(20*time.Minute))
			f.each(early+2, early+own, c.harm, f.StageStarted.Add(20*time.Minute))
		}
		v := Look(DefaultPolicy(), f.Evidence)
		if lacks := lacksAbout(v, "new_failures: to rule out"); lacks != (c.want == Clean) || c.want == Certified && v.Grade != Certified {
			t.Errorf("%s: %s %s: %s; %q", c.name, v.Result, v.Grade, v.Reason, v.Uncertified)
		}
	}
}

// TestYesterdaysFailuresCount: a node that failed once on the day before answers like any other; one that failed in its last four runs
// does not.
func TestYesterdaysFailuresCount(t *testing.T) {
	for back, want := range map[time.Duration]Grade{10 * time.Hour: Certified, 3 * time.Hour: Certified, time.Hour: Clean} {
		f := newStaged(0, 600, 19_400, 5*time.Hour)
		f.Ask, f.Asks = 1, 1
		f.each(0, 20_000, 2, f.StageStarted.Add(-back-30*time.Minute))
		if v := Look(DefaultPolicy(), f.Evidence); v.Result != Pass || v.Grade != want {
			t.Errorf("%v before: %s %s: %s; %q", back, v.Result, v.Grade, v.Reason, v.Uncertified)
		}
	}
}
