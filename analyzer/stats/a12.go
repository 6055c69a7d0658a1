package stats

import (
	"math"

	"gonum.org/v1/gonum/mathext"
)

// A12Interval bounds A12 with about the confidence ShiftLevel, by Newcombe's (2006)
// fifth method: all θ whose distance to A12 is within z standard errors at θ, with
//
//	Var θ = θ(1−θ)/(nm) · [1 + k(1−θ)/(2−θ) + kθ/(1+θ)],  k = (n+m)/2 − 1
//
// It does not shrink to a point when the arms do not overlap. Ties make it wide.
// Bounds of Cliff's delta are 2·low−1 and 2·high−1. A result without observations
// gives 0 and 1.
func (r Result) A12Interval() (low, high float64) {
	if r.N < 1 || r.M < 1 || !inside(r.ShiftLevel) {
		return 0, 1
	}
	z := -mathext.NormalQuantile((1 - r.ShiftLevel) / 2)
	return newcombeLower(r.A12, r.N, r.M, z), 1 - newcombeLower(1-r.A12, r.N, r.M, z)
}

func newcombeLower(a12 float64, n, m int, z float64) float64 {
	if a12 <= 0 {
		return 0
	}
	k := (float64(n)+float64(m))/2 - 1
	return bisect(0, a12, func(theta float64) bool {
		v := theta * (1 - theta) * (1 + float64(k*(1-theta)/(2-theta)) + float64(k*theta/(1+theta)))
		return a12-theta <= z*math.Sqrt(v/float64(n)/float64(m))
	})
}
