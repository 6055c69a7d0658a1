package stats

import (
	"math"
	"math/big"
)

// fraction is the probability part/(part+rest) where all = part+rest. Both parts
// are given, so that the logarithm is precise near 1 too.
func fraction(part, rest, all *big.Float) tail {
	ratio := wide().Quo(part, all)
	p, _ := ratio.Float64()
	if p > .5 {
		q, _ := wide().Quo(rest, all).Float64()
		return tail{p: p, logP: math.Log1p(-q)}
	}
	return tail{p: p, logP: logFloat(ratio)}
}

// logFloat is the natural logarithm of x ≥ 0, which may be far below the
// smallest float64.
func logFloat(x *big.Float) float64 {
	if x.Sign() <= 0 {
		return math.Inf(-1)
	}
	mantissa := new(big.Float)
	exponent := x.MantExp(mantissa)
	m, _ := mantissa.Float64()
	return math.Log(m) + float64(float64(exponent)*math.Ln2)
}

// negligible reports that a term is 2^100 times smaller than the sum, so that the
// falling terms after it cannot reach any of the 53 bits of a result.
func negligible(term, sum *big.Float) bool {
	if term.Sign() == 0 || sum.Sign() == 0 {
		return term.Sign() == 0
	}
	return term.MantExp(nil) < sum.MantExp(nil)-100
}

// addTo adds a term to a sum unless one is negligible beside the other: Add
// itself would write out every bit between the two, a million for far tails.
func addTo(sum, term *big.Float) {
	switch {
	case negligible(term, sum):
	case negligible(sum, term):
		sum.Set(term)
	default:
		sum.Add(sum, term)
	}
}
