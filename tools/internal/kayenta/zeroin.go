package kayenta

import "math"

const maxIterations = 1000

// zeroin is the root finder of Brent (1973) in the form of R's uniroot, which is what
// Kayenta ported: where it stops decides labels, so every step has to be the same.
func zeroin(f func(float64) float64, a, b, fa, fb, tol float64) float64 {
	switch {
	case math.Abs(fa) <= math.SmallestNonzeroFloat64:
		return a
	case math.Abs(fb) <= math.SmallestNonzeroFloat64:
		return b
	}
	c, fc := a, fa
	for range maxIterations {
		before := b - a
		if math.Abs(fc) < math.Abs(fb) {
			a, b, fa, fb = b, c, fb, fc
			c, fc = a, fa
		}
		least := 2*0x1p-52*math.Abs(b) + tol/2
		step := (c - b) / 2
		if math.Abs(step) <= least || fb == 0 {
			return b
		}
		if math.Abs(before) >= least && math.Abs(fa) > math.Abs(fb) {
			step = interpolate(a, b, c, fa, fb, fc, before, least, step)
		}
		if math.Abs(step) < least {
			step = math.Copysign(least, step)
		}
		a, fa = b, fb
		b += step
		fb = f(b)
		if fb > 0 && fc > 0 || fb < 0 && fc < 0 {
			c, fc = a, fa
		}
	}
	return b
}

// interpolate tries a secant, or an inverse quadratic through three points, and keeps
// the halving step where the result leaves three quarters of the bracket or half of
// the step before.
func interpolate(a, b, c, fa, fb, fc, before, least, step float64) float64 {
	var p, q float64
	width := c - b
	if a == c {
		t := fb / fa
		p, q = width*t, 1-t
	} else {
		s, t, r := fa/fc, fb/fc, fb/fa
		p = r * (width*s*(s-t) - (b-a)*(t-1))
		q = (s - 1) * (t - 1) * (r - 1)
	}
	if p > 0 {
		q = -q
	} else {
		p = -p
	}
	if p < .75*width*q-math.Abs(least*q)/2 && p < math.Abs(before*q/2) {
		return p / q
	}
	return step
}
