package analyzer

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"
)

// fleetOf is a small fleet that lives: at every step some of its nodes run, fail, fall silent, are admitted or measured.
type fleetOf struct {
	Evidence
	sums     []Summary
	measured []Measured
	all      []Run
	touch    func(i int)
}

func newFleetOf(t *rapid.T, n int) *fleetOf {
	f := &fleetOf{sums: make([]Summary, n), measured: make([]Measured, n), touch: func(int) {}}
	start := now.Add(-24 * time.Hour)
	f.Evidence = Evidence{Rollout: "ntp", Stage: "one", Kind: KindEnvironment, Candidate: "cand", Baseline: "base", StageIndex: 1, StageStarted: start,
		Bake: time.Hour, Ask: 1, Asks: 1, Planned: n / 2, Sources: Sources{Fresh: true}, Now: start, Nodes: make([]Node, n)}
	for i := range f.Nodes {
		s := &f.sums[i]
		s.Habit = Habit{Reports: 8, Usual: QuartersOf(30 * time.Minute), Longest: QuartersOf(20 * time.Second), Enforced: rapid.IntRange(0, 30).Draw(t, "noop") > 0, Last: start.Add(-time.Minute).UnixMilli()}
		s.Seen = start.UnixMilli()
		f.Nodes[i] = Node{Certname: fmt.Sprintf("n%04d", i), Stage: -1, Stratum: []string{"db", "web", ""}[i%3], Outside: i%7 == 0, Summary: s}
		if i%5 == 0 {
			f.Nodes[i].Stage, f.Nodes[i].AdmittedAt, f.Nodes[i].Outside = 0, MomentOf(start.Add(-time.Hour)), i%2 == 0
		}
		if i%4 == 0 {
			f.Nodes[i].Measured = &f.measured[i]
		}
	}
	return f
}

// step lets something happen to a node.
func (f *fleetOf) step(t *rapid.T) {
	i := rapid.IntRange(0, len(f.Nodes)-1).Draw(t, "node")
	n, s := &f.Nodes[i], &f.sums[i]
	f.touch(i)
	switch rapid.IntRange(0, 8).Draw(t, "what") {
	case 0, 1, 2: // it runs
		s.Seen = f.Now.UnixMilli()
		if n.Admitted() {
			s.Runs++
			s.Slower = Slower{Bins: int16(rapid.IntRange(-50, 50).Draw(t, "bins")), Runs: 1}
		}
	case 3:
		if !n.Admitted() {
			n.Stage, n.AdmittedAt, s.Runs = 1, MomentOf(f.Now), 0
		}
	case 4:
		s.Runs = 0 // it left the candidate
	case 5:
		at := f.Now.Add(-time.Minute)
		f.all = append(f.all, Run{Hash: fmt.Sprint(i, len(f.all)), Certname: n.Certname, Environment: []string{"cand", "base"}[oneIf(!n.Admitted())], Status: "failed", CachedCatalog: cacheNotUsed, CatalogUUID: "u",
			Start: at, End: at.Add(20 * time.Second), Produced: at.Add(20 * time.Second), Received: at.Add(20 * time.Second),
			Detail: &Detail{Metrics: map[string]float64{metricConvertCatalog: .1}, Failures: []Failure{{Kind: KindResource, Resource: fmt.Sprintf("Exec[%d]", i%3)}}}})
	case 6:
		s.Odd = &Odd{Convergence: Onset{At: f.Now.UnixMilli(), Seen: f.Now.UnixMilli()}}
	case 7:
		f.measured[i] = Measured{Retrieval: Slower{Bins: int16(rapid.IntRange(-50, 50).Draw(t, "retrieval")), Runs: 2}}
		if rapid.IntRange(0, 9).Draw(t, "corrective") == 0 {
			f.measured[i].Corrective = Onset{At: f.Now.UnixMilli(), Seen: f.Now.UnixMilli()}
		}
	case 8:
		if len(f.all) > 0 {
			f.all = f.all[1:] // forgotten: the node is told of it by nobody
		}
	}
}

func (f *fleetOf) evidence() Evidence {
	e := f.Evidence
	e.Runs = append([]Run(nil), f.all...)
	return e
}

func sameVerdict(t interface{ Fatalf(string, ...any) }, step int, got, want Verdict) {
	a, err := json.Marshal(got)
	if err != nil {
		t.Fatalf("%v", err)
	}
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatalf("%v", err)
	}
	if string(a) != string(b) {
		t.Fatalf("step %d: watched\n%s\nlooked at\n%s", step, a, b)
	}
}

// TestAWatchSaysWhatALookSays: whatever happens to the nodes, and however time goes on.
func TestAWatchSaysWhatALookSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFleetOf(t, rapid.IntRange(1, 150).Draw(t, "nodes"))
		p := DefaultPolicy()
		if rapid.Bool().Draw(t, "slis") {
			p.SLIs = []SLIPolicy{{Name: "errors", Query: "x", Direction: Increase}}
		}
		var w Watch
		f.touch = w.Touch
		for step := range rapid.IntRange(1, 12).Draw(t, "looks") {
			for range rapid.IntRange(0, 30).Draw(t, "steps") {
				f.step(t)
			}
			f.Now = f.Now.Add(time.Duration(rapid.IntRange(-5, 40).Draw(t, "minutes")) * time.Minute)
			f.Sources.Through = f.Now.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "lag")) * time.Minute)
			switch rapid.IntRange(0, 20).Draw(t, "frame") {
			case 0:
				f.StageStarted = f.StageStarted.Add(time.Minute)
			case 1:
				p.Runs = 3
			case 2:
				f.Nodes = append([]Node(nil), f.Nodes...) // another roster
			case 3:
				f.Sources.Lag = time.Minute
			}
			e := f.evidence()
			if len(p.SLIs) > 0 {
				e.SLIs = []SLISample{{Name: "errors", Canary: map[string]float64{}, Control: map[string]float64{}}}
				for i, n := range e.Nodes {
					e.SLIs[0].Canary[n.Certname], e.SLIs[0].Control[n.Certname] = float64(i%7), float64(i%5)
				}
			}
			sameVerdict(t, step, w.Look(p, e), Look(p, e))
			if ordinaries(&w) == 0 && len(f.all) == 0 && step == 0 && f.Now.Sub(f.StageStarted) < 20*time.Minute && len(f.Nodes) > 100 {
				t.Fatalf("no node is ordinary")
			}
		}
	})
}

func ordinaries(w *Watch) (n int) {
	for i := range w.plain {
		n += oneIf(w.plain[i].due != 0)
	}
	return n
}

// TestAWatchCannotPassWhatCannotBeJudged: what Look refuses is refused, also if it comes about later.
func TestAWatchCannotPassWhatCannotBeJudged(t *testing.T) {
	e := millionNodes(1000)
	var w Watch
	p := DefaultPolicy()
	if v := w.Look(p, e); v.Result != Pass || ordinaries(&w) < 900 {
		t.Fatalf("%s, %d ordinary", v.Reason, ordinaries(&w))
	}
	e.Nodes[7].Stage = 3
	w.Touch(7)
	sameVerdict(t, 0, w.Look(p, e), Look(p, e))
	e.Nodes[7].Stage = -1
	w.Touch(7)
	sameVerdict(t, 1, w.Look(p, e), Look(p, e))
	bad := e
	bad.Candidate = ""
	sameVerdict(t, 2, w.Look(p, bad), Look(p, bad))
	bad = e
	bad.Bake = -1
	sameVerdict(t, 3, w.Look(p, bad), Look(p, bad))
	q := p
	q.Coverage = 2
	sameVerdict(t, 4, w.Look(q, e), Look(q, e))
	bad = e
	bad.Nodes = append([]Node(nil), e.Nodes...)
	bad.Nodes[0], bad.Nodes[1] = bad.Nodes[1], bad.Nodes[0]
	sameVerdict(t, 5, w.Look(p, bad), Look(p, bad))
	sameVerdict(t, 6, w.Look(p, Evidence{}), Look(p, Evidence{}))
	sameVerdict(t, 7, w.Look(p, e), Look(p, e))
}

// BenchmarkWatch: a look ten seconds after the last one, in which 1 in 180 nodes ran.
func BenchmarkWatch(b *testing.B) {
	for _, n := range []int{100_000, 500_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := millionNodes(n)
			rng := rand.New(rand.NewPCG(1, 2))
			var w Watch
			p := DefaultPolicy()
			w.Look(p, e)
			b.ReportAllocs()
			for b.Loop() {
				for range n / 180 {
					i := rng.IntN(n)
					e.Nodes[i].Summary.Seen = e.Now.UnixMilli() - int64(rng.IntN(10_000))
					w.Touch(i)
				}
				if v := w.Look(p, e); v.Result != Pass {
					b.Fatal(v.Reason)
				}
			}
		})
	}
}

// TestANodeIsSmall: what the judge keeps of an ordinary node between two looks is its record, its summary, and what a watch knows.
func TestANodeIsSmall(t *testing.T) {
	var w Watch
	bytes := unsafe.Sizeof(Node{}) + unsafe.Sizeof(Summary{}) + unsafe.Sizeof(w.plain[0]) + unsafe.Sizeof(w.dirty[0]) + unsafe.Sizeof(w.kept[0])
	t.Logf("%d bytes a node", bytes)
	if bytes > 150 {
		t.Errorf("%d bytes a node, expected 150 at most", bytes)
	}
}
