package stats

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestRuleOfThreeVectors(t *testing.T) {
	t.Parallel()
	for _, c := range loadVectors(t).RuleOfThree {
		for level, key := range map[float64]string{.95: "upper95", .99: "upper99"} {
			if got, want := ClopperPearsonUpper(0, int(c["n"]), level), c[key]; relative(got, want) > tolerance {
				t.Errorf("0 of %v at %v: %.17g, want %.17g", c["n"], level, got, want)
			}
		}
	}
}

// exactBinomial is P(Bin(n,p) ≤ k) summed in 300-bit floats.
func exactBinomial(k, n int64, p float64) *big.Float {
	f := func(x float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(x) }
	q := f(1)
	q.Sub(q, f(p))
	term := f(1)
	for range n {
		term.Mul(term, q)
	}
	sum := f(0)
	for j := int64(0); j <= k; j++ {
		sum.Add(sum, term)
		term.Mul(term, f(float64(n-j))).Quo(term, f(float64(j+1))).Mul(term, f(p)).Quo(term, q)
	}
	return sum
}

// The limits are where the exact binomial sums reach 1−level.
func TestClopperPearsonSolvesItsEquation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "n")
		events := rapid.IntRange(0, n).Draw(t, "events")
		level := rapid.SampledFrom([]float64{.9, .95, .99, .999}).Draw(t, "level")
		low, high := ClopperPearsonLower(events, n, level), ClopperPearsonUpper(events, n, level)
		if rate := float64(events) / float64(n); !(0 <= low && low <= rate && rate <= high && high <= 1) {
			t.Fatalf("%d of %d: limits %v and %v", events, n, low, high)
		}
		if events < n {
			got, _ := exactBinomial(int64(events), int64(n), high).Float64()
			if relative(got, 1-level) > 1e-10 {
				t.Fatalf("%d of %d: P(X ≤ events) at the upper limit %v is %v, want %v", events, n, high, got, 1-level)
			}
		}
		if events > 0 { // P(X ≥ e) = P(n−X ≤ n−e)
			below := exactBinomial(int64(events)-1, int64(n), low)
			got, _ := new(big.Float).Sub(big.NewFloat(1), below).Float64()
			if relative(got, 1-level) > 1e-10 {
				t.Fatalf("%d of %d: P(X ≥ events) at the lower limit %v is %v, want %v", events, n, low, got, 1-level)
			}
		}
	})
}

// Ensure that senseless arguments rule nothing out.
func TestClopperPearsonFailsClosed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		events, n int
		level     float64
	}{{0, 0, .95}, {0, -3, .95}, {-1, 5, .95}, {6, 5, .95}, {1, 5, 0}, {1, 5, 1}, {1, 5, math.NaN()}, {0, 5, 1}} {
		if low, high := ClopperPearsonLower(c.events, c.n, c.level), ClopperPearsonUpper(c.events, c.n, c.level); low != 0 || high != 1 {
			t.Errorf("%+v: limits %v and %v, want 0 and 1", c, low, high)
		}
	}
	if high := ClopperPearsonUpper(5, 5, .95); high != 1 {
		t.Errorf("5 of 5: upper limit %v, want 1", high)
	}
	if low := ClopperPearsonLower(5, 5, .95); relative(low, math.Pow(.05, .2)) > tolerance {
		t.Errorf("5 of 5: lower limit %v, want the fifth root of .05", low)
	}
}

// nodesToRuleOut is the smallest number of canaries, with so many events among them, whose upper limit is no more than delta.
func nodesToRuleOut(events int, delta, level float64) int {
	return fewest(events, func(n int) bool { return ClopperPearsonUpper(events, n, level) <= delta })
}

// The table of the facts page, section 2.7.
func TestNodesToRuleOutTable(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		delta      float64
		at95, at99 [6]int
	}{
		{.005, [6]int{598, 947, 1258, 1549, 1829, 2100}, [6]int{919, 1325, 1678, 2006, 2318, 2618}},
		{.01, [6]int{299, 473, 628, 773, 913, 1049}, [6]int{459, 662, 838, 1001, 1157, 1307}},
		{.05, [6]int{59, 93, 124, 153, 181, 208}, [6]int{90, 130, 165, 198, 229, 259}},
	} {
		for events := range 6 {
			if got := nodesToRuleOut(events, row.delta, .95); got != row.at95[events] {
				t.Errorf("%d events, %v at 95 %%: %d, want %d", events, row.delta, got, row.at95[events])
			}
			if got := nodesToRuleOut(events, row.delta, .99); got != row.at99[events] {
				t.Errorf("%d events, %v at 99 %%: %d, want %d", events, row.delta, got, row.at99[events])
			}
		}
	}
}
