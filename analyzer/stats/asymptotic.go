package stats

import "math/big"

// doubledVariance is 4·Var U as an exact fraction, from
//
//	Var U = nm/12 · [(N+1) − Σ(t³−t)/(N(N−1))] = nm·(N³−N−Σ(t³−t)) / (12·N·(N−1))
//
// All is integer up to the one division, since in heavy ties the two terms
// cancel to a few digits (facts: 4.1). It is 0 where all values are equal.
func doubledVariance(p pooled) *big.Float {
	total := big.NewInt(p.n + p.m)
	cube := new(big.Int).Mul(total, total)
	cube.Sub(cube, big.NewInt(1)).Mul(cube, total)
	num := cube.Sub(cube, p.tieSum())
	num.Mul(num, big.NewInt(p.n*p.m))
	den := new(big.Int).Mul(total, big.NewInt(3*(p.n+p.m-1)))
	return wide().Quo(wide().SetInt(num), wide().SetInt(den))
}

func wide() *big.Float { return new(big.Float).SetPrec(precision) }

// doubledDeviation is 2U − nm after the continuity correction: ½ towards 0 for
// two sides, −½ for greater, +½ for less, nothing two-sided at the mean.
func doubledDeviation(p pooled, twoU int64, alt Alternative, continuity bool) int64 {
	d := twoU - p.n*p.m
	if !continuity {
		return d
	}
	switch {
	case alt == Greater, alt == TwoSided && d > 0:
		return d - 1
	case alt == Less, alt == TwoSided && d < 0:
		return d + 1
	}
	return d
}

// normalTail is the asymptotic p-value and the z it comes from.
func normalTail(p pooled, twoU int64, opt Options) (tail, float64) {
	variance := doubledVariance(p)
	if variance.Sign() <= 0 {
		return certain, 0
	}
	z := wide().SetInt64(doubledDeviation(p, twoU, opt.Alternative, opt.Continuity))
	hi, lo := split(z.Quo(z, variance.Sqrt(variance)))
	return pick(opt.Alternative, upperTail(-hi, -lo), upperTail(hi, lo)), hi
}
