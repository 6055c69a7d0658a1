package stats

import (
	"cmp"
	"math"
	"slices"
)

// differences are all n·m differences canary − control, never written out: the
// distinct values of both arms, ascending, with their counts.
type differences struct {
	x, y           []float64
	countX, countY []int64
	m, pairs       int64
}

func newDifferences(p pooled) differences {
	d := differences{m: p.m, pairs: p.n * p.m}
	for i, v := range p.values {
		if p.canary[i] > 0 {
			d.x, d.countX = append(d.x, v), append(d.countX, p.canary[i])
		}
		if p.control[i] > 0 {
			d.y, d.countY = append(d.y, v), append(d.countY, p.control[i])
		}
	}
	return d
}

// subtract takes equal infinities for equal, so 0 apart.
func subtract(x, y float64) float64 {
	if x == y {
		return 0
	}
	return x - y
}

// upTo counts the pairs with x−y ≤ limit, and the cells: pairs of distinct values.
// A rounded difference still grows with x and falls with y, so one pass with two
// fingers is enough.
func (d differences) upTo(limit float64) (pairs, cells int64) {
	j, left := 0, d.m
	for i, x := range d.x {
		for j < len(d.y) && subtract(x, d.y[j]) > limit {
			left -= d.countY[j]
			j++
		}
		pairs += d.countX[i] * left
		cells += int64(len(d.y) - j)
	}
	return pairs, cells
}

// mark is a place among the floats with the number of pairs and cells up to it.
// The order of floats is that of their bits, see order.
type mark struct{ at, pairs, cells int64 }

// smallest is the k-th smallest difference, k from 1 to pairs. It narrows a
// bracket (low, high] by counting until the cells in it are few enough to sort.
// Every third step halves the bracket's bits, so it ends whatever the data.
func (d differences) smallest(k int64) float64 {
	low := mark{at: order(subtract(d.x[0], d.y[len(d.y)-1])) - 1}
	high := mark{
		at:    order(subtract(d.x[len(d.x)-1], d.y[0])),
		pairs: d.pairs, cells: int64(len(d.x)) * int64(len(d.y)),
	}
	few := int64(2 * (len(d.x) + len(d.y)))
	for step := 0; high.at-low.at != 1; step++ {
		if high.cells-low.cells <= few {
			return d.sortBetween(low, high, k)
		}
		try := mark{at: between(low, high, k, step)}
		try.pairs, try.cells = d.upTo(unorder(try.at))
		if try.pairs >= k {
			high = try
		} else {
			low = try
		}
	}
	return unorder(high.at)
}

// between aims a little below the wanted rank, then a little above it, so that
// both ends close in, and then at the middle.
func between(low, high mark, k int64, step int) int64 {
	middle := low.at + int64(uint64(high.at-low.at)/2)
	if step%3 == 2 {
		return middle
	}
	from, to := unorder(low.at), unorder(high.at)
	span := float64(high.pairs - low.pairs)
	aim := float64(k-low.pairs)/span + [2]float64{-1. / 16, 1. / 16}[step%3]
	at := order(from + (to-from)*aim)
	if math.IsNaN(aim) || math.IsInf(to-from, 0) || at <= low.at || at >= high.at {
		return middle
	}
	return at
}

// sortBetween finds the k-th smallest of all among the differences in (low, high].
func (d differences) sortBetween(low, high mark, k int64) float64 {
	type cell struct {
		value float64
		pairs int64
	}
	from, to := unorder(low.at), unorder(high.at)
	cells := make([]cell, 0, high.cells-low.cells)
	first := 0
	for i, x := range d.x {
		for first < len(d.y) && subtract(x, d.y[first]) > to {
			first++
		}
		for j := first; j < len(d.y); j++ {
			v := subtract(x, d.y[j])
			if low.pairs > 0 && v <= from {
				break
			}
			cells = append(cells, cell{v, d.countX[i] * d.countY[j]})
		}
	}
	slices.SortFunc(cells, func(a, b cell) int { return cmp.Compare(a.value, b.value) })
	at := low.pairs
	for _, c := range cells {
		if at += c.pairs; at >= k {
			return c.value
		}
	}
	return to
}

// order maps floats to integers in the same order, −0 to 0.
func order(f float64) int64 {
	bits := int64(math.Float64bits(f))
	if bits < 0 {
		return math.MinInt64 - bits
	}
	return bits
}

func unorder(i int64) float64 {
	if i < 0 {
		i = math.MinInt64 - i
	}
	return math.Float64frombits(uint64(i))
}
