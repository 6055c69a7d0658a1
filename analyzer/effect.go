package analyzer

import "github.com/openinfrastructure/sluice/analyzer/stats"

// SmallestEffect is the smallest share of nodes on which a change may fail so that the stop rule sees it with this
// probability (0 < power < 1), when stage nodes are new in a stage and whole nodes have the change altogether. It is 1
// where the rule cannot see anything. The statistical checks may see less than that; they never see it later.
func (p Policy) SmallestEffect(stage, whole int, power float64) float64 {
	if p.Stop.Below > 0 && whole >= p.Stop.Below {
		return 1
	}
	smallest := 1.0
	for _, n := range []int{stage, whole} {
		if n <= 0 {
			continue
		}
		if need := max(p.Stop.Min, needed(p.Stop.Share, n)); need <= n {
			smallest = min(smallest, stats.ClopperPearsonUpper(need-1, n, power))
		}
	}
	return smallest
}
