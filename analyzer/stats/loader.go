package stats

import "math"

// logBinomialTerm is log C(n,x) pˣ qⁿ⁻ˣ by Catherine Loader's "Fast and Accurate
// Computation of Binomial Probabilities" (2000): Stirling's error and the
// deviance are computed as such and not as differences of large numbers. q is
// 1−p, given apart because it may be known better than by subtraction.
func logBinomialTerm(x, n int64, p, q float64) float64 {
	switch {
	case x < 0 || x > n:
		return math.Inf(-1)
	case x == 0:
		return float64(n) * logOneMinus(p, q)
	case x == n:
		return float64(n) * logOneMinus(q, p)
	}
	fx, fn, fy := float64(x), float64(n), float64(n-x)
	errors := stirlingError(fn) - stirlingError(fx) - stirlingError(fy)
	deviances := deviance(fx, float64(fn*p)) + deviance(fy, float64(fn*q))
	return errors - deviances + .5*math.Log(fn/(2*math.Pi*fx)/fy)
}

// logOneMinus is log(1−p) from whichever of p and q = 1−p is smaller.
func logOneMinus(p, q float64) float64 {
	if p < q {
		return math.Log1p(-p)
	}
	return math.Log(q)
}

// stirlingError is log n! − log(√(2πn)·(n/e)ⁿ).
func stirlingError(n float64) float64 {
	if n < 16 {
		lg, _ := math.Lgamma(n + 1)
		return lg - float64((n+.5)*math.Log(n)) + n - .5*math.Log(2*math.Pi)
	}
	// 1/(12n) − 1/(360n³) + 1/(1260n⁵) − … by Horner's rule. Conversions keep
	// the compiler from fusing, so that every machine gets the same bytes.
	r, series := 1/(n*n), 0.0
	for _, c := range [...]float64{691.0 / 360360, 1.0 / 1188, 1.0 / 1680, 1.0 / 1260, 1.0 / 360, 1.0 / 12} {
		series = c - float64(r*series)
	}
	return series / n
}

// deviance is x·log(x/m) + m − x without cancellation near x = m.
func deviance(x, m float64) float64 {
	d := x - m
	if math.Abs(d) >= .1*(x+m) {
		return float64(x*math.Log(x/m)) - d
	}
	// With v = (x−m)/(x+m): d·v + 2x·(v³/3 + v⁵/5 + …).
	v := d / (x + m)
	sum, power := float64(d*v), 2*x*v
	for k := 3.0; k < 40; k += 2 { // v² ≤ .01
		power *= v * v
		sum += float64(power / k)
	}
	return sum
}
