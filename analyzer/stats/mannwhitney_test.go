package stats

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The vectors come from scipy's and R's own tests, see testdata. Their values are
// computed to 25 digits from exact integers.
func TestMannWhitneyAsymptoticVectors(t *testing.T) {
	t.Parallel()
	for _, c := range loadVectors(t).TwoSample {
		t.Run(c.ID, func(t *testing.T) {
			p, err := poolSamples(floats(c.X), floats(c.Y))
			if err != nil {
				t.Fatal(err)
			}
			if got := p.tieSum().String(); got != c.TieSum.String() {
				t.Errorf("tie sum %s, want %s", got, c.TieSum)
			}
			for _, row := range c.Asymptotic {
				r, err := MannWhitney(floats(c.X), floats(c.Y), Options{
					Alternative: alternative(t, row.Alternative), Continuity: row.Continuity, Method: Asymptotic})
				if err != nil {
					t.Fatal(err)
				}
				checkResult(t, c, r)
				checkRow(t, row, r)
			}
		})
	}
}

func checkResult(t *testing.T, c twoSample, r Result) {
	t.Helper()
	if r.U != c.U1 || r.N != c.N || r.M != c.M {
		t.Errorf("U, n, m = %v, %d, %d, want %v, %d, %d", r.U, r.N, r.M, c.U1, c.N, c.M)
	}
	if relative(r.A12, c.A12) > 1e-15 || math.Abs(r.CliffsDelta-c.CliffsDelta) > 1e-15 {
		t.Errorf("A12 and Cliff's delta %v, %v, want %v, %v", r.A12, r.CliffsDelta, c.A12, c.CliffsDelta)
	}
	if c.HodgesLehmann != nil && relative(r.Shift, *c.HodgesLehmann) > 1e-15 {
		t.Errorf("shift %v, want %v", r.Shift, *c.HodgesLehmann)
	}
	if r.Shift < r.ShiftLow || r.Shift > r.ShiftHigh {
		t.Errorf("shift %v is outside its interval %v to %v", r.Shift, r.ShiftLow, r.ShiftHigh)
	}
}

func checkRow(t *testing.T, row asymptoticRow, r Result) {
	t.Helper()
	if row.P == "" { // all values are equal: variance 0
		if r.P != 1 || r.LogP != 0 || r.Z != 0 {
			t.Errorf("all equal: p = %v, log p = %v, z = %v, want 1, 0, 0", r.P, r.LogP, r.Z)
		}
		return
	}
	z, _, err := big.ParseFloat(row.Z, 10, 128, big.ToNearestEven)
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := z.Float64(); relative(r.Z, want) > 1e-15 {
		t.Errorf("%s continuity %v: z = %.17g, want %s", row.Alternative, row.Continuity, r.Z, row.Z)
	}
	checkP(t, row.Alternative, r.P, r.LogP, row.P)
}

func TestMannWhitneyExactVectors(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, c := range loadVectors(t).TwoSample {
		if c.Exact == nil {
			continue
		}
		checked++
		t.Run(c.ID, func(t *testing.T) {
			less, greater, err := ExactPermutation(floats(c.X), floats(c.Y))
			if err != nil {
				t.Fatal(err)
			}
			if want := rat(t, c.Exact.Less.Frac); less.Cmp(want) != 0 {
				t.Errorf("less = %v, want %v", less, want)
			}
			if want := rat(t, c.Exact.Greater.Frac); greater.Cmp(want) != 0 {
				t.Errorf("greater = %v, want %v", greater, want)
			}
			for alt, want := range map[Alternative]string{
				Less: c.Exact.Less.Dec, Greater: c.Exact.Greater.Dec, TwoSided: c.Exact.TwoSided.Dec} {
				r, err := MannWhitney(floats(c.X), floats(c.Y), Options{Alternative: alt, Method: Exact})
				if err != nil {
					t.Fatal(err)
				}
				if r.Method != Exact || r.Ties != c.Exact.Ties {
					t.Errorf("method %v, ties %v, want exact, %v", r.Method, r.Ties, c.Exact.Ties)
				}
				checkP(t, alt.String(), r.P, r.LogP, want)
			}
		})
	}
	if checked < 40 {
		t.Errorf("%d exact cases, want at least 40", checked)
	}
}

// Mann and Whitney's distribution without ties, up to 100 against 100.
func TestExactNullDistribution(t *testing.T) {
	t.Parallel()
	for _, c := range loadVectors(t).ExactNull {
		pl := newPlan(untied(c.N, c.M))
		total := new(big.Int).Binomial(c.N+c.M, c.N)
		if total.String() != c.Total {
			t.Errorf("%d v %d: total %v, want %s", c.N, c.M, total, c.Total)
		}
		check := func(u int64, count string, cdf *big.Rat) {
			less, greater := pl.count(2 * u).rational()
			if cdf != nil && less.Cmp(cdf) != 0 {
				t.Errorf("%d v %d: P(U ≤ %d) = %v, want %v", c.N, c.M, u, less, cdf)
			}
			at := new(big.Rat).Add(less, greater)
			at.Sub(at, big.NewRat(1, 1)).Mul(at, new(big.Rat).SetInt(total))
			if at.RatString() != count {
				t.Errorf("%d v %d: count of U = %d is %s, want %s", c.N, c.M, u, at.RatString(), count)
			}
		}
		for _, row := range c.Rows {
			check(row.U, row.Count, rat(t, row.CDF.Frac))
		}
		for u, count := range c.FullCounts {
			check(int64(u), count, nil)
		}
	}
}

func untied(n, m int64) pooled {
	p := pooled{n: n, m: m}
	for i := range n + m {
		p.values = append(p.values, float64(i))
		canary := int64(0)
		if i < n {
			canary = 1
		}
		p.canary, p.control = append(p.canary, canary), append(p.control, 1-canary)
	}
	return p
}

// Values that another library returns: p = 0, p = 1.5, and an endless loop.
func TestKnownWrongValuesAreNotOurs(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, c := range loadVectors(t).KnownWrong.Rows {
		var x, y []number
		if json.Unmarshal(c.X, &x) != nil || json.Unmarshal(c.Y, &y) != nil {
			continue // described in words; TestMannWhitneyHistogramVectors has it
		}
		checked++
		alt, wrong, want := TwoSided, c.TwoSided, c.True2Min
		if c.Greater != nil {
			alt, wrong, want = Greater, c.Greater, c.TrueGreater
		}
		r, err := MannWhitney(floats(x), floats(y), Options{Alternative: alt})
		if wrong == nil {
			if !errors.Is(err, ErrNaN) {
				t.Errorf("%v v %v: error %v, want ErrNaN", x, y, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		truth, _ := rat(t, want).Float64()
		if relative(r.P, truth) > tolerance || r.P == *wrong {
			t.Errorf("%v v %v: p = %v, want %v and not %v", x, y, r.P, truth, *wrong)
		}
	}
	if checked < 7 {
		t.Errorf("%d rows checked, want 7", checked)
	}
}

// Ensure that nothing that is not data becomes a p-value.
func TestMannWhitneyRefuses(t *testing.T) {
	t.Parallel()
	some := []float64{1, 2}
	for _, c := range []struct {
		name, place string
		x, y        []float64
		opt         Options
		want        error
	}{
		{"nan", "canary[1]", []float64{1, math.NaN()}, some, Options{}, ErrNaN},
		{"nan control", "control[0]", some, []float64{math.NaN()}, Options{}, ErrNaN},
		{"empty", "canary", nil, some, Options{}, ErrEmpty},
		{"empty control", "control", some, []float64{}, Options{}, ErrEmpty},
		{"both empty", "canary", nil, nil, Options{}, ErrEmpty},
		{"alternative", "alternative", some, some, Options{Alternative: 3}, ErrArgument},
		{"method", "method", some, some, Options{Method: -1}, ErrArgument},
		{"level", "level", some, some, Options{Level: 1}, ErrArgument},
		{"level nan", "level", some, some, Options{Level: math.NaN()}, ErrArgument},
	} {
		r, err := MannWhitney(c.x, c.y, c.opt)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.place) {
			t.Errorf("%s: error %v, want %v at %s", c.name, err, c.want, c.place)
		}
		if diff := cmp.Diff(Result{}, r); diff != "" {
			t.Errorf("%s: a result beside the error: %s", c.name, diff)
		}
	}
}

func TestMannWhitneyEdges(t *testing.T) {
	t.Parallel()
	inf, negZero := math.Inf(1), math.Copysign(0, -1)
	for _, c := range []struct {
		name string
		x, y []float64
		u, p float64
	}{
		{"all tied", []float64{3, 3}, []float64{3, 3, 3}, 3, 1},
		{"one against one", []float64{1}, []float64{2}, 0, 1},
		{"both infinities", []float64{-inf, inf}, []float64{inf, -inf}, 2, 1},
		{"infinite canaries", []float64{inf, inf, inf}, []float64{1, 2, 3}, 9, .1},
		{"zeros of both signs", []float64{negZero, 0}, []float64{0, negZero}, 2, 1},
		{"one ulp apart", []float64{1, 1}, []float64{math.Nextafter(1, 2), math.Nextafter(1, 2)}, 0, 1. / 3},
		{"overflowing difference", []float64{1e308, 1.1e308, 1.2e308}, []float64{-1e308, -1.1e308, -1.2e308}, 9, .1},
	} {
		r, err := MannWhitney(c.x, c.y, Options{})
		if err != nil || r.U != c.u || relative(r.P, c.p) > tolerance || math.IsNaN(r.Shift) {
			t.Errorf("%s: U = %v, p = %v, shift %v, error %v, want %v, %v", c.name, r.U, r.P, r.Shift, err, c.u, c.p)
		}
	}
}

// A p-value may be too small for a float64, but it is never shown as impossible.
func TestTailsNeverRoundToZero(t *testing.T) {
	t.Parallel()
	values, x, y := []float64{0, 1}, []int64{0, 500_000}, []int64{500_000, 0}
	for _, method := range []Method{Exact, Asymptotic} {
		r, err := MannWhitneyHistogram(values, x, y, Options{Method: method, Alternative: Greater})
		if err != nil || r.P != math.SmallestNonzeroFloat64 || r.LogP > -400_000 || math.IsInf(r.LogP, 0) {
			t.Errorf("%v: p = %v, log p = %v, error %v", method, r.P, r.LogP, err)
		}
	}
}

func TestAutoSaysWhatItUsed(t *testing.T) {
	t.Parallel()
	ramp := func(n int, by float64) []float64 {
		x := make([]float64, n)
		for i := range x {
			x[i] = float64(i) * by
		}
		return x
	}
	zeros := append(make([]float64, 5000), ramp(400, 1)...)
	for _, c := range []struct {
		name string
		x, y []float64
		want Method
		warn string
	}{
		{"80 v 80", ramp(80, 1), ramp(80, 1.01), Exact, ""},
		{"400 v 400", ramp(400, 1), ramp(400, 1.01), Asymptotic, ""},
		{"10 v 800", ramp(10, 1), ramp(800, 1.01), Exact, ""},
		{"3 v 4,000", ramp(3, 1), ramp(4000, 1.01), Exact, ""},
		{"1 v 100,000", ramp(1, 1), ramp(100_000, 1.01), Exact, ""},
		{"50 among 100,000 zeros", append(make([]float64, 2000), ramp(20, 1)...), append(make([]float64, 100_000), ramp(30, 1.1)...), Exact, ""},
		{"too many among zeros", zeros, append(make([]float64, 5000), ramp(401, .7)...), Asymptotic, "more than half"},
		{"small against large", ramp(5, 1.5), ramp(9000, .01), Asymptotic, "fewer than 10"},
		{"constant", []float64{1, 1}, []float64{1}, Exact, "all values are equal"},
		{"infinite", []float64{math.Inf(1)}, []float64{1}, Exact, "infinite"},
		{"tiny", []float64{2}, []float64{1}, Exact, "unbounded"},
	} {
		r, err := MannWhitney(c.x, c.y, Options{})
		if err != nil || r.Method != c.want || !strings.Contains(strings.Join(r.Warnings, "; "), c.warn) {
			t.Errorf("%s: %v, warnings %q, error %v, want %v and %q", c.name, r.Method, r.Warnings, err, c.want, c.warn)
		}
	}
	x := ramp(1000, 1)
	if _, err := MannWhitney(x, ramp(1000, 1.001), Options{Method: Exact}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("1000 v 1000 exactly: error %v, want ErrTooLarge", err)
	}
	if _, _, err := ExactPermutation(x, ramp(1000, 1.001)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("1000 v 1000 permutations: error %v, want ErrTooLarge", err)
	}
}

func TestNamesInEvidence(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(struct {
		A []Alternative
		M []Method
	}{[]Alternative{TwoSided, Greater, Less, 7}, []Method{Auto, Exact, Asymptotic}})
	want := `{"A":["two-sided","greater","less","unknown(7)"],"M":["auto","exact","asymptotic"]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
