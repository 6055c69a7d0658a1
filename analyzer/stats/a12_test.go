package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestA12IntervalCovers: of 2,000 seeded experiments about 95 % hold the true value,
// whatever the sizes of the arms and the distance between them.
func TestA12IntervalCovers(t *testing.T) {
	const runs = 2000
	r := rand.New(rand.NewPCG(12, 1))
	for _, size := range [][2]int{{20, 20}, {10, 90}, {90, 10}} {
		for _, d := range []float64{0, .8, 1.8, -1.8} {
			truth := .5 * math.Erfc(-d/2) // P(X > Y) of normals a distance d apart
			held := 0
			for range runs {
				x, y := make([]float64, size[0]), make([]float64, size[1])
				for i := range x {
					x[i] = r.NormFloat64() + d
				}
				for i := range y {
					y[i] = r.NormFloat64()
				}
				p, err := poolSamples(x, y)
				if err != nil {
					t.Fatal(err)
				}
				a12 := float64(p.twoU()) / float64(2*p.n*p.m)
				low, high := Result{A12: a12, N: size[0], M: size[1], ShiftLevel: .95}.A12Interval()
				if low <= truth && truth <= high {
					held++
				}
			}
			if share := float64(held) / runs; share < .93 || share > .99 {
				t.Errorf("%d against %d, distance %v: %.1f %% of the intervals hold the true value, want about 95 %%", size[0], size[1], d, 100*share)
			}
		}
	}
}

func TestA12IntervalEdges(t *testing.T) {
	for _, c := range []struct {
		canary, control []float64
	}{
		{[]float64{1}, []float64{1}},
		{[]float64{2, 3, 4}, []float64{1}},
		{[]float64{1}, []float64{2, 3, 4}},
		{[]float64{5, 5, 5, 5}, []float64{5, 5}},
		{[]float64{math.Inf(1)}, []float64{math.Inf(-1), 0}},
	} {
		r, err := MannWhitney(c.canary, c.control, Options{})
		if err != nil {
			t.Fatal(err)
		}
		low, high := r.A12Interval()
		if !(0 <= low && low <= r.A12 && r.A12 <= high && high <= 1 && low < high) {
			t.Errorf("%v against %v: A12 %v in [%v, %v]", c.canary, c.control, r.A12, low, high)
		}
		back, err := MannWhitney(c.control, c.canary, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if l, h := back.A12Interval(); math.Abs(l-(1-high)) > 1e-12 || math.Abs(h-(1-low)) > 1e-12 {
			t.Errorf("%v against %v: [%v, %v] is not the mirror of [%v, %v]", c.control, c.canary, l, h, low, high)
		}
	}
	if low, high := (Result{}).A12Interval(); low != 0 || high != 1 {
		t.Errorf("no observations: [%v, %v], want [0, 1]", low, high)
	}
}
