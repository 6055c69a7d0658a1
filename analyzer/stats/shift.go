package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// shift is the Hodges-Lehmann estimate: the median of all n·m differences, exact
// and not a root of a standardised rank sum (facts: 5.1). For an even number it
// is the mean of the two middle ones.
func shift(d differences) float64 {
	low := d.smallest((d.pairs + 1) / 2)
	if d.pairs%2 == 1 {
		return low
	}
	high := low
	if pairs, _ := d.upTo(low); pairs < d.pairs/2+1 {
		high = d.smallest(d.pairs/2 + 1)
	}
	return middle(low, high)
}

// middle is the mean without overflow. Between −∞ and ∞ it is 0: nothing is known.
func middle(low, high float64) float64 {
	if math.IsInf(low, -1) && math.IsInf(high, 1) {
		return 0
	}
	if sum := low + high; !math.IsInf(sum, 0) {
		return sum / 2
	}
	return low/2 + high/2
}

// shiftInterval holds the shift with at least the given confidence: from the
// c-th smallest to the c-th largest difference, c being the largest number with
// P(U < c) ≤ (1−level)/2 under the null distribution of U without ties, which is
// the widest one (Hollander and Wolfe, Nonparametric Statistical Methods, 4.3).
func shiftInterval(p pooled, d differences, level float64) (low, high float64) {
	c := criticalRank(p.n, p.m, (1-level)/2)
	if c < 1 {
		return math.Inf(-1), math.Inf(1)
	}
	return d.smallest(c), d.smallest(d.pairs - c + 1)
}

// criticalRank is exact for up to 64 observations, else by the normal
// approximation with continuity correction, rounded to the safe side.
func criticalRank(n, m int64, alpha float64) int64 {
	if n+m > 64 {
		mean := float64(n*m) / 2
		sd := math.Sqrt(float64(n*m) / 12 * float64(n+m+1))
		return int64(math.Floor(mean + float64(mathext.NormalQuantile(alpha)*sd) + .5))
	}
	ones := make([]int64, n+m)
	for i := range ones {
		ones[i] = 1
	}
	chosen := min(n, m)
	row := newSide(ones, chosen).rows[chosen] // one word a cell, cell = U
	var total, sum float64
	for _, ways := range row {
		total += float64(ways)
	}
	for u, ways := range row {
		if sum += float64(ways); sum > alpha*total {
			return int64(u)
		}
	}
	return 0
}
