package analyzer

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// fleet is a simulated stage: nodes run every 30 minutes, canaries are admitted at once, and every run may fail.
type simFleet struct {
	Evidence
	rng  *rand.Rand
	all  []Run // that failed
	runs []time.Time
}

// newSim has n nodes of which the first canaries, in a random order, are admitted an hour after a quiet day. base is the
// share of runs that fail, rise what the change adds to it on the first run.
func newSim(seed uint64, n, canaries int, base, rise float64) *simFleet {
	f := &simFleet{rng: rand.New(rand.NewPCG(seed, 7))}
	start := now.Add(-24 * time.Hour)
	f.Evidence = Evidence{Rollout: "ntp", Stage: "one", Kind: KindEnvironment, Candidate: "cand", Baseline: "base", StageStarted: start,
		Bake: 0, Planned: canaries, Sources: Sources{Fresh: true}}
	picked := f.rng.Perm(n)
	sums := make([]Summary, n)
	for i := range n {
		node := Node{Certname: fmt.Sprintf("n%06d", i), Stage: -1, Stratum: []string{"db", "web"}[i%2], Summary: &sums[i]}
		if picked[i] < canaries {
			node.Stage, node.AdmittedAt = 0, MomentOf(start)
		}
		sums[i].Habit = Habit{Reports: 8, Usual: QuartersOf(30 * time.Minute), Longest: QuartersOf(20 * time.Second), Enforced: true, Last: start.UnixMilli()}
		splay := time.Duration(f.rng.Float64() * float64(30*time.Minute))
		for k := range 4 {
			rate := base
			if node.Admitted() && k == 0 {
				rate += rise
			}
			if f.rng.Float64() >= rate {
				continue
			}
			at := start.Add(splay + time.Duration(k)*30*time.Minute)
			r := Run{Hash: fmt.Sprintf("%s-%d", node.Certname, k), Certname: node.Certname, Environment: "base", Status: "failed", CachedCatalog: cacheNotUsed, CatalogUUID: "u",
				Start: at, End: at.Add(20 * time.Second), Produced: at.Add(21 * time.Second), Received: at.Add(22 * time.Second)}
			if node.Admitted() {
				r.Environment = "cand"
			}
			// Everywhere the same: nothing that the stop rule could go by.
			r.Detail = &Detail{Metrics: map[string]float64{metricConvertCatalog: .1}, Failures: []Failure{{Kind: KindResource, Resource: fmt.Sprintf("Exec[%d]", f.rng.IntN(3))}}}
			f.all = append(f.all, r)
		}
		f.Nodes = append(f.Nodes, node)
		f.runs = append(f.runs, start.Add(splay))
	}
	return f
}

// at is the evidence some time after the start.
func (f *simFleet) at(after time.Duration) Evidence {
	e := f.Evidence
	e.Now = f.StageStarted.Add(after)
	e.Sources.Through = e.Now
	for _, r := range f.all {
		if !r.Received.After(e.Now) {
			e.Runs = append(e.Runs, r)
		}
	}
	for i := range e.Nodes {
		s := e.Nodes[i].Summary
		s.Seen, s.Runs = f.StageStarted.UnixMilli(), 0
		if ran := e.Now.Sub(f.runs[i]); ran >= 0 {
			k := int64(ran / (30 * time.Minute))
			s.Seen = f.runs[i].Add(time.Duration(k) * 30 * time.Minute).UnixMilli()
			if e.Nodes[i].Admitted() {
				s.Runs = int32(k + 1)
			}
		}
	}
	return e
}

// play looks every two minutes for two hours, and returns the verdict that ended it, or the last.
func (f *simFleet) play(p Policy) (v Verdict, after time.Duration) {
	for after = 2 * time.Minute; after <= 2*time.Hour; after += 2 * time.Minute {
		if v = Look(p, f.at(after)); v.Result == Fail {
			return v, after
		}
	}
	return v, after
}

// TestTheBoundHoldsItsLevel: a change that does nothing is hardly ever taken back, however often one looks, and a stage of
// it passes although nodes fail all the time.
func TestTheBoundHoldsItsLevel(t *testing.T) {
	const rollouts = 25
	stopped, passed := 0, 0
	for seed := range uint64(rollouts) {
		v, _ := newSim(seed, 4_000, 400, .004, 0).play(DefaultPolicy())
		switch v.Result {
		case Fail:
			stopped++
			t.Log(seed, v.Reason)
		case Pass:
			passed++
		default:
			t.Log(seed, v.Reason)
		}
	}
	// One stage may spend half of .01: more than 2 of 25 has a probability below 1e-3.
	if stopped > 2 || passed < rollouts*8/10 {
		t.Errorf("%d of %d good changes were taken back, %d passed", stopped, rollouts, passed)
	}
}

// TestABadChangeIsFoundEarly: of failures that other nodes have too, five points more are found within a tenth of the stage.
func TestABadChangeIsFoundEarly(t *testing.T) {
	const rollouts = 15
	late := 0
	for seed := range uint64(rollouts) {
		v, after := newSim(seed, 8_000, 2_000, .002, .05).play(DefaultPolicy())
		if v.Result != Fail || v.Road != RoadBound {
			t.Fatalf("seed %d: %s by %q: %s", seed, v.Result, v.Road, v.Reason)
		}
		late += oneIf(after > 4*time.Minute)
		if seed == 0 {
			t.Log(after, v.Reason)
		}
	}
	if late > rollouts/10 {
		t.Errorf("%d of %d were found after more than 4 minutes", late, rollouts)
	}
}
