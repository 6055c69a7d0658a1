package stats

import (
	"fmt"
	"math"
	"math/big"
)

// autoStratifiedWork is AutoExactWork for several strata: about 2 ms, since this test is asked again at every look.
const autoStratifiedWork = AutoExactWork / 16

// stepWork is what one step of the convolution costs in units of AutoExactWork.
const stepWork = 256

// stratifiedExact is the conditional distribution of van Elteren's T. With D the
// least common multiple of all 2(N+1), D·T = Σ D/(2(N+1))·(2U − nm) is an integer,
// so the strata's exact distributions of 2U can be convolved in a map.
func stratifiedExact(used []pooled, method Method) (less, greater tail, err error) {
	if method == Asymptotic {
		return certain, certain, nil
	}
	if len(used) == 1 { // T is U in other units
		return exactTails(used[0], used[0].twoU(), method)
	}
	bound := float64(autoStratifiedWork)
	if method == Exact {
		bound = MaxExactWork
	}
	scale, err := stratifiedScale(used, bound)
	if err != nil {
		return certain, certain, err
	}
	ways, observed := map[int64]*big.Int{0: big.NewInt(1)}, int64(0)
	for _, p := range used {
		weight := scale / (2 * (p.n + p.m + 1))
		observed += weight * (p.twoU() - p.n*p.m)
		next, work := p.convolve(ways, weight, &bound)
		if !work {
			return certain, certain, fmt.Errorf("exact test of %d strata: %w, expected fewer distinct sums", len(used), ErrTooLarge)
		}
		ways = next
	}
	less, greater = mapTails(ways, observed)
	return less, greater, nil
}

// stratifiedScale is D, if the tables of all strata fit the bound and D·T an int64.
func stratifiedScale(used []pooled, bound float64) (int64, error) {
	scale, work, reach := int64(1), 0.0, 0.0
	for _, p := range used {
		size, chosen := p.n+p.m, min(p.n, p.m)
		work += tableWork(size, chosen)
		if tableCells(size, chosen)*float64(wordsFor(size, chosen)) > maxExactWords {
			work = math.Inf(1)
		}
		reach += float64(p.n) * float64(p.m) / float64(size+1)
		unit := 2 * (size + 1)
		factor := unit / gcd(scale, unit)
		if work > bound || float64(scale)*float64(factor)*max(1, reach) > 1<<62 {
			return 0, fmt.Errorf("exact test of %d strata: %w, expected smaller strata", len(used), ErrTooLarge)
		}
		scale *= factor
	}
	return scale, nil
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// convolve adds one stratum. It is false as soon as the budget is used up.
func (p pooled) convolve(ways map[int64]*big.Int, weight int64, budget *float64) (map[int64]*big.Int, bool) {
	next := map[int64]*big.Int{}
	for twoU, count := range p.distribution() {
		*budget -= stepWork * float64(len(ways))
		if *budget < 0 {
			return nil, false
		}
		by := weight * (twoU - p.n*p.m)
		term := new(big.Int)
		for at, w := range ways {
			sum, ok := next[at+by]
			if !ok {
				sum = new(big.Int)
				next[at+by] = sum
			}
			sum.Add(sum, term.Mul(w, count))
		}
	}
	return next, true
}

// distribution counts the choices of canaries by their 2U.
func (p pooled) distribution() map[int64]*big.Int {
	sizes := make([]int64, len(p.values))
	for i := range sizes {
		sizes[i] = p.size(i)
	}
	chosen := min(p.n, p.m)
	s := newSide(sizes, chosen)
	counts := map[int64]*big.Int{}
	for cell := range s.width(chosen) {
		count := fromWords(s.rows[chosen][cell*int64(s.words) : (cell+1)*int64(s.words)])
		if count.Sign() == 0 {
			continue
		}
		twoU := cell * s.unit
		if p.m < p.n { // controls were chosen
			twoU = 2*p.n*p.m - twoU
		}
		counts[twoU] = count
	}
	return counts
}

func mapTails(ways map[int64]*big.Int, observed int64) (less, greater tail) {
	var below, at, above big.Int
	for value, w := range ways {
		switch {
		case value < observed:
			below.Add(&below, w)
		case value > observed:
			above.Add(&above, w)
		default:
			at.Add(&at, w)
		}
	}
	upTo, from := new(big.Int).Add(&below, &at), new(big.Int).Add(&above, &at)
	all := wide().SetInt(new(big.Int).Add(upTo, &above))
	return fraction(wide().SetInt(upTo), wide().SetInt(&above), all),
		fraction(wide().SetInt(from), wide().SetInt(&below), all)
}
