package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// smallTimings are stages with few canaries, where the normal distribution is the least sure.
func smallTimings() []timing {
	strata := func(n, canaries, controls int) (out []timingStratum) {
		for k := range n {
			out = append(out, timingStratum{canaries, controls, .1 * float64(k)})
		}
		return out
	}
	return []timing{
		{name: "20 v 1,980", strata: strata(1, 20, 1_980), spread: .15},
		{name: "100 v 1,900 in 5 strata", strata: strata(5, 20, 380), spread: .15},
		{name: "180 v 19,800", strata: strata(1, 180, 19_800), spread: .15},
	}
}

// timeLevel is the error of the test for run times alone, over more stages and with seeds of its own.
func (b bench) timeLevel(w io.Writer) {
	runs := 10 * b.runs
	fmt.Fprintf(w, "Seed %d, %d stages a row, 30 looks each. The limits are those of the exact 95 %% interval.\n\n", b.seed+6, runs)
	fmt.Fprintln(w, "| no effect | van Elteren in LDOF limits stops | interval |\n| --- | --- | --- |")
	worst, worstName := 0.0, ""
	for i, world := range append(timingWorlds(), smallTimings()...) {
		k := world.level(runs, b.seed+6+uint64(i)<<32)
		low, high := stats.ClopperPearsonLower(k, runs, .975), stats.ClopperPearsonUpper(k, runs, .975)
		fmt.Fprintf(w, "| %s | %.3f %% | %.3f to %.3f %% |\n", world.name, 100*float64(k)/float64(runs), 100*low, 100*high)
		if high > worst {
			worst, worstName = high, world.name
		}
	}
	fmt.Fprintf(w, "\nWorst world: %s, at most %.3f %%.\n", worstName, 100*worst)
}

// level counts stages that are stopped. Ranks do not depend on what is ranked, so values come from a table of quantiles.
func (w timing) level(runs int, seed uint64) int {
	limits := w.limits()
	return spread(runs, 1, func(i, n int) []result {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		out := make([]result, 1)
		s := newSeen(len(w.strata))
		for range n {
			for _, arms := range s.ratio {
				clear(arms[0])
				clear(arms[1])
			}
			for look := 1; look <= looks; look++ {
				w.growFast(r, s, look)
				if z := s.fastZ(); z >= limits[look-1]-1e-6 && s.z() >= limits[look-1] {
					out[0].rejected++
					break
				}
			}
		}
		return out
	})[0].rejected
}

// quantiles of Student's t with three degrees of freedom, of variance 1.
var quantiles = func() (out [1 << 14]float64) {
	t := distuv.StudentsT{Sigma: 1 / math.Sqrt(3), Nu: 3}
	for i := range out {
		out[i] = t.Quantile((float64(i) + .5) / float64(len(out)))
	}
	return out
}()

// growFast is grow without the run times themselves.
func (w timing) growFast(r *rand.Rand, s seen, look int) {
	tide := w.drift * math.Sin(2*math.Pi*float64(look)/looks)
	for i, st := range w.strata {
		for arm, n := range [2]int{st.controls, st.canaries} {
			into := s.ratio[i][arm]
			for range due(n, look) - due(n, look-1) {
				v := st.level + tide + float64(arm)*math.Log1p(w.effect)
				if w.equal == 0 || r.Float64() >= w.equal {
					v += w.spread * quantiles[r.Uint32()%uint32(len(quantiles))]
				}
				into[bin(v)]++
			}
		}
	}
}

// fastZ is z in plain floating point, to about nine digits.
func (s seen) fastZ() float64 {
	sum, variance := 0.0, 0.0
	for _, arms := range s.ratio {
		var n, m, u, ties int64 // u is twice the statistic
		for v, y := range arms[0] {
			x := arms[1][v]
			if t := x + y; t > 0 {
				u += x * (2*m + y)
				ties += t * (t*t - 1)
				n, m = n+x, m+y
			}
		}
		if n == 0 || m == 0 {
			continue
		}
		all := float64(n + m)
		sum += (float64(u) - float64(n*m)) / 2 / (all + 1)
		variance += float64(n*m) / 12 * (all + 1 - float64(ties)/(all*(all-1))) / (all + 1) / (all + 1)
	}
	if variance <= 0 {
		return 0
	}
	return sum / math.Sqrt(variance)
}
