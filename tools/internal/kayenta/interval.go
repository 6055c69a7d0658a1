package kayenta

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// Arm is one side's values, ascending and distinct, with their counts.
type Arm struct {
	values, counts []float64
	total          float64
}

// NewArm counts ascending values.
func NewArm(sorted []float64) Arm {
	var a Arm
	for _, v := range sorted {
		a.Add(v, 1)
	}
	return a
}

// Add appends n observations of a value that is not smaller than those before.
func (a *Arm) Add(v, n float64) {
	if last := len(a.values) - 1; last >= 0 && a.values[last] == v {
		a.counts[last] += n
	} else if n > 0 {
		a.values, a.counts = append(a.values, v), append(a.counts, n)
	}
	a.total += n
}

func (a Arm) mean() float64 {
	sum := 0.0
	for i, v := range a.values {
		sum += v * a.counts[i]
	}
	return sum / a.total
}

// Interval is Kayenta's estimate of the shift with its bounds. They are roots found to
// 1e-4, so bounds of small values are noise and may be in the wrong order.
type Interval struct{ Low, High, Estimate float64 }

// tolerance is absolute, whatever the unit of the values.
const tolerance = 1e-4

func interval(x, y Arm, confidence float64) (Interval, bool) {
	ok := true
	f := func(q float64) func(float64) float64 {
		return func(mu float64) float64 {
			d, fine := diff(x, y, mu, q)
			ok = ok && fine
			return d
		}
	}
	low, high := muMin(x, y), muMax(x, y)
	z := math.Abs(mathext.NormalQuantile((1 - confidence) / 2))
	i := Interval{Low: bound(f(z), low, high), High: bound(f(-z), low, high)}
	zero := f(0)
	i.Estimate = zeroin(zero, low, high, zero(low), zero(high), tolerance)
	return i, ok
}

func muMin(x, y Arm) float64 { return x.values[0] - y.values[len(y.values)-1] }
func muMax(x, y Arm) float64 { return x.values[len(x.values)-1] - y.values[0] }

func bound(f func(float64) float64, low, high float64) float64 {
	fl := f(low)
	if fl <= 0 {
		return low
	}
	fh := f(high)
	if fh >= 0 {
		return high
	}
	return zeroin(f, low, high, fl, fh, tolerance)
}

// diff is the standardised rank sum of x−mu against y less a quantile; false where
// all values are equal.
func diff(x, y Arm, mu, q float64) (float64, bool) {
	u, ties := rankSum(x, y, mu)
	n, m := x.total, y.total
	d := u - n*m/2
	if d != 0 {
		d -= math.Copysign(.5, d)
	}
	total := n + m
	sigma := math.Sqrt(n * m / 12 * (total + 1 - ties/(total*(total-1))))
	if !(sigma > 0) {
		return 0, false
	}
	return d/sigma - q, true
}

// rankSum is U of x−mu over y with midranks, and Σ(t³−t) over ties.
func rankSum(x, y Arm, mu float64) (u, ties float64) {
	i, j, below := 0, 0, 0.0
	for i < len(x.values) || j < len(y.values) {
		v := math.Inf(1)
		if i < len(x.values) {
			v = x.values[i] - mu
		}
		if j < len(y.values) {
			v = min(v, y.values[j])
		}
		a, b := 0.0, 0.0
		for i < len(x.values) && x.values[i]-mu == v {
			a += x.counts[i]
			i++
		}
		if j < len(y.values) && y.values[j] == v {
			b = y.counts[j]
			j++
		}
		u += a * (below + b/2)
		below += b
		t := a + b
		ties += t*t*t - t
	}
	return u, ties
}
