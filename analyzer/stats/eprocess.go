package stats

import (
	"fmt"
	"math"
)

// thetas are the hazard ratios over which an [EProcess] averages, with equal
// weights (facts: 2.3).
var thetas = [...]float64{1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64}

// EProcess watches events without an end: for nodes of earlier stages, and for a
// bake of unknown length. It is the mean of likelihood ratios of hazard ratio θ
// against 1 over a fixed list of θ. If the change does nothing,
//
//	P(E ≥ 1/α at any time) ≤ α
//
// (Ville 1939), and averages of the E of dependent checks keep that. It is weaker
// than [ECS] inside a planned stage, and its own test: stopping on either needs
// a shared α. The zero value is ready; a copy goes its own way.
type EProcess struct {
	// LogL[i] is the natural logarithm of the likelihood ratio of the i-th θ.
	LogL [len(thetas)]float64
}

// Event records d ≥ 1 events at one instant in one stratum, c of them at
// canaries. Unlike in [ECS.Event], y1 and y0 are the canaries and controls still
// without an event just before it.
func (e *EProcess) Event(y1, y0, d, c int) error {
	if err := checkEvent(y1, y0, d, c); err != nil {
		return fmt.Errorf("e-process: %w", err)
	}
	first, last := max(0, d-y0), min(d, y1)
	logH := make([]float64, last-first+1) // up to a constant, which cancels
	for k := first; k < last; k++ {
		logH[k-first+1] = logH[k-first] + math.Log(shareRatio(y1, y0, d, k))
	}
	total := logSum(logH, 0)
	for i, theta := range thetas {
		slope := math.Log(theta)
		e.LogL[i] += total + float64(float64(c-first)*slope) - logSum(logH, slope)
	}
	return nil
}

// LogE is the natural logarithm of E. The test at level α rejects when it is at
// least −ln α.
func (e EProcess) LogE() float64 {
	return logSum(e.LogL[:], 0) - math.Log(float64(len(thetas)))
}

// logSum is log Σ exp(logH[i] + i·slope). It works on logarithms throughout: in a
// large batch h(k) rounds to 0 where h(k)·θᵏ is the largest term of all.
func logSum(logH []float64, slope float64) float64 {
	top := math.Inf(-1)
	for i, l := range logH {
		top = max(top, l+float64(float64(i)*slope))
	}
	total := 0.0
	for i, l := range logH {
		total += math.Exp(l + float64(float64(i)*slope) - top)
	}
	return top + math.Log(total)
}
