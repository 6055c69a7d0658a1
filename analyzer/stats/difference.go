package stats

import "math"

// DifferenceUpper is an upper confidence limit of p1 − p0, two event rates of which events1 of n1 nodes and events0 of n0 are known.
// With at least as many controls as canaries it is the estimate, and the root of the squares of its distances to Clopper and
// Pearson's upper limit of p1 and lower limit of p0 (square and add: Newcombe 1998, with his Wilson limits exchanged for exact ones,
// as Wilson's are too short where events are rare): upper less lower would need both to be wrong by all of it at once. It holds its
// level by enumeration, not by theorem (TestDifferenceHoldsItsLevel). With fewer controls it does not, since few rare events are too
// far from their normal distribution; there it is the upper limit less the lower one, at nine and one tenth of the error. Arguments
// that make no sense give 1, the limit that rules nothing out.
func DifferenceUpper(events1, n1, events0, n0 int, level float64) float64 {
	switch {
	case !sensible(events1, n1, level) || !sensible(events0, n0, level):
		return 1
	case n0 < n1:
		return ClopperPearsonUpper(events1, n1, 1-float64(.9*(1-level))) - ClopperPearsonLower(events0, n0, 1-float64(.1*(1-level)))
	}
	p1, p0 := float64(events1)/float64(n1), float64(events0)/float64(n0)
	return min(1, p1-p0+math.Hypot(ClopperPearsonUpper(events1, n1, level)-p1, p0-ClopperPearsonLower(events0, n0, level)))
}

// LooksCost is how many times as often a limit errs that is looked at after each of the last twentieth of n answers as one that is
// looked at once. Few nodes have few looks, and the steps of their limits leave room for them. From enumeration, rounded up
// (TestDifferenceWithLooks).
func LooksCost(n int) float64 { return min(1.6, 1.15+float64(n)/2500) }

// DifferenceExcludes says whether a difference of delta is ruled out, at an error that holds for all looks at the last twentieth of
// the canaries' answers together.
func DifferenceExcludes(events1, n1, events0, n0 int, delta, err float64) bool {
	return DifferenceUpper(events1, n1, events0, n0, 1-err/LooksCost(n1)) < delta
}

// NodesToExclude is how many canaries it takes, with as many events as now and these controls, until a difference of delta is ruled
// out; math.MaxInt where no number is enough.
func NodesToExclude(events1, events0, n0 int, delta, err float64) int {
	if events1 < 0 {
		return math.MaxInt
	}
	return fewest(events1, func(n int) bool { return DifferenceExcludes(events1, n, events0, n0, delta, err) })
}
