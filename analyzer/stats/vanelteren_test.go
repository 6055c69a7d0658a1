package stats

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type stratifiedCase struct {
	Z        string
	P        string `json:"p_two_sided"`
	X, Y     []float64
	XStratum []float64 `json:"x_stratum"`
	YStratum []float64 `json:"y_stratum"`
}

func (c stratifiedCase) strata(t *testing.T) []Stratum {
	t.Helper()
	names := slices.Compact(slices.Sorted(slices.Values(c.XStratum)))
	var strata []Stratum
	for _, name := range names {
		s, err := NewStratum(inStratum(c.X, c.XStratum, name), inStratum(c.Y, c.YStratum, name))
		if err != nil {
			t.Fatal(err)
		}
		strata = append(strata, s)
	}
	return strata
}

func inStratum(values, strata []float64, name float64) []float64 {
	var in []float64
	for i, v := range values {
		if strata[i] == name {
			in = append(in, v)
		}
	}
	return in
}

func TestVanElterenVectors(t *testing.T) {
	t.Parallel()
	checked := 0
	for name, raw := range loadVectors(t).VanElteren {
		var c stratifiedCase
		if json.Unmarshal(raw, &c) != nil {
			continue // the definition
		}
		checked++
		r, err := VanElteren(c.strata(t), Options{Method: Asymptotic})
		if err != nil || r.Method != Asymptotic || r.Strata != 3 || r.Omitted != 0 || r.N != len(c.X) || r.M != len(c.Y) {
			t.Fatalf("%s: %+v, error %v", name, r, err)
		}
		checkP(t, name, r.P, r.LogP, c.P)
		if z, _, _ := big.ParseFloat(c.Z, 10, 128, big.ToNearestEven); z != nil {
			if want, _ := z.Float64(); relative(r.Z, want) > 1e-15 {
				t.Errorf("%s: z = %.17g, want %s", name, r.Z, c.Z)
			}
		}
	}
	if checked != 2 {
		t.Errorf("%d data sets, want 2", checked)
	}
}

func drawStrata(t *rapid.T) []Stratum {
	value := rapid.Float64Range(0, 3)
	coarse := rapid.Custom(func(t *rapid.T) float64 { return math.Floor(value.Draw(t, "value")) })
	var strata []Stratum
	for range rapid.IntRange(2, 3).Draw(t, "strata") {
		s, err := NewStratum(rapid.SliceOfN(coarse, 1, 4).Draw(t, "canary"), rapid.SliceOfN(coarse, 1, 4).Draw(t, "control"))
		if err != nil {
			t.Fatal(err)
		}
		strata = append(strata, s)
	}
	return strata
}

// bruteStratified counts over every choice of canaries in every stratum.
func bruteStratified(t *rapid.T, strata []Stratum) (less, greater *big.Rat) {
	observed, sums := new(big.Rat), []*big.Rat{new(big.Rat)}
	for _, s := range strata {
		p, err := poolHistogram(s.Values, s.Canary, s.Control)
		if err != nil {
			t.Fatal(err)
		}
		term := func(u2 int64) *big.Rat { return big.NewRat(u2-p.n*p.m, 2*(p.n+p.m+1)) }
		observed.Add(observed, term(p.twoU()))
		var next []*big.Rat
		for _, u2 := range allTwoU(expand(p)) {
			for _, sum := range sums {
				next = append(next, new(big.Rat).Add(sum, term(u2)))
			}
		}
		sums = next
	}
	var upTo, from int64
	for _, sum := range sums {
		if sum.Cmp(observed) <= 0 {
			upTo++
		}
		if sum.Cmp(observed) >= 0 {
			from++
		}
	}
	return big.NewRat(upTo, int64(len(sums))), big.NewRat(from, int64(len(sums)))
}

func TestVanElterenExactByCounting(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		strata := drawStrata(t)
		less, greater := bruteStratified(t, strata)
		for alt, want := range map[Alternative]*big.Rat{Less: less, Greater: greater} {
			r, err := VanElteren(strata, Options{Alternative: alt})
			if exact, _ := want.Float64(); err != nil || r.Method != Exact || relative(r.P, exact) > tolerance {
				t.Fatalf("%v: %+v, error %v, want %v", alt, r, err, exact)
			}
		}
	})
}

// One stratum is the plain test, exactly and asymptotically.
func TestVanElterenOfOneStratum(t *testing.T) {
	t.Parallel()
	x, y := []float64{1, 2, 2, 5, 7, 9}, []float64{0, 2, 3, 3, 4, 5, 5}
	s, err := NewStratum(x, y)
	if err != nil {
		t.Fatal(err)
	}
	empty, err := NewStratum(nil, y)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []Method{Exact, Asymptotic} {
		opt := Options{Alternative: Greater, Method: method}
		a, err := VanElteren([]Stratum{s, empty, {}}, opt)
		if err != nil {
			t.Fatal(err)
		}
		b, err := MannWhitney(x, y, opt)
		if err != nil || relative(a.P, b.P) > 1e-15 || relative(a.Z, b.Z) > 1e-15 || a.Method != b.Method || a.Omitted != 2 {
			t.Errorf("%v: %+v, want %+v, error %v", method, a, b, err)
		}
		if want := 6. * 7 / 14; a.Information != want {
			t.Errorf("information %v, want %v", a.Information, want)
		}
	}
}

// Strata with one value add nothing, and if there are no others P is 1.
func TestVanElterenAllTied(t *testing.T) {
	t.Parallel()
	tied := Stratum{Values: []float64{4}, Canary: []int64{2}, Control: []int64{3}}
	for _, method := range []Method{Exact, Asymptotic} {
		r, err := VanElteren([]Stratum{tied, tied}, Options{Method: method})
		if err != nil || r.P != 1 || r.LogP != 0 || r.Z != 0 {
			t.Errorf("%v: %+v, error %v, want p = 1", method, r, err)
		}
	}
}

func TestVanElterenRefuses(t *testing.T) {
	t.Parallel()
	good := Stratum{Values: []float64{1, 2}, Canary: []int64{1, 0}, Control: []int64{0, 1}}
	large := Stratum{}
	for i := range 5000 {
		large.Values = append(large.Values, float64(i))
		large.Canary, large.Control = append(large.Canary, int64(i%2)), append(large.Control, int64((i+1)%2))
	}
	for _, c := range []struct {
		name, place string
		strata      []Stratum
		opt         Options
		want        error
	}{
		{"none", "all 0", nil, Options{}, ErrEmpty},
		{"no both arms", "all 1", []Stratum{{Values: []float64{1}, Canary: []int64{1}, Control: []int64{0}}}, Options{}, ErrEmpty},
		{"nan", "stratum 1", []Stratum{good, {Values: []float64{math.NaN()}, Canary: []int64{0}, Control: []int64{0}}}, Options{}, ErrNaN},
		{"lengths", "stratum 0", []Stratum{{Values: []float64{1}}}, Options{}, ErrArgument},
		{"sum of strata", "stratum 1", []Stratum{good, {Values: []float64{1}, Canary: []int64{1}, Control: []int64{MaxObservations - 1}}}, Options{}, ErrTooLarge},
		{"exact of large", "exact", []Stratum{good, large}, Options{Method: Exact}, ErrTooLarge},
		{"option", "method", []Stratum{good}, Options{Method: 9}, ErrArgument},
	} {
		r, err := VanElteren(c.strata, c.opt)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.place) || !cmp.Equal(r, StratifiedResult{}) {
			t.Errorf("%s: %+v, error %v, want %v at %s", c.name, r, err, c.want, c.place)
		}
	}
	if _, err := NewStratum([]float64{math.NaN()}, nil); !errors.Is(err, ErrNaN) {
		t.Errorf("new stratum of NaN: error %v", err)
	}
	r, err := VanElteren([]Stratum{good, large}, Options{})
	if err != nil || r.Method != Asymptotic {
		t.Errorf("auto of large: %+v, error %v", r, err)
	}
	sparse := Stratum{Values: []float64{0, 1, 2}, Canary: []int64{900, 5, 60}, Control: []int64{9000, 9, 300}}
	r, err = VanElteren([]Stratum{sparse, sparse}, Options{})
	if err != nil || r.Method != Asymptotic || len(r.Warnings) != 1 {
		t.Errorf("sparse: %+v, error %v, want a warning", r, err)
	}
}
