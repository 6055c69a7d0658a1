package stats

import "fmt"

// Urn is the exact form of [ECS] for one stratum whose canaries are all admitted at
// once: nodes leave at their event, so given j canary events among the i events so
// far the next node is a canary with probability
//
//	q_i(j) = (n1−j)/(n−i)
//
// and what is spent is the probability itself, not a bound of it: over all ways to choose the
// canaries, the test rejects in exactly the share Spent. It is a value like ECS, whose
// Look, Budget and Tail it has.
type Urn struct {
	ECS
	Canaries, Controls int // at the start
	Events             int // so far
}

// NewUrn starts a test that spends at most alpha, in (0,1).
func NewUrn(alpha float64, canaries, controls int) (Urn, error) {
	return NewUrnMargin(alpha, 1, canaries, controls)
}

// NewUrnMargin starts a test of "the hazard ratio is at most theta", theta > 0.
func NewUrnMargin(alpha, theta float64, canaries, controls int) (Urn, error) {
	if canaries < 1 || controls < 1 {
		return Urn{}, fmt.Errorf("urn: %d canaries and %d controls: %w, expected both", canaries, controls, ErrArgument)
	}
	e, err := NewECSMargin(alpha, theta)
	return Urn{ECS: e, Canaries: canaries, Controls: controls}, err
}

// Event records d ≥ 1 events at one instant, c of them at canaries. A node has at most
// one. A rejected test does not change.
func (u *Urn) Event(d, c int) error {
	if len(u.P) == 0 {
		return fmt.Errorf("urn: %w, expected a test made by NewUrn", ErrArgument)
	}
	if err := checkEvent(u.Canaries-u.J, u.Controls-(u.Events-u.J), d, c); err != nil {
		return fmt.Errorf("urn: %w", err)
	}
	if u.Rejected {
		return nil
	}
	next := make([]float64, min(len(u.P)+d, u.Canaries+1))
	for j, p := range u.P {
		y1, y0 := u.Canaries-j, u.Controls-(u.Events-j)
		if p == 0 || y0 < 0 { // no such path
			continue
		}
		h, first := shares(y1, y0, d, u.Theta)
		for k, share := range h {
			next[j+first+k] += float64(p * share)
		}
	}
	if err := u.balanced(next); err != nil {
		return fmt.Errorf("urn: %w", err)
	}
	u.P, u.J, u.Events = next, u.J+c, u.Events+d
	return nil
}
