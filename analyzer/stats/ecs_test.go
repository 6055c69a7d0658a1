package stats

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func mustECS(t testing.TB, alpha float64) ECS {
	t.Helper()
	e, err := NewECS(alpha)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// The worked example of the facts page, section 2.2.
func TestECSWorkedExample(t *testing.T) {
	t.Parallel()
	e := mustECS(t, .01)
	for i, s := range []struct {
		t             float64
		d, c          int
		before        []float64
		budget, spent float64
		boundary, j   int
	}{
		{.04, 1, 0, []float64{.95, .05}, .002, 0, 2, 0},
		{.10, 1, 1, []float64{.9025, .095, .0025}, .003162, .0025, 2, 1},
		{.18, 3, 1, []float64{.7736586, .2038521, .0192064, .0007718, .0000112}, .004243, .0032830, 3, 2},
		{.30, 1, 0, []float64{.7349756, .2323424, .0284387, .0009603}, .005477, .0042433, 3, 2},
		{.36, 0, 0, []float64{.7349756, .2323424, .0284387}, .006, .0042433, 3, 2},
		{.45, 1, 0, []float64{.6982269, .2574741, .0386338, .0014219}, .006708, .0056652, 3, 2},
		{.60, 1, 1, []float64{.6633155, .2795117, .0495759, .0019317}, .007746, .0075969, 3, 3},
	} {
		if s.d > 0 {
			if err := e.Event(50, 950, s.d, s.c); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.EqualFunc(e.P, s.before, func(a, b float64) bool { return math.Abs(a-b) < 5.01e-8 }) {
			t.Errorf("step %d: P = %v, want %v", i+1, e.P, s.before)
		}
		rejected := e.Look(s.t)
		if rejected != (i == 6) || e.Rejected != rejected {
			t.Errorf("step %d: rejected = %v", i+1, rejected)
		}
		if math.Abs(e.Budget()-s.budget) > 5.01e-7 || math.Abs(e.Spent-s.spent) > 5.01e-8 || e.Boundary != s.boundary || e.J != s.j {
			t.Errorf("step %d: budget %v, spent %v, boundary %d, J %d, want %v, %v, %d, %d",
				i+1, e.Budget(), e.Spent, e.Boundary, e.J, s.budget, s.spent, s.boundary, s.j)
		}
	}
}

// A look without an event may reject, since the budget has grown.
func TestECSLookAloneRejects(t *testing.T) {
	t.Parallel()
	e := mustECS(t, .01)
	for range 2 {
		if err := e.Event(50, 950, 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	// Σ_{j≥2} P = .0025 needs √t = .25.
	if e.Look(.06) {
		t.Error("rejected at t = .06, before the budget allows it")
	}
	if tail := e.Tail(); relative(tail, .0025) > 1e-12 {
		t.Errorf("tail = %v, want .0025", tail)
	}
	if !e.Look(.0626) {
		t.Error("not rejected at t = .0626")
	}
}

func TestECSRefuses(t *testing.T) {
	t.Parallel()
	for _, alpha := range []float64{0, 1, -1, math.NaN(), math.Inf(1)} {
		if _, err := NewECS(alpha); !errors.Is(err, ErrArgument) {
			t.Errorf("alpha %v: error %v", alpha, err)
		}
	}
	for _, theta := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if _, err := NewECSMargin(.01, theta); !errors.Is(err, ErrArgument) {
			t.Errorf("theta %v: error %v", theta, err)
		}
	}
	e := mustECS(t, .01)
	for _, c := range [][4]int{{-1, 5, 1, 0}, {5, -1, 1, 0}, {5, 5, 0, 0}, {5, 5, 1, 2}, {5, 5, 1, -1}, {0, 5, 1, 1}, {5, 0, 1, 0}, {2, 9, 3, 3}} {
		if err := e.Event(c[0], c[1], c[2], c[3]); !errors.Is(err, ErrArgument) || e.J != 0 || len(e.P) != 1 {
			t.Errorf("%v: error %v, state %+v", c, err, e)
		}
	}
	var zero ECS
	if err := zero.Event(5, 5, 1, 0); !errors.Is(err, ErrArgument) || zero.Look(1) {
		t.Errorf("zero value: error %v", err)
	}
	torn := mustECS(t, .01)
	torn.P = []float64{.5}
	if err := torn.Event(5, 5, 1, 0); err == nil {
		t.Error("a state whose probabilities do not add up was accepted")
	}
}

// A mistaken t never spends more than the last good one.
func TestECSInformationOnlyGrows(t *testing.T) {
	t.Parallel()
	e := mustECS(t, .01)
	e.Look(.5)
	for _, v := range []float64{math.NaN(), .1, -3, 0} {
		if e.Look(v); e.T != .5 {
			t.Errorf("t = %v after a look at %v, want .5", e.T, v)
		}
	}
	if e.Look(math.Inf(1)); e.T != 1 || e.Budget() != .01 {
		t.Errorf("t = %v, budget %v, want 1, .01", e.T, e.Budget())
	}
}

// With a margin the share is θq/(θq+1−q).
func TestECSMarginShare(t *testing.T) {
	t.Parallel()
	e, err := NewECSMargin(.01, 3)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Event(50, 950, 1, 1); err != nil {
		t.Fatal(err)
	}
	if q, want := .05, 3*.05/(3*.05+.95); relative(e.P[1], want) > 1e-14 {
		t.Errorf("share = %v, want %v for q = %v", e.P[1], want, q)
	}
}

// A batch has the hypergeometric distribution.
func TestECSBatchShares(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]int{{50, 950, 3}, {5, 7, 12}, {5, 7, 9}, {1, 0, 1}, {0, 4, 2}, {2000, 98_000, 400}, {100_000, 100_000, 5000}} {
		h, first := shares(c[0], c[1], c[2], 1)
		if total := sum(h); math.Abs(total-1) > 1e-9 {
			t.Errorf("%v: shares add up to %v", c, total)
		}
		for i := 0; i < len(h); i += 1 + len(h)/40 {
			upper := sum(h[i:])
			want, _, err := HypergeometricUpper(int64(first+i), int64(c[2]), int64(c[0]), int64(c[0]+c[1]))
			if err != nil || want > 1e-280 && relative(upper, want) > 1e-11 {
				t.Fatalf("%v: P(X ≥ %d) = %v, want %v, error %v", c, first+i, upper, want, err)
			}
		}
	}
}

func TestECSInvariants(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		alpha := rapid.Float64Range(1e-6, .2).Draw(t, "alpha")
		e, err := NewECS(alpha)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			y1, y0 := rapid.IntRange(0, 60).Draw(t, "y1"), rapid.IntRange(1, 500).Draw(t, "y0")
			d := rapid.IntRange(1, min(5, y1+y0)).Draw(t, "d")
			c := rapid.IntRange(max(0, d-y0), min(d, y1)).Draw(t, "c")
			before := e
			kept := slices.Clone(e.P)
			if err := e.Event(y1, y0, d, c); err != nil {
				t.Fatal(err)
			}
			e.Look(rapid.Float64Range(0, 1).Draw(t, "t"))
			if !slices.Equal(before.P, kept) {
				t.Fatal("a copy was changed")
			}
			if before.Rejected && (!e.Rejected || e.J != before.J || e.Spent != before.Spent) {
				t.Fatal("a rejection was taken back")
			}
			if mass := sum(e.P) + e.Spent; math.Abs(mass-1) > 1e-12 {
				t.Fatalf("ΣP + spent = %v", mass)
			}
			if e.Spent > e.Budget() || e.Spent < before.Spent || slices.Min(e.P) < 0 {
				t.Fatalf("spent %v after %v, budget %v, P %v", e.Spent, before.Spent, e.Budget(), e.P)
			}
		}
	})
}

// Type I error over every path of labels, computed and not simulated: the mass
// of all label paths that reject is what was spent, and at most α.
func TestECSErrorOverAllPaths(t *testing.T) {
	t.Parallel()
	const q, events, alpha = .25, 12, .05
	rejecting, spent := 0.0, 0.0
	for path := range 1 << events {
		e, mass := mustECS(t, alpha), 1.0
		for i := range events {
			c := path >> i & 1
			mass *= []float64{1 - q, q}[c]
			if err := e.Event(1, 3, 1, c); err != nil {
				t.Fatal(err)
			}
			e.Look(float64(i+1) / events)
		}
		if e.Rejected {
			rejecting += mass
		} else {
			spent = e.Spent
		}
	}
	if math.Abs(rejecting-spent) > 1e-12 || rejecting > alpha || rejecting < alpha/2 {
		t.Errorf("rejecting paths weigh %v, spent %v, alpha %v", rejecting, spent, alpha)
	}
}

// TestECSFollowsWhatMatters: with many events the lower counts are dropped, and the boundary is that of a test that follows all.
func TestECSFollowsWhatMatters(t *testing.T) {
	t.Parallel()
	const events = 3000
	e := mustECS(t, .01)
	full, spent := []float64{1}, 0.0
	for i := range events {
		if err := e.Event(50, 50, 1, i%2); err != nil {
			t.Fatal(err)
		}
		e.Look(float64(i+1) / events)
		next := make([]float64, len(full)+1)
		for j, p := range full {
			next[j] += p / 2
			next[j+1] += p / 2
		}
		full = next
		cut := 0.0
		for budget := .01 * math.Sqrt(float64(i+1)/events); len(full) > 0 && spent+cut+full[len(full)-1] <= budget; full = full[:len(full)-1] {
			cut += full[len(full)-1]
		}
		spent += cut
		if e.Boundary != len(full) || math.Abs(e.Spent-spent) > 1e-14 {
			t.Fatalf("after %d events: boundary %d, spent %v, want %d, %v", i+1, e.Boundary, e.Spent, len(full), spent)
		}
	}
	if e.Low == 0 || len(e.P) > 1000 {
		t.Errorf("%d counts from %d on are followed, of %d", len(e.P), e.Low, len(full))
	}
}

// A count that is too far out to be followed rejects nothing before anything may be spent, and rejects then.
func TestECSFarOut(t *testing.T) {
	e := mustECS(t, .01)
	for i := range 40 {
		if err := e.Event(1000-i, 1_000_000, 1, 1); err != nil {
			t.Fatal(err)
		}
		if e.Look(0) {
			t.Fatalf("rejected after %d events with nothing to spend", i+1)
		}
	}
	if far := e.J - (e.Low + len(e.P)); far < 0 {
		t.Fatalf("%d canary events are still followed, in %d from %d: nothing is tried", e.J, len(e.P), e.Low)
	}
	for range 20_000 { // the count comes back among those that are followed
		if err := e.Event(1000, 1_000_000, 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	back := e
	if got := back.Tail(); !(got > 0 && got < .01) || back.J >= back.Low+len(back.P) {
		t.Errorf("40 canary events of 20,040, 20 expected: a tail of %g in %d from %d", got, len(back.P), back.Low)
	}
	if total := sum(e.P) + e.Spent; math.Abs(total-1) > 1e-9 {
		t.Errorf("probabilities add up to %v", total)
	}
	if !e.Look(1) {
		t.Errorf("40 canary events of 20,040, 20 expected, are not rejected at 1 %%: tail %g", e.Tail())
	}
}
