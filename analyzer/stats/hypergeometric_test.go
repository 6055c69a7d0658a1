package stats

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestHypergeometricUpperVectors(t *testing.T) {
	t.Parallel()
	v := loadVectors(t)
	for _, c := range v.Hypergeometric {
		p, logP, err := HypergeometricUpper(c.int("k"), c.int("K"), c.int("n"), c.int("N"))
		if err != nil {
			t.Fatal(err)
		}
		checkP(t, c["meaning"].(string), p, logP, c["p"].(string))
	}
	// R's fisher.test of the table 3 1 / 1 3.
	p, _, err := HypergeometricUpper(3, 4, 4, 8)
	if err != nil || relative(p, v.Fisher[0].Greater) > tolerance {
		t.Errorf("Fisher: p = %v, error %v, want %v", p, err, v.Fisher[0].Greater)
	}
}

// Ensure that every small urn equals the sum of its binomials, exactly.
func TestHypergeometricUpperByCounting(t *testing.T) {
	t.Parallel()
	for N := int64(1); N <= 12; N++ {
		for K := range N + 1 {
			for n := range N + 1 {
				for k := int64(-1); k <= N+1; k++ {
					want, _ := countUpper(k, K, n, N).Float64()
					p, logP, err := HypergeometricUpper(k, K, n, N)
					if err != nil || relative(p, want) > 1e-15 || math.Abs(logP-math.Log(want)) > 1e-14 {
						t.Fatalf("k %d K %d n %d N %d: %v, log %v, error %v, want %v", k, K, n, N, p, logP, err, want)
					}
				}
			}
		}
	}
}

func countUpper(k, K, n, N int64) *big.Rat {
	ways := new(big.Int)
	for j := max(k, 0, n+K-N); j <= min(n, K); j++ {
		term := new(big.Int).Binomial(K, j)
		ways.Add(ways, term.Mul(term, new(big.Int).Binomial(N-K, n-j)))
	}
	return new(big.Rat).SetFrac(ways, new(big.Int).Binomial(N, n))
}

func TestHypergeometricUpperByCountingLarge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		N := rapid.Int64Range(1, 4000).Draw(t, "N")
		K, n := rapid.Int64Range(0, N).Draw(t, "K"), rapid.Int64Range(0, N).Draw(t, "n")
		k := rapid.Int64Range(0, min(K, n)).Draw(t, "k")
		p, logP, err := HypergeometricUpper(k, K, n, N)
		exact := new(big.Float).SetPrec(256).SetRat(countUpper(k, K, n, N))
		want, _ := exact.Float64()
		if err != nil || want > 1e-300 && relative(p, want) > 1e-15 {
			t.Fatalf("p = %v, error %v, want %v", p, err, want)
		}
		if want < .5 && relative(logP, logFloat(exact)) > 1e-15 {
			t.Fatalf("log p = %v, want %v", logP, logFloat(exact))
		}
	})
}

// Balanced urns of a million nodes, where log-gammas have lost nine digits. The
// values are the binomial sums at 60 digits.
func TestHypergeometricUpperAtAMillion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		k, K, n, N int64
		want       string
	}{
		{250500, 500000, 500000, 1000000, "2.285830305678909288463611e-2"},
		{252000, 500000, 500000, 1000000, "6.320664391841360720067253e-16"},
		{253300, 500000, 500000, 1000000, "4.493395823597227350033977e-40"},
		{260000, 500000, 500000, 1000000, "3.199394087449322252538329e-350"},
		{100400, 200000, 500000, 1000000, "2.288535945862349100700802e-2"},
		{1100, 100000, 10000, 1000000, "4.991347888581215956092509e-4"},
	} {
		p, logP, err := HypergeometricUpper(c.k, c.K, c.n, c.N)
		if err != nil {
			t.Fatal(err)
		}
		checkP(t, "a million", p, logP, c.want)
	}
}

// Past urnSteps only the logarithm counts; both ways agree where both are feasible.
func TestHypergeometricFarTail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		u urn
		k int64
	}{
		{urn{700_000, 500_000, 1 << 30}, 1000},
		{urn{700_000, 500_000, 1 << 30}, 100_000},
		{urn{700_000, 500_000, 1 << 30}, 500_000},
		{urn{600, 800, 1024}, 590},
		{urn{30, 12, 1000}, 12},
	} {
		near, far := c.u.upper(c.k), c.u.farLog(c.k, min(c.u.drawn, c.u.failed))
		if relative(far, near.logP) > tolerance {
			t.Errorf("%+v: log p = %.17g, by recurrence %.17g", c, far, near.logP)
		}
	}
	p, logP, err := HypergeometricUpper(1<<30, 1<<30, 1<<30, 1<<31)
	// log 1/C(2³¹, 2³⁰) = −(2³¹ log 2 − ½ log(π·2³⁰))
	want := -(math.Ldexp(math.Ln2, 31) - .5*math.Log(math.Pi*(1<<30)))
	if err != nil || p != math.SmallestNonzeroFloat64 || relative(logP, want) > tolerance {
		t.Errorf("largest urn: p = %v, log p = %.17g, error %v, want %.17g", p, logP, err, want)
	}
}

func TestHypergeometricUpperRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range [][4]int64{{1, 5, 3, 4}, {1, -1, 3, 4}, {1, 2, 5, 4}, {1, 2, -1, 4}, {0, 0, 0, -1}, {1, 1, 1, MaxObservations + 1}} {
		if p, _, err := HypergeometricUpper(c[0], c[1], c[2], c[3]); !errors.Is(err, ErrArgument) || p != 1 {
			t.Errorf("%v: p = %v, error %v, want an error and no evidence", c, p, err)
		}
	}
	if p, logP, err := HypergeometricUpper(3, 2, 2, 9); err != nil || p != 0 || !math.IsInf(logP, -1) {
		t.Errorf("impossible: p = %v, log p = %v, error %v, want 0", p, logP, err)
	}
}
