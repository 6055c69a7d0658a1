package stats

import (
	"fmt"
	"math"
)

// Table is one stratum of a comparison of yes and no: of N canaries X had the event, of M controls Y.
type Table struct{ X, N, Y, M int64 }

// mostTableWork bounds the products that an exact answer may take: a second or so.
const mostTableWork = 1 << 28

// MantelHaenszelUpper is P(ΣX ≥ as many as there are) if the change does nothing in any stratum: given each stratum's
// events, its X is hypergeometric, and the sum is their convolution (the exact form of Mantel and Haenszel 1959). One
// stratum is Fisher's test. Terms of a stratum follow from their neighbours, starting at the mode; the relative error
// of p is below 1e-10. No tables are 1; sizes whose convolution takes too long are ErrTooLarge.
func MantelHaenszelUpper(tables []Table) (float64, error) {
	sum, first, observed := []float64{1}, int64(0), int64(0)
	work := 0.0
	for i, t := range tables {
		if t.X < 0 || t.Y < 0 || t.X > t.N || t.Y > t.M || t.N > MaxObservations || t.M > MaxObservations-t.N {
			return 1, fmt.Errorf("table %d: %+v: %w", i, t, ErrArgument)
		}
		low, high := t.support()
		if work += float64(len(sum)) * float64(high-low+1); work > mostTableWork {
			return 1, fmt.Errorf("table %d: %w, expected fewer events", i, ErrTooLarge)
		}
		terms := t.terms(low, high)
		next := make([]float64, len(sum)+len(terms)-1)
		for a, p := range sum {
			for b, q := range terms {
				next[a+b] += p * q
			}
		}
		sum, first, observed = next, first+low, observed+t.X
	}
	p := 0.0
	for k := len(sum) - 1; k >= int(observed-first); k-- { // the small ones first
		p += sum[k]
	}
	return math.Min(1, p), nil
}

// support is what X can be, given the events of both arms.
func (t Table) support() (low, high int64) { return max(0, t.X+t.Y-t.M), min(t.X+t.Y, t.N) }

// terms gives P(X = low) to P(X = high).
func (t Table) terms(low, high int64) []float64 {
	events := t.X + t.Y
	p := make([]float64, high-low+1)
	mode := min(max((events+1)*(t.N+1)/(t.N+t.M+2), low), high)
	p[mode-low] = 1
	ratio := func(k int64) float64 { // P(k+1)/P(k)
		return float64(events-k) * float64(t.N-k) / (float64(k+1) * float64(t.M-events+k+1))
	}
	for k := mode; k < high; k++ {
		p[k+1-low] = p[k-low] * ratio(k)
	}
	for k := mode; k > low; k-- {
		p[k-1-low] = p[k-low] / ratio(k-1)
	}
	whole := 0.0
	for _, x := range p {
		whole += x
	}
	for i := range p {
		p[i] /= whole
	}
	return p
}
