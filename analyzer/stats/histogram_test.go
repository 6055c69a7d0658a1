package stats

import (
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMannWhitneyHistogramVectors(t *testing.T) {
	t.Parallel()
	for _, c := range loadVectors(t).Histogram {
		t.Run(c.ID, func(t *testing.T) {
			p, err := poolHistogram(c.Values, c.CountsX, c.CountsY)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.tieSum().String(); got != c.TieSum {
				t.Errorf("tie sum %s, want %s", got, c.TieSum)
			}
			if got := rat(t, c.TwoU1).Num().Int64(); p.twoU() != got {
				t.Errorf("2U = %d, want %s", p.twoU(), c.TwoU1)
			}
			for _, row := range c.Asymptotic {
				r, err := MannWhitneyHistogram(c.Values, c.CountsX, c.CountsY, Options{
					Alternative: alternative(t, row.Alternative), Continuity: row.Continuity, Method: Asymptotic})
				if err != nil || r.N != c.N || r.M != c.M {
					t.Fatalf("n, m = %d, %d, error %v", r.N, r.M, err)
				}
				checkRow(t, row, r)
			}
			if c.Hypergeometrical == nil {
				return
			}
			for alt, want := range map[Alternative]string{Less: c.Hypergeometrical.Less, Greater: c.Hypergeometrical.Greater} {
				r, err := MannWhitneyHistogram(c.Values, c.CountsX, c.CountsY, Options{Alternative: alt})
				if err != nil || r.Method != Exact {
					t.Fatalf("method %v, error %v", r.Method, err)
				}
				checkP(t, alt.String(), r.P, r.LogP, want)
			}
		})
	}
}

// The facts' warning case: the normal approximation is off by five orders of
// magnitude where the two-valued test is exact.
func TestSparseFailuresAreExactByDefault(t *testing.T) {
	t.Parallel()
	r, err := MannWhitneyHistogram([]float64{0, 1}, []int64{1988, 12}, []int64{97902, 98}, Options{Alternative: Greater})
	if err != nil || r.Method != Exact || relative(r.P, 2.293004708597614e-6) > tolerance {
		t.Errorf("p = %v by %v, error %v, want the hypergeometric 2.293e-6", r.P, r.Method, err)
	}
}

func TestMannWhitneyHistogramRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		values []float64
		x, y   []int64
		want   error
	}{
		{"nan", []float64{math.NaN(), 1}, []int64{1, 1}, []int64{1, 1}, ErrNaN},
		{"unordered", []float64{2, 1}, []int64{1, 1}, []int64{1, 1}, ErrArgument},
		{"repeated zero", []float64{math.Copysign(0, -1), 0}, []int64{1, 1}, []int64{1, 1}, ErrArgument},
		{"negative", []float64{1, 2}, []int64{1, -1}, []int64{1, 1}, ErrArgument},
		{"lengths", []float64{1, 2}, []int64{1}, []int64{1, 1}, ErrArgument},
		{"no bins", nil, nil, nil, ErrEmpty},
		{"empty canary", []float64{1}, []int64{0}, []int64{5}, ErrEmpty},
		{"empty control", []float64{1}, []int64{5}, []int64{0}, ErrEmpty},
		{"too many", []float64{1, 2}, []int64{MaxObservations, 0}, []int64{0, 1}, ErrTooLarge},
		{"overflow", []float64{1}, []int64{math.MaxInt64}, []int64{math.MaxInt64}, ErrTooLarge},
	} {
		r, err := MannWhitneyHistogram(c.values, c.x, c.y, Options{})
		if !errors.Is(err, c.want) || !cmp.Equal(r, Result{}) {
			t.Errorf("%s: %+v, error %v, want %v", c.name, r, err, c.want)
		}
	}
}

// The largest histogram: no integer overflows, and both tails stay in range.
func TestMannWhitneyHistogramAtItsLimit(t *testing.T) {
	t.Parallel()
	half := int64(MaxObservations / 2)
	for _, method := range []Method{Auto, Asymptotic} {
		r, err := MannWhitneyHistogram([]float64{0, 1, 2}, []int64{0, 1, half - 1}, []int64{half - 1, 1, 0}, Options{Method: method})
		if err != nil || r.P != math.SmallestNonzeroFloat64 || r.Shift != 2 || r.A12 != 1 {
			t.Errorf("%v: %+v, error %v", method, r, err)
		}
	}
}

func TestHistogramEqualsSamples(t *testing.T) {
	t.Parallel()
	x, y := []float64{1, 1, 2, 5, 5, 5}, []float64{0, 1, 2, 2, 5}
	a, err := MannWhitney(x, y, Options{Alternative: Greater})
	if err != nil {
		t.Fatal(err)
	}
	b, err := MannWhitneyHistogram([]float64{0, 1, 2, 3, 5}, []int64{0, 2, 1, 0, 3}, []int64{1, 1, 2, 0, 1}, Options{Alternative: Greater})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Error(diff)
	}
}
