package analyzer

import (
	"math"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// SmallestBound is the smallest share of canaries on which a change may cause a failure that nobody has without it, so that the
// bound on new failures is crossed with this power (0 < power < 1) by the end of stage i of so many, with that many canaries and
// controls, at the level that is planned for it: what earlier stages do not spend and what they show make it better. It is 1 where the
// bound cannot be crossed: with fewer than LeastControls controls, or with too few canaries.
//
// Where none but canaries fail, the chance of that under no effect is q to the number of failures, q being the canaries' part
// of all nodes at risk.
func (p Policy) SmallestBound(i, stages, canaries, controls int, power float64) float64 {
	alpha := float64(p.Alpha*budgetShares[failureEvents]) * (planned(i+1, max(stages, i+1)) - planned(i, max(stages, i+1)))
	if canaries <= 0 || controls < LeastControls || !(alpha > 0) {
		return 1
	}
	q := float64(canaries) / float64(canaries+controls)
	need := int(math.Ceil(math.Log(alpha)/math.Log(q) + 1e-9)) // at the very level the sum of the test may come out beyond it
	if need > canaries {
		return 1
	}
	return stats.ClopperPearsonUpper(need-1, canaries, power)
}
