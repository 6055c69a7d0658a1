package analyzer

import (
	"fmt"
	"math"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// Bound is what a sequential test says at a look: enough to repeat it.
type Bound struct {
	// Alpha is what this check may spend in this stage, Spent what it has, at information fraction T.
	Alpha float64 `json:"alpha"`
	Spent float64 `json:"spent"`
	T     float64 `json:"t"`
	// Weight is by how much Alpha is more, or less, for what earlier stages showed (1/2 and more).
	Weight float64 `json:"weight"`
	// Events are all that could be compared, Canary those of them that canaries had, Reject the number at which the bound is
	// crossed. Expected is how many canaries would have had one without an effect, by the controls of their strata.
	Events   int     `json:"events"`
	Canary   int     `json:"canary"`
	Reject   int     `json:"reject"`
	Expected float64 `json:"expected"`
	// Hazard is the largest ratio of the canaries' risk to the controls' that is excluded from below; 0 = none.
	Hazard  float64 `json:"hazard"`
	Crossed bool    `json:"crossed"`
}

// crossing is a check whose bound was crossed by an effect that is not tolerated.
type crossing struct {
	check  string
	reason string
}

// hazards is the grid on which the lower limit of the hazard ratio is looked for.
var hazards = []float64{1, 1.1, 1.25, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64}

// bound runs the exact sequential test of an event check (facts: 2.2) and says whether it fails.
func (c *cohorts) bound(check int) (*Bound, *crossing, error) {
	f := &c.frame
	budget := float64(c.policy.Alpha * budgetShares[check])
	alpha := c.level(eventNames[check], budget)
	test, err := stats.NewECS(alpha)
	if err != nil {
		return nil, nil, err
	}
	info, end := c.info(), c.evidence.Now.UnixMilli()
	got, err := f.fold(check, &test, info, end)
	if err != nil {
		return nil, nil, err
	}
	b := &Bound{Alpha: alpha, Weight: c.carried(eventNames[check], budget), Spent: test.Spent, T: test.T, Events: got.canary + got.control, Canary: got.canary, Reject: test.Boundary, Expected: got.expected, Crossed: test.Rejected}
	if !b.Crossed {
		return b, nil, nil
	}
	for _, theta := range hazards {
		t, err := stats.NewECSMargin(alpha, theta)
		if err != nil {
			return nil, nil, err
		}
		if _, err := f.fold(check, &t, info, end); err != nil {
			return nil, nil, err
		}
		if !t.Rejected {
			break
		}
		b.Hazard = theta
	}
	excess, tolerate := c.excess(check, b), c.policy.Checks.event(check).Tolerate
	if b.Canary < 2 || excess <= tolerate {
		return b, nil, nil // one node alone takes no change back, and what is tolerated does not either
	}
	risk := "higher than"
	if b.Hazard > 1 {
		risk = fmt.Sprintf("at least %.3g times", b.Hazard)
	}
	return b, &crossing{check: eventNames[check], reason: fmt.Sprintf(
		"%d of the %d nodes that %s since the stage began have the change, %.2g would by chance: %+.2g points (%.2g tolerated), a risk %s that of nodes without it (exact sequential test, alpha %.2g, %d were enough)",
		b.Canary, b.Events, eventWords[check], b.Expected, 100*excess, 100*tolerate, risk, alpha, b.Reject)}, nil
}

// excess is the estimated increase of the share of nodes that have the event: more canaries than their controls let
// expect, over those that have run the change.
func (c *cohorts) excess(check int, b *Bound) float64 {
	n := c.tally.stage.exposed
	if check == correctiveEvents { // of those that are measured
		n = 0
		for _, s := range c.frame.strata {
			n += s.measured[1]
		}
	}
	n = max(n, b.Canary)
	if n == 0 {
		return 0
	}
	return (float64(b.Canary) - b.Expected) / float64(n)
}

// compared says whether the stage can be judged by its bounds, and if not, why: some stratum must have both canaries and
// controls, and its segment must not leave the choice of nodes to something else than chance.
func (c *cohorts) compared() (ok bool, why string) {
	canaries, controls := 0, 0
	for _, s := range c.frame.strata {
		y1, y0 := s.atRisk(failureEvents, math.MaxInt64)
		if y1 > 0 && y0 > 0 {
			canaries += y1
			controls += y0
		}
	}
	switch {
	case canaries == 0 && c.tally.stage.admitted == 0:
		return false, "the stage has admitted nobody"
	case canaries == 0:
		return false, "no stratum has both admitted nodes and controls: the stage takes all that there are, so nothing tells the change from the time of day"
	case controls < LeastControls:
		return false, fmt.Sprintf("only %s can be compared with, %d are needed", count(controls, "control"), LeastControls)
	}
	return true, ""
}

// LeastControls is how many controls a stage needs to be judged by its bounds.
const LeastControls = 50

// manyExposed is how many exposed nodes it takes before counts say more than each single failure.
const manyExposed = 100

// byCounts: enough nodes have run the change to weigh failures against those that happen anyway. Among fewer each failure
// counts by itself.
func (c *cohorts) byCounts() bool { return c.tally.whole.exposed >= manyExposed }
