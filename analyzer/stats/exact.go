package stats

import (
	"fmt"
	"math/big"
)

// ExactPermutation is the conditional distribution of U given the pooled values:
// less = P(U ≤ observed) and greater = P(U ≥ observed), if each of the C(n+m, n)
// choices of canaries is equally likely. Ties and infinities are allowed. It is
// an error to ask for more than [MaxExactWork].
func ExactPermutation(canary, control []float64) (less, greater *big.Rat, err error) {
	p, err := poolSamples(canary, control)
	if err != nil {
		return nil, nil, err
	}
	if p, err = p.complete(); err != nil {
		return nil, nil, err
	}
	pl := newPlan(p)
	if err := pl.affordable(MaxExactWork); err != nil {
		return nil, nil, err
	}
	less, greater = pl.count(p.twoU()).rational()
	return less, greater, nil
}

func (pl plan) affordable(bound float64) error {
	if pl.work <= bound {
		return nil
	}
	return fmt.Errorf("exact test of %d and %d observations with %d distinct values: %w, expected work of at most %.3g, have %.3g",
		pl.pool.n, pl.pool.m, len(pl.pool.values), ErrTooLarge, bound, pl.work)
}

// tally counts, for each number j of chosen observations outside the pivot, the
// ways to choose them: all, with U at least as observed, and with U above it. The
// pivot completes each of them in C(pivot, chosen−j) ways.
type tally struct {
	chosen, pivot, first int64 // first is the smallest j
	all, atLeast, above  []*big.Int
	swapped              bool
}

// count tallies the choices against an observed 2·U of the canary.
func (pl plan) count(twoU int64) tally {
	p := pl.pool
	if pl.swapped {
		twoU = 2*p.n*p.m - twoU
	}
	sizes := make([]int64, len(p.values))
	for i := range sizes {
		sizes[i] = p.size(i)
	}
	t := pl.emptyTally(sizes[pl.pivot])
	low, high := newSide(sizes[:pl.pivot], pl.chosen), newSide(sizes[pl.pivot+1:], pl.chosen)
	high.accumulate()
	for a := range int64(len(low.rows)) {
		for b := range int64(len(high.rows)) {
			rest := pl.chosen - a - b
			if rest < 0 || rest > t.pivot {
				continue
			}
			// 2U of the parts against each other: pivot over low, ties within
			// the pivot, high over all that is below it.
			cross := 2*rest*(pl.below-a) + rest*(t.pivot-rest) + 2*b*(pl.below-a+t.pivot-rest)
			i := a + b - t.first
			t.atLeast[i].Add(t.atLeast[i], meet(low, high, a, b, twoU-cross))
			t.above[i].Add(t.above[i], meet(low, high, a, b, twoU-cross+1))
		}
	}
	return t
}

func (pl plan) emptyTally(pivot int64) tally {
	t := tally{chosen: pl.chosen, pivot: pivot, first: max(0, pl.chosen-pivot), swapped: pl.swapped}
	outside := pl.below + pl.above
	ways := new(big.Int).Binomial(outside, t.first)
	for j := t.first; j <= min(outside, pl.chosen); j++ {
		t.all = append(t.all, new(big.Int).Set(ways))
		t.atLeast = append(t.atLeast, new(big.Int))
		t.above = append(t.above, new(big.Int))
		ways.Mul(ways, big.NewInt(outside-j)).Quo(ways, big.NewInt(j+1))
	}
	return t
}

// meet counts the choices of a below and b above whose 2U add up to u or more.
func meet(low, high side, a, b, u int64) *big.Int {
	acc := make([]uint64, low.words+high.words+1)
	row := low.rows[a]
	for i := range low.width(a) {
		if partners := high.atLeast(b, u-i*low.unit); partners != nil {
			mulAdd(acc, row[i*int64(low.words):(i+1)*int64(low.words)], partners)
		}
	}
	return fromWords(acc)
}

func fromWords(words []uint64) *big.Int {
	x := new(big.Int)
	for i := len(words) - 1; i >= 0; i-- {
		x.Lsh(x, 64).Or(x, new(big.Int).SetUint64(words[i]))
	}
	return x
}

// rational weighs the tally with the pivot's binomials, exactly.
func (t tally) rational() (less, greater *big.Rat) {
	var all, atLeast, above big.Int
	term := new(big.Int)
	ways := new(big.Int).Binomial(t.pivot, t.chosen-t.first)
	for i := range t.all {
		all.Add(&all, term.Mul(ways, t.all[i]))
		atLeast.Add(&atLeast, term.Mul(ways, t.atLeast[i]))
		above.Add(&above, term.Mul(ways, t.above[i]))
		rest := t.chosen - t.first - int64(i)
		ways.Mul(ways, big.NewInt(rest)).Quo(ways, big.NewInt(t.pivot-rest+1))
	}
	greater = new(big.Rat).SetFrac(&atLeast, &all)
	less = new(big.Rat).SetFrac(new(big.Int).Sub(&all, &above), &all)
	if t.swapped {
		return greater, less
	}
	return less, greater
}

// tails is rational in floats of 256 bits, whose cost does not depend on the
// size of the pivot. Only positive terms are added.
func (t tally) tails() (less, greater tail) {
	all, atLeast, above, below, notAbove := wide(), wide(), wide(), wide(), wide()
	ways := wide().SetInt64(1)
	add := func(to *big.Float, count *big.Int) {
		addTo(to, wide().Mul(ways, wide().SetInt(count)))
	}
	for i := range t.all {
		add(all, t.all[i])
		add(atLeast, t.atLeast[i])
		add(above, t.above[i])
		add(below, new(big.Int).Sub(t.all[i], t.atLeast[i]))
		add(notAbove, new(big.Int).Sub(t.all[i], t.above[i]))
		rest := t.chosen - t.first - int64(i)
		ways.Mul(ways, wide().SetInt64(rest)).Quo(ways, wide().SetInt64(t.pivot-rest+1))
	}
	less, greater = fraction(notAbove, above, all), fraction(atLeast, below, all)
	if t.swapped {
		return greater, less
	}
	return less, greater
}
