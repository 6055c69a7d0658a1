package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// shift is the Hodges-Lehmann estimate: the median of all n·m differences, exact
// and not a root of a standardised rank sum (facts: 5.1). For an even number it
// is the mean of the two middle ones.
func shift(p pooled) float64 {
	pairs := p.n * p.m
	low := p.difference((pairs + 1) / 2)
	if pairs%2 == 1 {
		return low
	}
	high := low
	if p.pairsUpTo(low) < pairs/2+1 {
		high = p.difference(pairs/2 + 1)
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
func shiftInterval(p pooled, level float64) (low, high float64) {
	c := criticalRank(p.n, p.m, (1-level)/2)
	if c < 1 {
		return math.Inf(-1), math.Inf(1)
	}
	return p.difference(c), p.difference(p.n*p.m - c + 1)
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

// difference is the k-th smallest of the n·m differences x−y, k from 1. The
// order of floats is the order of their bits, so 64 halvings always find it.
func (p pooled) difference(k int64) float64 {
	low, high := order(p.subtract(0, len(p.values)-1)), order(p.subtract(len(p.values)-1, 0))
	for low < high {
		mid := low + int64(uint64(high-low)/2)
		if p.pairsUpTo(unorder(mid)) >= k {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return unorder(low)
}

// subtract is values[i] − values[j]; equal infinities are equal, so 0 apart.
func (p pooled) subtract(i, j int) float64 {
	if p.values[i] == p.values[j] {
		return 0
	}
	return p.values[i] - p.values[j]
}

// pairsUpTo counts the pairs with x−y ≤ d. A rounded difference still grows with
// x and falls with y, so one pass with two fingers is enough.
func (p pooled) pairsUpTo(d float64) int64 {
	var pairs int64
	j, left := 0, p.m
	for i, x := range p.canary {
		if x == 0 {
			continue
		}
		for j < len(p.values) && p.subtract(i, j) > d {
			left -= p.control[j]
			j++
		}
		pairs += x * left
	}
	return pairs
}

// order maps floats to integers in the same order, −0 to 0.
func order(f float64) int64 {
	bits := int64(math.Float64bits(f))
	if bits < 0 {
		return math.MinInt64 - bits
	}
	return bits
}

func unorder(i int64) float64 {
	if i < 0 {
		i = math.MinInt64 - i
	}
	return math.Float64frombits(uint64(i))
}
