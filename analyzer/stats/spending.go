package stats

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate/quad"
	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// LDOF is the error that may have been spent at information fraction t, by
// Lan and DeMets' (1983) spending function that resembles O'Brien and Fleming's
// boundaries: 2 − 2Φ(z/√t) with z = Φ⁻¹(1−α/2). It is 0 at t ≤ 0, for NaN and for an
// alpha outside (0,1), and alpha from t = 1 on.
func LDOF(alpha, t float64) float64 {
	switch {
	case !(t > 0), !inside(alpha):
		return 0
	case t >= 1:
		return alpha
	}
	return 2 * distuv.UnitNormal.CDF(float64(mathext.NormalQuantile(alpha/2)/math.Sqrt(t)))
}

// Boundaries computes the one-sided boundaries of a group-sequential test on z,
// one look after the other, by the recursion of Armitage, McPherson and Rowe
// (1969). With S = z·√I, of independent normal increments in the information I, the
// boundary c of a look satisfies
//
//	P(no crossing before, S ≥ c·√I) = error spent at this look
//
// There is no lower boundary. It is a value: a copy goes its own way.
type Boundaries struct {
	information float64
	spent       float64
	// The density of S at the last look over paths that have not crossed, as
	// point masses of a Gauss-Legendre rule: mass[i] at s[i].
	s, mass []float64
}

const (
	nodesPerPiece = 12
	// reach is how many standard deviations of S below 0 are followed. What lies
	// beyond is less than 1e-22, and would have to come back to cross.
	reach = 10
	// mostPieces bounds the work of a look. growth is the smallest increase of the
	// information that it can follow, as 1/growth of all.
	mostPieces = 500
	growth     = mostPieces * mostPieces / (4 * reach * reach)
)

// Next returns the boundary on z of the next look. information is I, in any unit,
// as observed, by at least 1/625 of it more than at the look before; spent is the error that all looks up
// to this one may have spent, for example by [LDOF], in (0,1) and not falling. A
// look that may spend nothing has the boundary +Inf.
func (b *Boundaries) Next(information, spent float64) (float64, error) {
	if !(information > b.information) || math.IsInf(information, 1) {
		return 0, fmt.Errorf("boundaries: information %v after %v: %w, expected more", information, b.information, ErrArgument)
	}
	if !(spent >= b.spent) || spent >= 1 {
		return 0, fmt.Errorf("boundaries: error spent %v after %v: %w, expected as much or more, and less than 1", spent, b.spent, ErrArgument)
	}
	step, root := math.Sqrt(information-b.information), math.Sqrt(information)
	if 2*reach*root > mostPieces*step {
		return 0, fmt.Errorf("boundaries: information %v after %v: %w, expected to grow by 1/%d of it, skip this look", information, b.information, ErrArgument, growth)
	}
	c := b.boundary(step, root, spent-b.spent)
	b.advance(step, root, c)
	b.information, b.spent = information, spent
	return c, nil
}

// boundary solves P(S ≥ c·root) = share by bisection, which ends at neighbouring
// floats.
func (b *Boundaries) boundary(step, root, share float64) float64 {
	if share <= 0 {
		return math.Inf(1)
	}
	low, high := -float64(reach), 40.
	if b.above(high*root, step) > share {
		return math.Inf(1)
	}
	return bisect(low, high, func(c float64) bool { return b.above(c*root, step) <= share })
}

// above is the probability that S reaches at least x at the next look without having
// crossed before.
func (b *Boundaries) above(x, step float64) float64 {
	if b.s == nil {
		return distuv.UnitNormal.CDF(-x / step)
	}
	total := 0.0
	for i, s := range b.s {
		total += float64(b.mass[i] * distuv.UnitNormal.CDF((s-x)/step))
	}
	return total
}

// density is that of S at x at the next look.
func (b *Boundaries) density(x, step float64) float64 {
	if b.s == nil {
		return distuv.UnitNormal.Prob(x/step) / step
	}
	const far = 12 // steps; what is further away adds less than 1e-31 of itself
	from, _ := slices.BinarySearch(b.s, x-far*step)
	total := 0.0
	for i := from; i < len(b.s) && b.s[i] <= x+far*step; i++ {
		d := (x - b.s[i]) / step
		total += float64(b.mass[i] * math.Exp(float64(-d*d)/2))
	}
	return total / (step * math.Sqrt(2*math.Pi))
}

// advance keeps the paths below the boundary. Pieces are no wider than the step, the
// scale on which the density changes: after a short step it falls to half at the
// boundary of the look before.
func (b *Boundaries) advance(step, root, c float64) {
	from, to := -reach*root, min(c, reach)*root
	pieces := int(math.Ceil((to-from)/step)) + 1
	width := (to - from) / float64(pieces)
	x, weight := make([]float64, nodesPerPiece), make([]float64, nodesPerPiece)
	s, mass := make([]float64, 0, pieces*nodesPerPiece), make([]float64, 0, pieces*nodesPerPiece)
	for i := range pieces {
		left := from + float64(float64(i)*width)
		quad.Legendre{}.FixedLocations(x, weight, left, left+width)
		if x[0] > x[nodesPerPiece-1] {
			slices.Reverse(x)
			slices.Reverse(weight)
		}
		for j, at := range x { // ascending, as density needs it
			if m := weight[j] * b.density(at, step); m > 1e-25 {
				s, mass = append(s, at), append(mass, m)
			}
		}
	}
	b.s, b.mass = s, mass
}
