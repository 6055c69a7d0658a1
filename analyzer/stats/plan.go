package stats

import "math"

// AutoExactWork is the bound below which [Auto] is exact, in 64-bit additions
// (about 20 to 60 ms). Without ties it holds for 80 against 80, 10 against 800,
// 3 against 4,000 and 1 against any number of nodes; beside any number of
// zeros, for 100 other values. Two-valued data are always exact, at any size.
const AutoExactWork = 1 << 26

// MaxExactWork bounds what [Exact] may be asked for, in the same unit (about a
// second or two); beyond it the answer is ErrTooLarge. maxExactWords bounds its
// memory, in 8-byte words.
const (
	MaxExactWork  = 1 << 31
	maxExactWords = 1 << 24
)

// plan lays out an exact computation. One group of equal values, the pivot, is
// handled by binomials whatever its size; the values below and above it each
// need a table. That is why a million zeros cost nothing, and why it also pays
// to cut untied data in the middle.
type plan struct {
	pool         pooled
	chosen       int64 // size of the smaller arm, whose choices are counted
	swapped      bool  // the smaller arm is the control
	pivot        int
	below, above int64 // observations on each side of the pivot
	work         float64
}

// newPlan picks the cheapest pivot.
func newPlan(p pooled) plan {
	best := plan{pool: p, chosen: min(p.n, p.m), swapped: p.m < p.n, work: math.Inf(1)}
	total := p.n + p.m
	var below int64
	for i := range p.values {
		t := p.size(i)
		above := total - below - t
		if work := planWork(below, t, above, best.chosen); work < best.work {
			best.work, best.pivot, best.below, best.above = work, i, below, above
		}
		below += t
	}
	return best
}

func planWork(below, pivot, above, chosen int64) float64 {
	b, a := tableCells(below, chosen), tableCells(above, chosen)
	wb, wa := float64(wordsFor(below, chosen)), float64(wordsFor(above, chosen))
	if b*wb+a*wa > maxExactWords {
		return math.Inf(1)
	}
	// Of the choices from above only those are met that the pivot can complete.
	partners := float64(min(pivot, above, chosen) + 1)
	return tableWork(below, chosen) + tableWork(above, chosen) + 2*b*partners*wb*wa
}

// tableWork is what newSide costs: each observation adds all rows but the last.
func tableWork(size, chosen int64) float64 {
	if size == 0 {
		return 0
	}
	most := min(size, chosen)
	return float64(size) * tableCells(size, most-1) * float64(wordsFor(size, most))
}

// tableCells is Σ (2k(K−k)+1) for k = 0..min(K, chosen).
func tableCells(size, chosen int64) float64 {
	k, c := float64(size), float64(min(size, chosen))
	return k*c*(c+1) - c*(c+1)*(2*c+1)/3 + c + 1
}

// hopeless is a bound from below, without looking at every pivot: whichever it is, one
// side has at least half of what the largest group leaves.
func (p pooled) hopeless(bound float64) bool {
	half := (p.n + p.m - p.largest() + 1) / 2
	return tableWork(half, min(p.n, p.m)) > bound
}
