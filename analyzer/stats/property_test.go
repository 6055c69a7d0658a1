package stats

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// expand is a pooled sample as values, and the number of canaries.
func expand(p pooled) ([]float64, int) {
	var values []float64
	for i, v := range p.values {
		for range p.size(i) {
			values = append(values, v)
		}
	}
	return values, int(p.n)
}

// allTwoU is 2U for each choice of n of the values, by comparing all pairs.
func allTwoU(values []float64, n int) []int64 {
	var all []int64
	for set := range uint(1) << len(values) {
		if bits.OnesCount(set) != n {
			continue
		}
		var u int64
		for i, x := range values {
			for j, y := range values {
				if set>>i&1 == 1 && set>>j&1 == 0 {
					u += map[bool]int64{x > y: 2, x == y: 1}[true]
				}
			}
		}
		all = append(all, u)
	}
	return all
}

// tails counts, by brute force, the choices as small and as large as observed.
func bruteTails(canary, control []float64) (less, greater *big.Rat) {
	var observed int64
	for _, x := range canary {
		for _, y := range control {
			observed += map[bool]int64{x > y: 2, x == y: 1}[true]
		}
	}
	all := allTwoU(slices.Concat(canary, control), len(canary))
	var upTo, from int64
	for _, u := range all {
		if u <= observed {
			upTo++
		}
		if u >= observed {
			from++
		}
	}
	return big.NewRat(upTo, int64(len(all))), big.NewRat(from, int64(len(all)))
}

// checkAgainstBruteForce compares rationals and p-values of all alternatives.
func checkAgainstBruteForce(t interface {
	Fatalf(string, ...any)
}, x, y []float64) {
	wantLess, wantGreater := bruteTails(x, y)
	less, greater, err := ExactPermutation(x, y)
	if err != nil || less.Cmp(wantLess) != 0 || greater.Cmp(wantGreater) != 0 {
		t.Fatalf("%v v %v: %v and %v, error %v, want %v and %v", x, y, less, greater, err, wantLess, wantGreater)
	}
	smaller := wantLess
	if wantGreater.Cmp(wantLess) < 0 {
		smaller = wantGreater
	}
	l, _ := wantLess.Float64()
	g, _ := wantGreater.Float64()
	both, _ := smaller.Float64()
	for alt, want := range map[Alternative]float64{Less: l, Greater: g, TwoSided: min(1, 2*both)} {
		r, err := MannWhitney(x, y, Options{Alternative: alt})
		if err != nil || r.Method != Exact || relative(r.P, want) > 1e-15 {
			t.Fatalf("%v v %v %v: p = %v by %v, error %v, want %v", x, y, alt, r.P, r.Method, err, want)
		}
	}
}

// Every pair of small samples over three values, which is where ties, unequal
// arms and empty sides of the pivot meet: 34 · 83 of them.
func TestExactByEnumeration(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, x := range multisets(4) {
		for _, y := range multisets(6) {
			checkAgainstBruteForce(t, x, y)
			checked++
		}
	}
	if checked != 34*83 {
		t.Errorf("%d cases, want %d", checked, 34*83)
	}
}

// multisets are all non-empty samples of up to size values from {0, 1, 2}.
func multisets(size int) [][]float64 {
	var all [][]float64
	for a := range size + 1 {
		for b := range size + 1 - a {
			for c := range size + 1 - a - b {
				if a+b+c > 0 {
					all = append(all, slices.Concat(slices.Repeat([]float64{0}, a), slices.Repeat([]float64{1}, b), slices.Repeat([]float64{2}, c)))
				}
			}
		}
	}
	return all
}

func TestExactByEnumerationOfDrawnSamples(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]float64{math.Inf(-1), -2, 0, math.Copysign(0, -1), .5, math.Nextafter(.5, 1), 3, math.Inf(1)})
		x := rapid.SliceOfN(value, 1, 6).Draw(t, "canary")
		y := rapid.SliceOfN(value, 1, 7).Draw(t, "control")
		checkAgainstBruteForce(t, x, y)
	})
}

// Zeros beside a few others cost nothing and are still exact: the same rational
// from the tables as from the sum of all terms.
func TestZeroInflatedIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Float64Range(-5, 5)
		coarse := rapid.Custom(func(t *rapid.T) float64 { return math.Round(value.Draw(t, "value")) })
		zeros := make([]float64, rapid.IntRange(1, 3000).Draw(t, "zeros"))
		x := slices.Concat(zeros, rapid.SliceOfN(coarse, 0, 8).Draw(t, "canary"))
		y := slices.Concat(zeros, zeros, rapid.SliceOfN(coarse, 0, 8).Draw(t, "control"))
		less, greater, err := ExactPermutation(x, y)
		if err != nil {
			t.Fatal(err)
		}
		for alt, want := range map[Alternative]*big.Rat{Less: less, Greater: greater} {
			r, err := MannWhitney(x, y, Options{Alternative: alt})
			if exact, _ := want.Float64(); err != nil || r.Method != Exact || relative(r.P, exact) > 1e-15 {
				t.Fatalf("%v: p = %v by %v, error %v, want %v", alt, r.P, r.Method, err, exact)
			}
		}
	})
}

func drawSample(t *rapid.T, label string) []float64 {
	value := rapid.OneOf(rapid.Float64(), rapid.Custom(func(t *rapid.T) float64 {
		return float64(rapid.IntRange(0, 4).Draw(t, "small"))
	}))
	return rapid.SliceOfN(value, 1, 60).Draw(t, label)
}

func TestMannWhitneySymmetry(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, y := drawSample(t, "canary"), drawSample(t, "control")
		opt := Options{Method: rapid.SampledFrom([]Method{Auto, Asymptotic}).Draw(t, "method"), Continuity: rapid.Bool().Draw(t, "continuity")}
		mirror := map[Alternative]Alternative{TwoSided: TwoSided, Less: Greater, Greater: Less}
		for alt, other := range mirror {
			opt.Alternative = alt
			a := mustTest(t, x, y, opt)
			opt.Alternative = other
			b := mustTest(t, y, x, opt)
			if a.P != b.P || a.LogP != b.LogP || a.Z != -b.Z || a.U+b.U != float64(len(x)*len(y)) || a.CliffsDelta != -b.CliffsDelta {
				t.Fatalf("%v: swapped arms give %+v and %+v", alt, a, b)
			}
			if a.Shift != -b.Shift || a.ShiftLow != -b.ShiftHigh || a.ShiftHigh != -b.ShiftLow {
				t.Fatalf("%v: shifts %v [%v, %v] and %v [%v, %v]", alt, a.Shift, a.ShiftLow, a.ShiftHigh, b.Shift, b.ShiftLow, b.ShiftHigh)
			}
		}
		opt.Alternative = TwoSided
		shuffled := mustTest(t, rapid.Permutation(x).Draw(t, "x"), rapid.Permutation(y).Draw(t, "y"), opt)
		if a := mustTest(t, x, y, opt); a.P != shuffled.P || a.Shift != shuffled.Shift || a.ShiftLow != shuffled.ShiftLow || a.U != shuffled.U {
			t.Fatalf("the order of the values matters: %+v and %+v", a, shuffled)
		}
	})
}

func mustTest(t interface {
	Fatalf(string, ...any)
}, x, y []float64, opt Options) Result {
	r, err := MannWhitney(x, y, opt)
	if err != nil {
		t.Fatalf("%v v %v: %v", x, y, err)
	}
	if !(r.P > 0 && r.P <= 1 && r.LogP <= 0) || math.IsNaN(r.Z) || math.IsNaN(r.Shift) {
		t.Fatalf("%v v %v: %+v is out of range", x, y, r)
	}
	if !(r.ShiftLow <= r.Shift && r.Shift <= r.ShiftHigh && 0 <= r.A12 && r.A12 <= 1) {
		t.Fatalf("%v v %v: %+v is out of order", x, y, r)
	}
	return r
}

// FuzzMannWhitney reads bytes as two arms of raw floats, coarse or as they are.
func FuzzMannWhitney(f *testing.F) {
	f.Add([]byte{}, uint8(0), uint8(0))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9}, uint8(3), uint8(1))
	f.Add(binary.LittleEndian.AppendUint64(make([]byte, 32), math.Float64bits(math.NaN())), uint8(2), uint8(2))
	f.Add(binary.LittleEndian.AppendUint64(make([]byte, 32), math.Float64bits(math.Inf(1))), uint8(2), uint8(4))
	f.Fuzz(func(t *testing.T, data []byte, cut, options uint8) {
		var values []float64
		if options&1 == 0 {
			for ; len(data) >= 8 && len(values) < 200; data = data[8:] {
				values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(data)))
			}
		} else {
			for _, b := range data[:min(len(data), 200)] {
				values = append(values, float64(int8(b))/4)
			}
		}
		at := min(int(cut), len(values))
		opt := Options{Alternative: Alternative(options >> 1 % 3), Continuity: options&64 != 0}
		if options&128 != 0 {
			opt.Method = Asymptotic
		}
		bad := at == 0 || at == len(values) || slices.ContainsFunc(values, math.IsNaN)
		if _, err := MannWhitney(values[:at], values[at:], opt); (err != nil) != bad {
			t.Fatalf("%v cut at %d: error %v", values, at, err)
		}
		if !bad {
			mustTest(t, values[:at], values[at:], opt)
		}
	})
}

// FuzzECS drives the test with any numbers: no panic, no mass lost, no error
// spent beyond the budget.
func FuzzECS(f *testing.F) {
	f.Add(.01, 1.0, 50, 950, 3, 1, .5)
	f.Add(.5, 4.0, 1, 1, 2, 1, math.NaN())
	f.Fuzz(func(t *testing.T, alpha, theta float64, y1, y0, d, c int, at float64) {
		if d > 5000 {
			return // only memory
		}
		e, err := NewECSMargin(alpha, theta)
		if err != nil {
			return
		}
		for range 3 {
			if err := e.Event(y1, y0, d, c); err != nil && e.J != 0 {
				t.Fatalf("counted %d beside the error %v", e.J, err)
			}
			e.Look(at)
			if mass := sum(e.P) + e.Spent; !(math.Abs(mass-1) < 1e-9) || e.Spent > e.Alpha {
				t.Fatalf("ΣP + spent = %v, spent %v of %v", mass, e.Spent, e.Alpha)
			}
		}
	})
}
