package analyzer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// summarised replaces the runs of healthy nodes by summaries, made run by run as they would come in, and keeps of the
// others what trouble needs: all runs since the first failure, and that node's earlier ones too.
func summarised(e Evidence, p Policy) Evidence {
	envs := []string{e.Candidate}
	env := func(name string) uint16 {
		i := slices.Index(envs, name)
		if i < 0 {
			i = len(envs)
			envs = append(envs, name)
		}
		return uint16(i)
	}
	e = e.normalized()
	out := e
	out.Nodes, out.Runs = slices.Clone(e.Nodes), nil
	kept := map[string]bool{}
	for i := range out.Nodes {
		n := &out.Nodes[i]
		var recent Recent
		var rings []Recent // after every run
		var progress Progress
		sum := &Summary{}
		reference := e.StageStarted
		if n.Admitted() {
			reference = n.AdmittedAt.Time()
		}
		cut := false
		trouble := false
		odd := Odd{}
		habit, typical := Habit{}, uint16(0)
		lookback := time.Duration(p.Silence.Lookback)
		for k := range e.Runs {
			r := &e.Runs[k]
			if r.Certname != n.Certname {
				continue
			}
			if !cut && !r.at().Before(reference) {
				habit, cut = recent.Habit(reference, lookback, n.Admitted()), true
			}
			recent.Add(r, env(r.Environment))
			typical = recent.Typical(e.StageStarted, lookback, typical)
			rings = append(rings, recent)
			sum.Seen = max(sum.Seen, r.Alive(e.Now))
			if n.Admitted() {
				progress.Add(r, env(r.Environment), n.AdmittedAt.Time(), e.Now, 0, e.Kind == KindParameters)
			}
			if trouble = trouble || r.failed() || r.CachedCatalog == cacheOnFailure; trouble {
				out.Runs = append(out.Runs, *r)
			}
		}
		if !cut {
			habit = recent.Habit(reference, lookback, n.Admitted())
		}
		habit.Typical = typical
		sum.Habit = habit
		sum.Slower = recent.Slower(habit, reference, n.Admitted(), 0, e.Kind == KindParameters)
		usual, patience := p.Silence.Patience(habit)
		for _, r := range rings {
			r.Odd(usual, patience+e.Sources.Lag, e.StageStarted, progress.First(), &odd)
		}
		if odd != (Odd{}) {
			sum.Odd = &odd
		}
		if n.Admitted() {
			sum.Runs = progress.Runs()
		}
		n.Summary = sum
	}
	for k := range e.Runs {
		if r := e.Runs[k]; !slices.ContainsFunc(e.Nodes, func(n Node) bool { return n.Certname == r.Certname }) && !kept[r.Hash] {
			out.Runs = append(out.Runs, r)
		}
	}
	return out
}

// TestSummariesSayTheSame: a judge who sees summaries gives the verdict of one who sees every run, in every world that
// its clocks allow. Runs far in the future are left out: a summary never believes them, and a run that is there later counts.
func TestSummariesSayTheSame(t *testing.T) {
	summaries := 0
	rapid.Check(t, func(t *rapid.T) {
		w, p := randomWorld(t)
		w.drop(func(r Run) bool {
			return !r.Produced.After(w.Now) && !r.at().Before(w.Now.Add(-4*time.Hour)) // no more than are remembered
		})
		short := summarised(w.Evidence, p)
		want, got := Look(p, w.Evidence), Look(p, short)
		summaries += len(w.Runs) - len(short.Runs)
		// A clean run of the candidate before the failure is not kept, and does not matter to the verdict.
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("verdict (-all runs +summaries):\n%s", diff)
		}
	})
	if summaries == 0 {
		t.Error("no run was left out: this test shows nothing")
	}
}

// TestRecentTakesLateRuns: whatever the order, the last eight runs are the same.
func TestRecentTakesLateRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(1, 0)
		runs := slices.Clone(w.Runs)
		var want Recent
		for i := range runs {
			want.Add(&runs[i], 1)
		}
		var got Recent
		for _, i := range rapid.Permutation(slices.Collect(indices(len(runs)))).Draw(t, "order") {
			got.Add(&runs[i], 1)
		}
		if got != want {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

func indices(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// TestHabitIsCloseEnough: the 90th percentile over the last eight runs is within one gap of that over a week.
func TestHabitIsCloseEnough(t *testing.T) {
	w := newWorld(1, 0)
	var recent Recent
	for i := range w.Runs {
		recent.Add(&w.Runs[i], 0)
	}
	h := recent.Habit(now, 7*24*time.Hour, false)
	if h.Reports != 8 || h.Usual.Duration() != 30*time.Minute || h.Longest.Duration() != 20*time.Second || !h.Enforced || h.Last != now.Add(-15*time.Minute+21*time.Second).UnixMilli() {
		t.Errorf("%+v", h)
	}
	if h := recent.Habit(now.Add(-20*time.Minute), 40*time.Minute, false); h.Reports != 1 {
		t.Errorf("a lookback of 40 minutes before the last run: %+v", h)
	}
}

// millionNodes is evidence of n nodes, a twentieth of them admitted, one in a thousand of these with a failure.
func millionNodes(n int) Evidence {
	e := newWorld(0, 0).Evidence
	sums := make([]Summary, n)
	e.Nodes = make([]Node, n)
	for i := range e.Nodes {
		sums[i] = Summary{Habit: Habit{Reports: 8, Usual: QuartersOf(30 * time.Minute), Longest: QuartersOf(20 * time.Second), Enforced: true, Last: now.Add(-time.Hour).UnixMilli()},
			Seen: now.Add(-time.Duration(i%1800) * time.Second).UnixMilli()}
		e.Nodes[i] = Node{Certname: fmt.Sprintf("n%07d.example.test", i), Stage: -1, Summary: &sums[i]}
		if i%20 == 0 {
			e.Nodes[i].Stage, e.Nodes[i].AdmittedAt = 0, MomentOf(e.StageStarted)
			sums[i].Runs = 2
		}
		if i%20_000 == 10_001 {
			w := world{}
			w.run(e.Nodes[i].Certname, -30*time.Minute, "base").fail("Exec[elsewhere]")
			e.Runs = append(e.Runs, w.Runs...)
		}
	}
	return e
}

func BenchmarkLook(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 500_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			e := millionNodes(n)
			b.ReportAllocs()
			for b.Loop() {
				if v := Look(DefaultPolicy(), e); v.Result != Pass {
					b.Fatal(v.Reason)
				}
			}
		})
	}
}
