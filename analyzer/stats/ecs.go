package stats

import (
	"fmt"
	"math"
)

// ECS is the exact conditional α-spending test for events, with fixed shares
// (facts: 2.2). Given the past, and if the change does nothing, the node of the
// next event is a canary with probability q = y1/(y1+y0). The test follows the
// distribution P of the number of canary events over all paths that have not
// crossed the boundary, and pays for every path that it cuts off, so
//
//	P(ever reject) ≤ α·f(1) = α,  f(t) = √t
//
// however often one looks. It is a value: a copy goes its own way, and all its
// fields together are the state, enough to store and to go on.
type ECS struct {
	Alpha float64 // error that all looks together may spend, in (0,1)
	Theta float64 // hazard ratio under the null hypothesis; 1 is "no effect"
	// P[i] is the probability, under the null hypothesis, of Low+i canary events and
	// no crossing. ΣP + Spent = 1. Counts below Low and above the last are followed no more, since each
	// had less than 1e-40: so the work of an event grows with the root of their number.
	P     []float64
	Low   int
	Spent float64 // error spent so far, at most Alpha
	T     float64 // information fraction of the last look, in [0,1]
	J     int     // canary events observed
	// Boundary is the number of canary events that rejects at the last look:
	// the smallest that the budget could afford.
	Boundary int
	Rejected bool // final
}

// NewECS starts a test that spends at most alpha, in (0,1).
func NewECS(alpha float64) (ECS, error) { return NewECSMargin(alpha, 1) }

// NewECSMargin starts a test of "the hazard ratio is at most theta", theta > 0.
// Unlike theta = 1 it assumes that the change multiplies all hazards alike.
func NewECSMargin(alpha, theta float64) (ECS, error) {
	if !inside(alpha) {
		return ECS{}, fmt.Errorf("ecs: alpha %v: %w, expected a number between 0 and 1", alpha, ErrArgument)
	}
	if !(theta > 0) || math.IsInf(theta, 1) {
		return ECS{}, fmt.Errorf("ecs: theta %v: %w, expected a positive number", theta, ErrArgument)
	}
	return ECS{Alpha: alpha, Theta: theta, P: []float64{1}, Boundary: 1}, nil
}

// Event records d ≥ 1 events at one instant in one stratum, c of them at
// canaries. y1 and y0 are the canaries and controls that could have had the
// event, those who already had theirs included. A rejected test does not change.
func (e *ECS) Event(y1, y0, d, c int) error {
	if len(e.P) == 0 {
		return fmt.Errorf("ecs: %w, expected a test made by NewECS", ErrArgument)
	}
	if err := checkEvent(y1, y0, d, c); err != nil {
		return fmt.Errorf("ecs: %w", err)
	}
	if e.Rejected {
		return nil
	}
	h, first := shares(y1, y0, d, e.Theta)
	next := make([]float64, len(e.P)+first+len(h)-1)
	if first == 0 && len(h) == 2 { // one event, as nearly always
		below := 0.0
		for j, p := range e.P {
			next[j] = float64(below*h[1]) + float64(p*h[0])
			below = p
		}
		next[len(e.P)] = below * h[1]
	} else {
		for j, p := range e.P {
			for k, share := range h {
				next[j+first+k] += float64(p * share)
			}
		}
	}
	if err := e.balanced(next); err != nil {
		return fmt.Errorf("ecs: %w", err)
	}
	cut, top := 0, len(next)
	for cut < top-1 && next[cut] < unfollowed {
		cut++
	}
	for top > cut+1 && next[top-1] < unfollowed {
		top--
	}
	e.P, e.Low, e.J = next[cut:top:top], e.Low+cut, e.J+c
	return nil
}

// unfollowed is the mass of a count of canary events that is not followed.
const unfollowed = 1e-40

// balanced: what paths have and what is spent add up to 1.
func (e ECS) balanced(next []float64) error {
	if drift := math.Abs(sum(next) + e.Spent - 1); !(drift < 1e-9) {
		return fmt.Errorf("probabilities and error spent add up to 1 ± %.2g: %w, expected 1", drift, ErrArgument)
	}
	return nil
}

func checkEvent(y1, y0, d, c int) error {
	if y1 < 0 || y0 < 0 || d < 1 || c < 0 || c > d || c > y1 || d-c > y0 {
		return fmt.Errorf("%d canary events of %d among %d canaries and %d controls: %w", c, d, y1, y0, ErrArgument)
	}
	return nil
}

// Look spends what the information fraction t allows and reports whether the test
// has rejected, now or before. t must be known before the labels of the events it
// is used for. Above 1 it counts as 1; a t that is NaN or smaller than the
// last counts as the last, so a mistake never spends more.
func (e *ECS) Look(t float64) bool {
	if e.Rejected || len(e.P) == 0 {
		return e.Rejected
	}
	if t > e.T {
		e.T = min(t, 1)
	}
	budget := e.Budget()
	b, cut := len(e.P), 0.0
	for b > 0 && e.Spent+cut+e.P[b-1] <= budget {
		b--
		cut += e.P[b]
	}
	e.Spent += cut
	e.P = e.P[:b:b] // never append into a copy's memory
	e.Boundary = e.Low + b
	e.Rejected = e.T > 0 && e.J >= e.Boundary // at 0 nothing may be spent, however far out J is
	return e.Rejected
}

// Budget is α·√t at the last look, the error that may have been spent by then.
func (e ECS) Budget() float64 { return float64(e.Alpha * math.Sqrt(e.T)) }

// Tail is the nominal tail Σ_{j≥J} P[j]: what a rejection now would cost.
func (e ECS) Tail() float64 {
	if e.J >= e.Low+len(e.P) {
		return 0
	}
	return sum(e.P[max(0, e.J-e.Low):])
}

// sum adds from the far end, where the small terms are.
func sum(p []float64) float64 {
	total := 0.0
	for i := len(p) - 1; i >= 0; i-- {
		total += p[i]
	}
	return total
}

// shares is the probability of first, first+1, … canaries among d events, by
// Fisher's noncentral hypergeometric distribution
//
//	h(k) ∝ C(y1,k)·C(y0,d−k)·thetaᵏ
//
// which for d = 1 and theta = 1 is h(1) = y1/(y1+y0). Terms start at the largest
// one, so that none overflows.
func shares(y1, y0, d int, theta float64) (h []float64, first int) {
	first = max(0, d-y0)
	h = make([]float64, min(d, y1)-first+1)
	ratio := func(i int) float64 { // h[i+1]/h[i]
		return shareRatio(y1, y0, d, first+i) * theta
	}
	mode := 0
	for mode < len(h)-1 && ratio(mode) > 1 {
		mode++
	}
	h[mode] = 1
	for i := mode; i < len(h)-1; i++ {
		h[i+1] = h[i] * ratio(i)
	}
	for i := mode; i > 0; i-- {
		h[i-1] = h[i] / ratio(i-1)
	}
	total := sum(h)
	for i := range h {
		h[i] /= total
	}
	return h, first
}

// shareRatio is h(k+1)/h(k) of the central distribution.
func shareRatio(y1, y0, d, k int) float64 {
	return float64(y1-k) / float64(k+1) * (float64(d-k) / float64(y0-d+k+1))
}
