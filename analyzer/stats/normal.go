package stats

import (
	"math"
	"math/big"

	"gonum.org/v1/gonum/stat/distuv"
)

// precision is the mantissa of intermediate big.Float values, in bits. It only
// has to be far above the 53 bits of the results.
const precision = 256

// split writes z as an unevaluated sum of two floats. Far in the tail an error
// of one ulp in z is worth z² ulp in p, so the second float matters.
func split(z *big.Float) (hi, lo float64) {
	hi, _ = z.Float64()
	rest := wide().Sub(z, big.NewFloat(hi))
	lo, _ = rest.Float64()
	return hi, lo
}

// sqrt2Low is √2 minus the float64 nearest to it.
const sqrt2Low = -9.667293313452913e-17

// upperTail is P(Z ≥ hi+lo) of the standard normal and its logarithm.
//
// It goes through CDF(−z), because Survival(z) of gonum is ½(1−erf) and has no
// digit left from z = 9 on. CDF rounds z/√2; the first-order term of that
// rounding error and of lo is multiplied back in.
func upperTail(hi, lo float64) tail {
	if hi < 0 {
		t := upperTail(-hi, -lo)
		return tail{p: 1 - t.p, logP: math.Log1p(-t.p)}
	}
	x := hi / math.Sqrt2
	rest := math.FMA(-x, math.Sqrt2, hi) - float64(x*sqrt2Low) + lo
	p := distuv.UnitNormal.CDF(-hi) * math.Exp(-float64(rest/math.Sqrt2)*erfcSlope(x))
	if hi < 30 {
		return tail{p: min(p, 1), logP: min(math.Log(p), 0)}
	}
	return tail{p: p, logP: logUpperTail(hi)}
}

// erfcSlope is −d/dx log erfc(x) for x ≥ 0.
func erfcSlope(x float64) float64 {
	if x < 5 {
		return 2 / math.Sqrt(math.Pi) * math.Exp(-x*x) / math.Erfc(x)
	}
	return 2*x + 1/x
}

// logUpperTail is log P(Z ≥ z) for z ≥ 30 by the asymptotic series of the Mills
// ratio, 1 − 1/z² + 3/z⁴ − 15/z⁶ + … (Abramowitz and Stegun 26.2.12), whose
// eighth term is below 1e-16 there.
func logUpperTail(z float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1; k <= 8; k++ {
		term *= -float64(2*k-1) / z / z
		sum += term
	}
	return -float64(z/2*z) - math.Log(z) - .5*math.Log(2*math.Pi) + math.Log(sum)
}
