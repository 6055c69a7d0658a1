package analyzer

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// measured gives the nodes of a simulated fleet metrics, of every nth node alone; worse says by how much longer catalogs take with
// the change.
func (f *simFleet) measured(every int, worse float64, corrective func(i int) bool) {
	for i := range f.Nodes {
		n := &f.Nodes[i]
		if i%every != 0 {
			continue
		}
		noise := f.rng.NormFloat64() * .3
		if n.Admitted() {
			noise += math.Log1p(worse)
		}
		m := &Measured{Retrieval: slowerBy(math.Exp(noise), 3)}
		if corrective(i) {
			at := f.runs[i]
			m.Corrective = Onset{At: at.UnixMilli(), Seen: at.Add(30 * time.Second).UnixMilli()}
		}
		n.Measured = m
	}
}

func never(int) bool { return false }

// TestLateCatalogsAreFound: the nodes that are measured tell of it; the others are neither asked nor counted.
func TestLateCatalogsAreFound(t *testing.T) {
	for _, c := range []struct {
		every int
		worse float64
		want  Result
	}{{1, 0, Pass}, {1, .02, Pass}, {1, .2, Fail}, {10, 0, Pass}, {10, .5, Fail}} {
		f := newSim(9, 20_000, 2_000, 0, 0)
		f.measured(c.every, c.worse, never)
		v := Look(DefaultPolicy(), f.at(2*time.Hour))
		got := checkOf(t, v, "config_retrieval")
		if got.Result != c.want || got.Canary+got.Control != 20_000/c.every || got.CanaryTotal != got.Canary {
			t.Errorf("%v longer on one in %d: %s: %s (%d of %d, %d)", c.worse, c.every, got.Result, got.Reason, got.Canary, got.CanaryTotal, got.Control)
		}
		if c.want == Fail && (v.Result != Fail || v.Road != RoadBound || !strings.Contains(v.Reason, "catalogs took longer to come")) {
			t.Errorf("%s: %s", v.Result, v.Reason)
		}
	}
}

// TestCorrectiveComparesMeasuredNodes: a node that is not measured is in neither arm, however many there are of them.
func TestCorrectiveComparesMeasuredNodes(t *testing.T) {
	for _, every := range []int{1, 10} {
		for _, worse := range []bool{false, true} {
			f := newSim(4, 20_000, 4_000, 0, 0)
			f.measured(every, 0, func(i int) bool { return i/every%100 == 0 || worse && f.Nodes[i].Admitted() && i/every%10 == 1 })
			v := Look(DefaultPolicy(), f.at(2*time.Hour))
			got := checkOf(t, v, "corrective")
			if want := map[bool]Result{false: Pass, true: Fail}[worse]; got.Result != want || (v.Result == Fail) != worse {
				t.Errorf("one in %d, worse %t: %s: %s", every, worse, got.Result, got.Reason)
			}
			if got.CanaryTotal+got.ControlTotal != 20_000/every || got.Bound.Events != got.Canary+got.Control {
				t.Errorf("one in %d: %+v", every, got)
			}
		}
	}
}

// TestNothingMeasured: the checks say so, and are no reason to hold.
func TestNothingMeasured(t *testing.T) {
	f := newSim(4, 8_000, 1_000, 0, 0)
	v := Look(DefaultPolicy(), f.at(2*time.Hour))
	for _, name := range []string{"config_retrieval", "corrective"} {
		if got := checkOf(t, v, name); got.Result != Inconclusive || !got.Optional || got.Reason != notMeasured {
			t.Errorf("%s: %s: %s", name, got.Result, got.Reason)
		}
	}
	if v.Result != Pass {
		t.Errorf("%s: %s", v.Result, v.Reason)
	}
}

func metricRun(at time.Time, env string, seconds float64, corrective bool) *Run {
	r := &Run{Environment: env, Status: statusUnchanged, CachedCatalog: cacheNotUsed, CatalogUUID: "u", Start: at, End: at.Add(20 * time.Second), Produced: at.Add(20 * time.Second),
		Detail: &Detail{Metrics: map[string]float64{metricRetrieval: seconds, metricCorrective: float64(oneIf(corrective))}}}
	return r
}

// TestMeasures: what a node's runs amount to, by hand.
func TestMeasures(t *testing.T) {
	start := now.Add(-24 * time.Hour)
	m := NewMeasures(start, 2*time.Hour)
	add := func(after time.Duration, env string, seconds float64, corrective bool) {
		m.Add(metricRun(start.Add(after), env, seconds, corrective), uint16(1+oneIf(env != "cand")))
	}
	add(-3*time.Hour, "base", 100, true) // before all that counts
	add(-90*time.Minute, "base", 1, false)
	add(-60*time.Minute, "base", 2, false)
	add(-30*time.Minute, "base", 3, false)
	if got := m.Measured(start, true, 1, false); got != (Measured{}) {
		t.Errorf("without a run since: %+v", got)
	}
	add(1*time.Minute, "cand", 50, false) // the first run brings the plugins
	add(31*time.Minute, "cand", 4, false)
	add(61*time.Minute, "base", 1000, false) // of something else
	add(91*time.Minute, "cand", 4, true)
	failed := metricRun(start.Add(2*time.Hour), "cand", .003, false)
	failed.CachedCatalog = cacheOnFailure // the time to load the cache
	m.Add(failed, 1)
	got := m.Measured(start, true, 1, false)
	if want := slowerBy(2, 2); got.Retrieval != want {
		t.Errorf("%+v, want %+v", got.Retrieval, want)
	}
	if at := start.Add(91 * time.Minute); got.Corrective.At != at.UnixMilli() || got.Corrective.Seen < at.Add(20*time.Second).UnixMilli() || got.Corrective.Before {
		t.Errorf("%+v", got.Corrective)
	}
	// A control's environment does not matter, and its reference is the stage's start.
	if got, want := m.Measured(start, false, 1, false).Retrieval, slowerBy(2, 3); got != want {
		t.Errorf("as a control %+v, want %+v", got, want)
	}
	add(-45*time.Minute, "base", 2, true)
	if got := m.Measured(start, true, 1, false).Corrective; !got.Before {
		t.Errorf("it was put right before too: %+v", got)
	}
}

// TestMeasuresDoNotDependOnOrder: nor on what is told twice, and a later stage's are those of who begins with it.
func TestMeasuresDoNotDependOnOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := now.Add(-24 * time.Hour)
		var runs []*Run
		for i := range rapid.IntRange(0, 60).Draw(t, "runs") {
			at := start.Add(time.Duration(rapid.IntRange(-5*3600, 20*3600).Draw(t, fmt.Sprint("at", i))) * time.Second)
			runs = append(runs, metricRun(at, rapid.SampledFrom([]string{"cand", "base"}).Draw(t, "env"), float64(rapid.IntRange(0, 9).Draw(t, "s")), rapid.Bool().Draw(t, "corrective")))
		}
		of := func(started time.Time, runs []*Run) *Measures {
			m := NewMeasures(started, 2*time.Hour)
			for _, r := range runs {
				m.Add(r, uint16(1+oneIf(r.Environment != "cand")))
			}
			return m
		}
		shuffled := rapid.Permutation(append(runs, runs...)).Draw(t, "shuffled")
		reference := start.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "reference")) * time.Hour)
		a, b := of(start, runs), of(start, shuffled)
		if x, y := a.Measured(reference, true, 1, false), b.Measured(reference, true, 1, false); x != y {
			t.Fatalf("%+v, %+v", x, y)
		}
		later := start.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "later")) * time.Hour)
		if x, y := a.Again(later, 2*time.Hour).Measured(reference, false, 1, false), of(later, runs).Measured(reference, false, 1, false); x != y {
			t.Fatalf("again: %+v, anew: %+v", x, y)
		}
	})
}

// TestARunWithoutMetricsIsAGap, from the time on that counts, in whatever order it comes; a failed run has none anyway.
func TestARunWithoutMetricsIsAGap(t *testing.T) {
	start := now.Add(-24 * time.Hour)
	for _, c := range []struct {
		name  string
		after time.Duration
		mute  func(r *Run)
		want  bool
	}{
		{"no metrics", time.Hour, func(r *Run) { r.Detail.Metrics = nil }, true},
		{"none that says so", time.Hour, func(r *Run) { delete(r.Detail.Metrics, metricCorrective) }, true},
		{"before the stage", -time.Hour, func(r *Run) { r.Detail.Metrics = nil }, true},
		{"before all that counts", -3 * time.Hour, func(r *Run) { r.Detail.Metrics = nil }, false},
		{"failed", time.Hour, func(r *Run) { r.Detail.Metrics, r.Status = nil, "failed" }, false},
		{"only the catalog's time is not known", time.Hour, func(r *Run) { delete(r.Detail.Metrics, metricRetrieval) }, false},
	} {
		for _, first := range []bool{true, false} {
			m := NewMeasures(start, 2*time.Hour)
			odd := metricRun(start.Add(c.after), "cand", 1, false)
			c.mute(odd)
			if first {
				m.Add(odd, 1)
			}
			for k := range 8 {
				m.Add(metricRun(start.Add(time.Duration(k-3)*30*time.Minute), "cand", 1, false), 1)
			}
			m.Add(odd, 1)
			if m.Gaps() != c.want {
				t.Errorf("%s, first %t: a gap %t, want %t", c.name, first, m.Gaps(), c.want)
			}
			if soon := m.Again(start.Add(30*time.Minute), 2*time.Hour); soon.Gaps() != c.want {
				t.Errorf("%s: half an hour later a gap %t, want %t", c.name, soon.Gaps(), c.want)
			}
			if later := m.Again(start.Add(24*time.Hour), 2*time.Hour); later.Gaps() {
				t.Errorf("%s: it still stands a day later", c.name)
			}
		}
	}
}

// TestRunsWithoutMetricsAreNoHealthyRuns: a canary and a control of which one run came without metrics are in neither arm of the check.
func TestRunsWithoutMetricsAreNoHealthyRuns(t *testing.T) {
	f := newSim(4, 400, 200, 0, 0)
	e := f.at(2 * time.Hour)
	var canary, control string
	for i := range e.Nodes {
		n := &e.Nodes[i]
		n.Summary = nil
		env := "base"
		if n.Admitted() {
			env, canary = "cand", n.Certname
		} else {
			control = n.Certname
		}
		for k := range 12 {
			at := f.runs[i].Add(time.Duration(k-8) * 30 * time.Minute)
			r := metricRun(at, env, 1, false)
			if k < 8 {
				r.Environment = "base"
			}
			r.Hash, r.Certname, r.Received = fmt.Sprintf("%s-%d", n.Certname, k), n.Certname, r.Produced.Add(time.Second)
			e.Runs = append(e.Runs, *r)
		}
	}
	whole := checkOf(t, Look(DefaultPolicy(), e), "corrective")
	if whole.CanaryTotal != 200 || whole.ControlTotal != 200 {
		t.Fatalf("%+v", whole)
	}
	for i := range e.Runs {
		if r := &e.Runs[i]; (r.Certname == canary || r.Certname == control) && strings.HasSuffix(r.Hash, "-9") {
			r.Detail = &Detail{Metrics: map[string]float64{}}
		}
	}
	got := checkOf(t, Look(DefaultPolicy(), e), "corrective")
	if got.CanaryTotal != 199 || got.ControlTotal != 199 {
		t.Errorf("%d canaries and %d controls are compared, want one less of both", got.CanaryTotal, got.ControlTotal)
	}
}

// TestMeasuresAreBounded: a node that is measured for a month keeps its first runs and its last ones.
func TestMeasuresAreBounded(t *testing.T) {
	start := now.Add(-31 * 24 * time.Hour)
	m := NewMeasures(start, 2*time.Hour)
	for i := range 1500 {
		m.Add(metricRun(start.Add(time.Duration(i-4)*30*time.Minute), "cand", float64(1+oneIf(i > 10)), i == 20), 1)
	}
	got := m.Measured(start, true, 1, false)
	if len(m.runs) != mostMeasures || got.Retrieval != slowerBy(2, 3) || got.Corrective.At == 0 {
		t.Errorf("%d runs, %+v", len(m.runs), got)
	}
}
