package stats

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"slices"
)

// pooled is both arms as counts over the distinct values, ascending. Ranks come
// from comparison alone, so infinities, −0 and values one ulp apart are safe.
type pooled struct {
	values          []float64
	canary, control []int64
	n, m            int64
}

// complete is p if both arms have observations.
func (p pooled) complete() (pooled, error) {
	if p.n == 0 {
		return pooled{}, fmt.Errorf("canary: %w", ErrEmpty)
	}
	if p.m == 0 {
		return pooled{}, fmt.Errorf("control: %w", ErrEmpty)
	}
	return p, nil
}

func poolSamples(canary, control []float64) (pooled, error) {
	x, err := sorted("canary", canary)
	if err != nil {
		return pooled{}, err
	}
	y, err := sorted("control", control)
	if err != nil {
		return pooled{}, err
	}
	if len(x) > MaxObservations-len(y) {
		return pooled{}, fmt.Errorf("%d and %d observations: %w, expected at most %d", len(x), len(y), ErrTooLarge, MaxObservations)
	}
	p := pooled{n: int64(len(x)), m: int64(len(y))}
	room := len(x) + len(y)
	p.values, p.canary, p.control = make([]float64, 0, room), make([]int64, 0, room), make([]int64, 0, room)
	for len(x) > 0 || len(y) > 0 {
		v := lowest(x, y)
		a, b := leading(x, v), leading(y, v)
		x, y = x[a:], y[b:]
		p.values = append(p.values, v)
		p.canary = append(p.canary, int64(a))
		p.control = append(p.control, int64(b))
	}
	return p, nil
}

// sorted copies an arm in ascending order.
func sorted(arm string, data []float64) ([]float64, error) {
	if i := slices.IndexFunc(data, math.IsNaN); i >= 0 {
		return nil, fmt.Errorf("%s[%d]: %w", arm, i, ErrNaN)
	}
	return ascending(data), nil
}

func lowest(x, y []float64) float64 {
	if len(x) == 0 || len(y) > 0 && y[0] < x[0] {
		return y[0]
	}
	return x[0]
}

// leading counts how many values at the start of s equal v.
func leading(s []float64, v float64) int {
	i := 0
	for i < len(s) && s[i] == v {
		i++
	}
	return i
}

func poolHistogram(values []float64, canary, control []int64) (pooled, error) {
	if len(canary) != len(values) || len(control) != len(values) {
		return pooled{}, fmt.Errorf("%d values, %d canary counts, %d control counts: %w, expected as many counts as values",
			len(values), len(canary), len(control), ErrArgument)
	}
	var p pooled
	for i, v := range values {
		if math.IsNaN(v) {
			return pooled{}, fmt.Errorf("values[%d]: %w", i, ErrNaN)
		}
		if i > 0 && v <= values[i-1] {
			return pooled{}, fmt.Errorf("values[%d]: %w, expected strictly ascending values", i, ErrArgument)
		}
		a, b := canary[i], control[i]
		if a < 0 || b < 0 {
			return pooled{}, fmt.Errorf("counts[%d]: %w, expected no negative count", i, ErrArgument)
		}
		if a > MaxObservations-p.n-p.m || b > MaxObservations-p.n-p.m-a {
			return pooled{}, fmt.Errorf("counts[%d]: %w, expected at most %d observations", i, ErrTooLarge, MaxObservations)
		}
		if a+b == 0 {
			continue
		}
		p.values = append(p.values, v)
		p.canary = append(p.canary, a)
		p.control = append(p.control, b)
		p.n, p.m = p.n+a, p.m+b
	}
	return p, nil
}

// twoU is 2·U of the canary over the control, an integer even with ties.
func (p pooled) twoU() int64 {
	var u, below int64
	for i, x := range p.canary {
		u += x * (2*below + p.control[i])
		below += p.control[i]
	}
	return u
}

func (p pooled) size(i int) int64 { return p.canary[i] + p.control[i] }

// largest is the size of the largest group of equal values.
func (p pooled) largest() int64 {
	var t int64
	for i := range p.values {
		t = max(t, p.size(i))
	}
	return t
}

// tieSum is Σ(t³−t) over groups of equal values. t³ leaves int64 from
// t = 2,097,152 on, hence 128 bits; the sum stays below 2^93.
func (p pooled) tieSum() *big.Int {
	var hi, lo uint64
	for i := range p.values {
		t := uint64(p.size(i))
		h, l := bits.Mul64(t*t-1, t)
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi, _ = bits.Add64(hi, h, carry)
	}
	sum := new(big.Int).SetUint64(hi)
	return sum.Lsh(sum, 64).Or(sum, new(big.Int).SetUint64(lo))
}
