package stats

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The median and every other order statistic equal those of the sorted list of
// all differences.
func TestShiftByListing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawSample(t, "canary"), drawSample(t, "control")
		p, err := poolSamples(x, y)
		if err != nil {
			t.Fatal(err)
		}
		var all []float64
		for _, a := range x {
			for _, b := range y {
				all = append(all, a-b)
			}
		}
		slices.Sort(all)
		k := rapid.IntRange(1, len(all)).Draw(t, "k")
		if got := newDifferences(p).smallest(int64(k)); got != all[k-1] {
			t.Fatalf("difference %d is %v, want %v", k, got, all[k-1])
		}
		if got, want := shift(newDifferences(p)), middle(all[(len(all)-1)/2], all[len(all)/2]); got != want {
			t.Fatalf("shift %v, want %v", got, want)
		}
	})
}

func TestShiftOfInfinities(t *testing.T) {
	t.Parallel()
	inf := math.Inf(1)
	for _, c := range []struct {
		x, y []float64
		want float64
	}{
		{[]float64{inf}, []float64{inf}, 0},
		{[]float64{inf}, []float64{1}, inf},
		{[]float64{0}, []float64{-inf, inf}, 0},
		{[]float64{1, 2, inf}, []float64{1}, 1},
		{[]float64{math.MaxFloat64, math.MaxFloat64}, []float64{0}, math.MaxFloat64},
	} {
		if r := mustTest(t, c.x, c.y, Options{}); r.Shift != c.want {
			t.Errorf("%v v %v: shift %v, want %v", c.x, c.y, r.Shift, c.want)
		}
	}
}

// Critical ranks of R: qwilcox(.025, n, m), and of the published table (Hollander
// and Wolfe, table A.6) for the small ones.
func TestCriticalRank(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, m, want int64 }{
		{2, 2, 0}, {3, 3, 0}, {4, 4, 1}, {5, 5, 3}, {8, 8, 14}, {10, 10, 24}, {10, 5, 9}, {5, 10, 9}, {20, 20, 128},
	} {
		if got := criticalRank(c.n, c.m, .025); got != c.want {
			t.Errorf("%d v %d: rank %d, want %d", c.n, c.m, got, c.want)
		}
	}
	// The normal approximation takes over without a jump.
	mean, below, above := 32*32/2.0, criticalRank(32, 32, .025), criticalRank(32, 33, .025)
	if width := (mean + 16 - float64(above)) / (mean - float64(below)); width < 1 || width > 1.05 {
		t.Errorf("ranks %d of 32 v 32 and %d of 32 v 33", below, above)
	}
}

// The interval covers the true shift as often as it says: counted over all
// orders of 5 against 5, and not simulated.
func TestShiftIntervalCovers(t *testing.T) {
	t.Parallel()
	values := []float64{1, 2.2, 3.5, 4.9, 6.4, 8, 9.7, 11.5, 13.4, 15.4}
	covered, total := 0, 0
	for set := range 1 << len(values) {
		var x, y []float64
		for i, v := range values {
			if set>>i&1 == 1 {
				x = append(x, v)
			} else {
				y = append(y, v)
			}
		}
		if len(x) != 5 {
			continue
		}
		total++
		if r := mustTest(t, x, y, Options{Level: .9}); r.ShiftLow <= 0 && 0 <= r.ShiftHigh {
			covered++
		}
	}
	if rate := float64(covered) / float64(total); rate < .9 || rate > .96 {
		t.Errorf("covered %d of %d", covered, total)
	}
}

// Larger arms, of which the bracket has to be narrowed many times: smooth, with
// huge jumps, heavily tied, and with infinities at both ends.
func TestShiftByListingLarge(t *testing.T) {
	t.Parallel()
	inf := math.Inf(1)
	for name, value := range map[string]func(i int) float64{
		"smooth":   func(i int) float64 { return math.Sin(float64(i) * 12.9898) },
		"jumps":    func(i int) float64 { return math.Exp(float64(i*7919%601) - 300) },
		"tied":     func(i int) float64 { return float64(i * i % 17) },
		"infinite": func(i int) float64 { return []float64{-inf, inf, float64(i), 1}[i%4] },
	} {
		var x, y, all []float64
		for i := range 300 {
			x, y = append(x, value(i)), append(y, value(i+1000))
		}
		for _, a := range x {
			for _, b := range y {
				all = append(all, subtract(a, b))
			}
		}
		slices.Sort(all)
		p, err := poolSamples(x, y)
		if err != nil {
			t.Fatal(err)
		}
		d := newDifferences(p)
		for k := 1; k <= len(all); k += 1 + len(all)/57 {
			if got := d.smallest(int64(k)); got != all[k-1] {
				t.Errorf("%s: difference %d is %v, want %v", name, k, got, all[k-1])
			}
		}
		if got, want := shift(d), middle(all[len(all)/2-1], all[len(all)/2]); got != want {
			t.Errorf("%s: shift %v, want %v", name, got, want)
		}
	}
}
