package stats

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestAscending: sorting by digits gives what sorting by comparison does.
func TestAscending(t *testing.T) {
	odd := []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1, math.Nextafter(1, 2)}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3*radixFrom).Draw(t, "n")
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		r := rapid.Uint64().Draw(t, "seed")
		data := make([]float64, n)
		for i := range data {
			r = r*6364136223846793005 + 1442695040888963407
			switch u := r >> 11; kind {
			case 0:
				data[i] = math.Float64frombits(r)
			case 1:
				data[i] = float64(int64(u%200) - 100)
			case 2:
				data[i] = odd[u%uint64(len(odd))]
			default:
				data[i] = 1 + float64(u)*0x1p-90 // they agree in all digits
			}
			if math.IsNaN(data[i]) {
				data[i] = 0
			}
		}
		want := slices.Clone(data)
		slices.Sort(want)
		got := ascending(data)
		if !slices.Equal(got, want) {
			t.Fatal("not sorted, or other values")
		}
	})
}

func TestCountBins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bins := rapid.SliceOf(rapid.Uint16Range(0, 9)).Draw(t, "bins")
		got := []int64{1, 0, 0, 0, 0, 0, 0, 0, 0, 5}
		want := slices.Clone(got)
		for _, b := range bins {
			want[b]++
		}
		if err := CountBins(got, bins); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v, want %v, %v", got, want, err)
		}
	})
	counts := []int64{0, 0}
	if err := CountBins(counts, []uint16{0, 2}); err == nil || counts[0] != 0 {
		t.Errorf("a bin without a place: %v, %v", counts, err)
	}
}

// TestNoShift changes nothing but the shift.
func TestNoShift(t *testing.T) {
	x, y := []float64{1, 2, 2, 9}, []float64{0, 1, 2}
	all, err := MannWhitney(x, y, Options{})
	if err != nil {
		t.Fatal(err)
	}
	short, err := MannWhitney(x, y, Options{NoShift: true})
	if err != nil || short.P != all.P || short.U != all.U || short.A12 != all.A12 || short.Shift != 0 || short.ShiftHigh != 0 {
		t.Errorf("%+v, %v; with shift %+v", short, err, all)
	}
}

// TestVanElterenByEnumeration: every assignment inside each of two or three small tied strata.
func TestVanElterenByEnumeration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := rapid.IntRange(2, 3).Draw(t, "strata")
		var strata []Stratum
		sums := []float64{0}
		observed := 0.0
		for range k {
			n := rapid.IntRange(1, 3).Draw(t, "n")
			m := rapid.IntRange(1, 3).Draw(t, "m")
			pool := rapid.SliceOfN(rapid.IntRange(0, 3), n+m, n+m).Draw(t, "values")
			values := make([]float64, n+m)
			for i, v := range pool {
				values[i] = float64(v)
			}
			s, err := NewStratum(values[:n], values[n:])
			if err != nil {
				t.Fatal(err)
			}
			strata = append(strata, s)
			observed += weighed(values, 1<<n-1)
			var next []float64
			for set := range uint(1) << (n + m) {
				if count := onesIn(set); count == n {
					for _, sum := range sums {
						next = append(next, sum+weighed(values, set))
					}
				}
			}
			sums = next
		}
		extreme := 0
		for _, s := range sums {
			if s >= observed-1e-9 {
				extreme++
			}
		}
		r, err := VanElteren(strata, Options{Alternative: Greater, Method: Exact})
		if err != nil {
			t.Fatal(err)
		}
		if want := float64(extreme) / float64(len(sums)); math.Abs(r.P-want) > 1e-12 {
			t.Fatalf("p = %v, %d of %d choices are as far out: %v", r.P, extreme, len(sums), want)
		}
	})
}

func onesIn(set uint) (n int) {
	for ; set != 0; set &= set - 1 {
		n++
	}
	return n
}

// weighed is (U − nm/2)/(N+1) of the values in the set over the others.
func weighed(values []float64, set uint) float64 {
	u, n := 0.0, onesIn(set)
	for i, x := range values {
		for j, y := range values {
			if set>>i&1 == 1 && set>>j&1 == 0 {
				switch {
				case x > y:
					u++
				case x == y:
					u += .5
				}
			}
		}
	}
	m := len(values) - n
	return (u - float64(n*m)/2) / float64(n+m+1)
}
