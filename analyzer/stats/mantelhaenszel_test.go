package stats

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestMantelHaenszel: one table is Fisher's test, and several are what counting all ways to choose the canaries says.
func TestMantelHaenszel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		tables := make([]Table, rapid.IntRange(1, 3).Draw(rt, "strata"))
		var events, canaries, controls []int64
		for i := range tables {
			n, m := rapid.Int64Range(0, 6).Draw(rt, "n"), rapid.Int64Range(0, 6).Draw(rt, "m")
			tables[i] = Table{X: rapid.Int64Range(0, n).Draw(rt, "x"), N: n, Y: rapid.Int64Range(0, m).Draw(rt, "y"), M: m}
			events, canaries, controls = append(events, tables[i].X+tables[i].Y), append(canaries, n), append(controls, m)
		}
		observed := int64(0)
		for _, table := range tables {
			observed += table.X
		}
		tail, all := new(big.Int), new(big.Int)
		var count func(i int, sum int64, ways *big.Int)
		count = func(i int, sum int64, ways *big.Int) {
			if i == len(tables) {
				if all.Add(all, ways); sum >= observed {
					tail.Add(tail, ways)
				}
				return
			}
			for k := max(0, events[i]-controls[i]); k <= min(events[i], canaries[i]); k++ {
				w := new(big.Int).Mul(new(big.Int).Binomial(canaries[i], k), new(big.Int).Binomial(controls[i], events[i]-k))
				count(i+1, sum+k, w.Mul(w, ways))
			}
		}
		count(0, 0, big.NewInt(1))
		want, _ := new(big.Rat).SetFrac(tail, all).Float64()
		if got, err := MantelHaenszelUpper(tables); err != nil || math.Abs(got-want) > 1e-12*want {
			rt.Fatalf("%+v: %v, %v, expected %v", tables, got, err, want)
		}
	})
}

// TestMantelHaenszelIsFisher at sizes where it matters, to a part in 10^10.
func TestMantelHaenszelIsFisher(t *testing.T) {
	for _, c := range []Table{{30, 1000, 2000, 99000}, {5, 20, 0, 40}, {40, 500, 100, 499_500}, {0, 10, 3, 10}, {700, 1000, 200, 1000}} {
		want, _, err := HypergeometricUpper(c.X, c.X+c.Y, c.N, c.N+c.M)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := MantelHaenszelUpper([]Table{c}); err != nil || math.Abs(got-want) > 1e-10*want {
			t.Errorf("%+v: %v, %v, expected %v", c, got, err, want)
		}
	}
}

func TestMantelHaenszelRefuses(t *testing.T) {
	if p, err := MantelHaenszelUpper(nil); p != 1 || err != nil {
		t.Errorf("no tables: %v, %v", p, err)
	}
	for _, bad := range []Table{{X: -1, N: 1, M: 1}, {X: 2, N: 1, M: 1}, {Y: 2, N: 1, M: 1}, {N: MaxObservations, M: 1}, {N: math.MaxInt64, M: math.MaxInt64}} {
		if p, err := MantelHaenszelUpper([]Table{bad}); p != 1 || !errors.Is(err, ErrArgument) {
			t.Errorf("%+v: %v, %v", bad, p, err)
		}
	}
	large := Table{X: 20_000, N: 500_000, Y: 20_000, M: 500_000}
	if p, err := MantelHaenszelUpper([]Table{large, large}); p != 1 || !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v, %v", p, err)
	}
}
