package stats

import (
	"math"
	"testing"
)

// FuzzBoundaries: any information and any spending give a boundary or an error, and
// what is spent stays within (0,1).
func FuzzBoundaries(f *testing.F) {
	f.Add(.01, .2, .4, 1., 10.)
	f.Add(18.5, 1e-300, 1., 6e300, math.Inf(1))
	f.Add(.5, 1e-300, 1., 1e300, math.Inf(1))
	f.Add(math.NaN(), -1., 0., 2., math.NaN())
	f.Fuzz(func(t *testing.T, alpha, a, b, c, scale float64) {
		var bounds Boundaries
		for _, at := range []float64{a, b, c} {
			spent := LDOF(alpha, at)
			if inside(alpha) && !(spent >= 0 && spent <= alpha) {
				t.Fatalf("LDOF(%v, %v) = %v", alpha, at, spent)
			}
			z, err := bounds.Next(at*scale, spent)
			if err == nil && math.IsNaN(z) {
				t.Fatalf("information %v, spent %v: boundary NaN", at*scale, spent)
			}
		}
	})
}

// FuzzEProcess: events give a finite or infinite E, never NaN.
func FuzzEProcess(f *testing.F) {
	f.Add(10, 20, 3, 1, 2)
	f.Add(1, 1, 1, 1, 1)
	f.Add(1000, 1_000_000, 500, 400, 3)
	f.Fuzz(func(t *testing.T, y1, y0, d, c, times int) {
		if y1 > 1<<20 || y0 > 1<<20 || d > 1<<10 { // a batch is one poll's
			return
		}
		var e EProcess
		for range min(max(times, 0), 8) {
			if e.Event(y1, y0, d, c) != nil {
				break
			}
			if math.IsNaN(e.LogE()) {
				t.Fatalf("%d of %d events among %d and %d: NaN", c, d, y1, y0)
			}
		}
	})
}

// FuzzUrn: probabilities stay in [0,1] and add up.
func FuzzUrn(f *testing.F) {
	f.Add(.01, 1., 5, 20, 1, 1, .5)
	f.Add(.5, 3., 1, 1, 2, 1, .1)
	f.Add(math.NaN(), math.Inf(1), 0, -1, 0, 9, math.NaN())
	f.Fuzz(func(t *testing.T, alpha, theta float64, canaries, controls, d, c int, at float64) {
		if canaries > 1<<20 || controls > 1<<20 || d > 256 {
			return
		}
		u, err := NewUrnMargin(alpha, theta, canaries, controls)
		if err != nil {
			return
		}
		for i := range 6 {
			if u.Event(d, c) != nil {
				break
			}
			u.Look(at * float64(i))
			if !(u.Spent >= 0 && u.Spent <= u.Alpha) || math.Abs(sum(u.P)+u.Spent-1) > 1e-9 || !(u.Tail() >= 0 && u.Tail() <= 1+1e-9) {
				t.Fatalf("%+v", u)
			}
		}
	})
}

// FuzzA12Interval: bounds are in order, in [0,1], and hold the estimate.
func FuzzA12Interval(f *testing.F) {
	f.Add(.5, 10, 20, .95)
	f.Add(1., 1, 1, .5)
	f.Add(math.NaN(), -1, math.MaxInt, math.Inf(1))
	f.Fuzz(func(t *testing.T, a12 float64, n, m int, level float64) {
		if !(a12 >= 0 && a12 <= 1) { // no result of a test
			return
		}
		low, high := Result{A12: a12, N: n, M: m, ShiftLevel: level}.A12Interval()
		if !(0 <= low && low <= a12 && a12 <= high && high <= 1) {
			t.Fatalf("%v of %d and %d at %v: %v to %v", a12, n, m, level, low, high)
		}
	})
}

// FuzzVanElteren: two strata of up to six values each, of any kind.
func FuzzVanElteren(f *testing.F) {
	f.Add(1., 2., 3., 4., byte(3), byte(1))
	f.Add(math.Inf(1), math.Inf(-1), 0., 0., byte(0), byte(2))
	f.Add(math.NaN(), 1., 1., 1., byte(2), byte(0))
	f.Fuzz(func(t *testing.T, a, b, c, d float64, cut, method byte) {
		data := []float64{a, b, c, d, a, c}
		i := int(cut) % (len(data) + 1)
		first, err := NewStratum(data[:i], data[i:])
		if err != nil {
			return
		}
		second, err := NewStratum([]float64{d, b}, []float64{c})
		if err != nil {
			t.Fatal(err)
		}
		for alt := TwoSided; alt <= Less; alt++ {
			r, err := VanElteren([]Stratum{first, second}, Options{Alternative: alt, Method: Method(method % 3)})
			if err != nil {
				t.Fatal(err)
			}
			if !(r.P > 0 && r.P <= 1) || math.IsNaN(r.Z) || !(r.LogP <= 0) {
				t.Fatalf("%+v", r)
			}
		}
	})
}
