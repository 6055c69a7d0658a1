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
