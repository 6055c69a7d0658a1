package stats

import (
	"math"
	"testing"
)

// arms are sizes at which the limit is asked, with what is to be ruled out there.
var arms = []struct {
	canaries, controls int
	delta              float64
}{{100, 400, .05}, {125, 375, .05}, {250, 250, .05}, {250, 750, .05}, {500, 500, .05}, {500, 1_500, .05}, {1_250, 3_750, .02}, {1_000, 99_000, .01}, {5_000, 15_000, .01},
	{700, 300, .05}, {2_000, 100, .05}, {19_600, 400, .01}} // the last three have fewer controls than canaries

var baseRates = []float64{0, .0003, .001, .003, .01, .03, .1}

// TestDifferenceHoldsItsLevel enumerates all outcomes: of a difference of exactly delta the limit must lie below delta with no more
// than the error, whatever the controls' rate. (By a larger difference it errs less often.)
func TestDifferenceHoldsItsLevel(t *testing.T) {
	for _, a := range arms {
		for _, alpha := range []float64{.00625, .0015} {
			for _, p0 := range baseRates {
				got := wrong(a.canaries, a.canaries, a.controls, a.delta, p0, func(int) float64 { return 1 - alpha })
				if got > alpha {
					t.Errorf("%d canaries, %d controls of whom %.3g %% have it, %.3g points: wrong in %.3g %%, want %.3g %%", a.canaries, a.controls, 100*p0, 100*a.delta, 100*got, 100*alpha)
				}
			}
		}
	}
}

// TestDifferenceWithLooks asks again after the answer of each of the last twentieth of the canaries: all these looks together err no
// more often than they say, and more often than one look would.
func TestDifferenceWithLooks(t *testing.T) {
	worst := 0.0
	for _, a := range arms[:8] {
		rates := []float64{0, .01, .1}
		if a.canaries > 500 {
			rates = rates[1:2]
		}
		for k, p0 := range rates {
			for _, alpha := range []float64{.01, .0025}[:1+k%2] {
				got := wrong(int(math.Ceil(.95*float64(a.canaries))), a.canaries, a.controls, a.delta, p0, func(n int) float64 { return 1 - alpha/LooksCost(n) })
				if worst = max(worst, got/alpha*LooksCost(a.canaries)); got > alpha {
					t.Errorf("%d canaries, %d controls of whom %.3g %% have it: wrong in %.3g %% of stages, want %.3g %%", a.canaries, a.controls, 100*p0, 100*got, 100*alpha)
				}
			}
		}
	}
	if worst < 1.2 {
		t.Errorf("looking again costs %v times the error at most: is there a look?", worst)
	}
}

// wrong is the exact probability that the limit lies below delta at any number of canaries from first to last.
func wrong(first, last, n0 int, delta, p0 float64, level func(n int) float64) (sum float64) {
	p1, sd := p0+delta, math.Sqrt(float64(n0)*p0*(1-p0))
	from, to := max(0, int(float64(n0)*p0-6*sd-10)), min(n0, int(float64(n0)*p0+6*sd+10))
	most := -1
	for x0 := from; x0 <= to; x0++ {
		weight := binomialTerm(x0, n0, p0)
		if weight < 1e-7 {
			continue
		}
		below := func(events, n int) bool { return DifferenceUpper(events, n, x0, n0, level(n)) < delta }
		for below(most+1, first) {
			most++
		}
		for most >= 0 && !below(most, first) {
			most--
		}
		if first == last && most >= 0 {
			sum += weight * binomialLower(int64(most), int64(first), p1)
		} else if first < last {
			sum += weight * crosses(first, last, most, p1, below)
		}
	}
	return sum
}

// crosses follows the number of events from first to last canaries, and takes out the paths on which the limit lies below.
func crosses(first, last, most int, p1 float64, below func(events, n int) bool) (sum float64) {
	paths := make([]float64, int(1.2*float64(last)*p1)+8)
	for k := range paths {
		paths[k] = binomialTerm(k, first, p1)
	}
	for n := first; ; n++ {
		for k := 0; k <= most; k++ {
			sum += paths[k]
			paths[k] = 0
		}
		if n == last {
			return sum
		}
		for k := len(paths) - 1; k > 0; k-- {
			paths[k] = paths[k]*(1-p1) + paths[k-1]*p1
		}
		paths[0] *= 1 - p1
		for below(most+1, n+1) {
			most++
		}
	}
}

func binomialTerm(k, n int, p float64) float64 {
	switch {
	case p == 0 && k == 0:
		return 1
	case p == 0 || k > n:
		return 0
	}
	return math.Exp(logBinomialTerm(int64(k), int64(n), p, 1-p))
}

// TestDifferenceIsShorter than the limits taken one from the other, where there are enough controls, and never below the estimate.
func TestDifferenceIsShorter(t *testing.T) {
	for _, a := range arms {
		for x1 := 0; x1 < a.canaries; x1 += 1 + a.canaries/20 {
			for x0 := 0; x0 < a.controls; x0 += 1 + a.controls/20 {
				got := DifferenceUpper(x1, a.canaries, x0, a.controls, .99)
				estimate := float64(x1)/float64(a.canaries) - float64(x0)/float64(a.controls)
				apart := ClopperPearsonUpper(x1, a.canaries, 1-.9*.01) - ClopperPearsonLower(x0, a.controls, 1-.1*.01)
				if got < estimate || got > apart+1e-12 || got > 1 {
					t.Errorf("%d of %d, %d of %d: %v, estimate %v, apart %v", x1, a.canaries, x0, a.controls, got, estimate, apart)
				}
			}
		}
	}
}

// TestDifferenceFailsClosed: what makes no sense rules nothing out.
func TestDifferenceFailsClosed(t *testing.T) {
	for _, c := range [][4]int{{0, 0, 0, 10}, {0, 10, 0, 0}, {-1, 10, 0, 10}, {11, 10, 0, 10}, {0, 10, 11, 10}, {0, 10, -1, 10}, {0, -1, 0, 10}} {
		if got := DifferenceUpper(c[0], c[1], c[2], c[3], .99); got != 1 {
			t.Errorf("%v: %v", c, got)
		}
	}
	for _, level := range []float64{0, 1, -1, 2, math.NaN()} {
		if got := DifferenceUpper(0, 1_000, 0, 1_000, level); got != 1 {
			t.Errorf("level %v: %v", level, got)
		}
		if n := NodesToExclude(0, 0, 1_000, .01, (1-level)*2); n != math.MaxInt {
			t.Errorf("error %v: %d nodes", (1-level)*2, n)
		}
	}
}

// TestNodesToExcludeIsTheFirst: one node fewer is not enough, and without events it is Clopper and Pearson's number.
func TestNodesToExcludeIsTheFirst(t *testing.T) {
	for _, c := range []struct {
		events, without, controls int
		delta                     float64
	}{{0, 0, 10_000, .01}, {3, 0, 10_000, .01}, {3, 20, 10_000, .01}, {12, 60, 4_000, .05}} {
		n := NodesToExclude(c.events, c.without, c.controls, c.delta, .01)
		if n == math.MaxInt || !DifferenceExcludes(c.events, n, c.without, c.controls, c.delta, .01) || DifferenceExcludes(c.events, n-1, c.without, c.controls, c.delta, .01) {
			t.Errorf("%+v: %d", c, n)
		}
	}
	if n := NodesToExclude(0, 0, 10_000, .01, .01); n != nodesToRuleOut(0, .01, 1-.01/LooksCost(n)) {
		t.Errorf("no event: %d", n)
	}
	if n := NodesToExclude(5, 0, 100, 0, .01); n != math.MaxInt {
		t.Errorf("no increase at all is ruled out by %d nodes", n)
	}
}
