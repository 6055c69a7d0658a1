package main

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mathext"

	"github.com/openinfrastructure/sluice/analyzer/stats"
	"github.com/openinfrastructure/sluice/tools/internal/kayenta"
)

// timing is a stage in which each node has one run time, as the logarithm of its
// ratio to the node's own past, in thirty looks.
type timing struct {
	name   string
	strata []timingStratum
	effect float64 // run time of canaries, as a ratio less 1
	spread float64 // standard deviation of a node's log ratio
	drift  float64 // amplitude of what the time of day does to all nodes
	equal  float64 // share of nodes whose ratio is exactly 1
}

// timingStratum has its own level, to which all of its nodes have moved since their past.
type timingStratum struct {
	canaries, controls int
	level              float64
}

const (
	looks    = 30
	binWidth = .005
	bins     = 801 // −2 to 2; what lies beyond counts as the end
	between  = .5  // standard deviation of the logarithm of run times between nodes
)

func timingWorlds() []timing {
	single := []timingStratum{{2000, 20_000, 0}}
	roles := []timingStratum{{1200, 4000, .2}, {500, 6000, 0}, {300, 10_000, -.1}}
	return []timing{
		{name: "independent nodes", strata: single, spread: .15},
		{name: "2,000 v 2,000", strata: []timingStratum{{2000, 2000, 0}}, spread: .15},
		{name: "diurnal drift, ±10 %", strata: single, spread: .15, drift: .1},
		{name: "role mix shift: 3 roles with other shares, +20, 0, −10 %", strata: roles, spread: .15},
		{name: "half of the nodes take as long as ever", strata: single, spread: .15, equal: .5},
	}
}

func timingEffects() []timing {
	single := []timingStratum{{2000, 20_000, 0}}
	return []timing{
		{name: "+2 % run time, 2,000 v 20,000", strata: single, spread: .15, effect: .02},
		{name: "+2 % run time, 2,000 v 2,000", strata: []timingStratum{{2000, 2000, 0}}, spread: .15, effect: .02},
		{name: "+1 % run time, 2,000 v 20,000", strata: single, spread: .15, effect: .01},
		{name: "+2 % run time, no past of the nodes (spread .5)", strata: single, spread: between, effect: .02},
		{name: "+10 % run time, 50 v 950", strata: []timingStratum{{50, 950, 0}}, spread: .15, effect: .1},
	}
}

// timingRules, in the order of the columns.
var timingRules = []string{"van Elteren in LDOF limits, 30 looks", "the same once, at the end", "p ≤ 1 % at any of 30 looks", "Kayenta, 10 looks at run times"}

// seen is a stage as far as it has gone.
type seen struct {
	ratio [][2][]int64 // stratum, arm, bin
	raw   [2][]int64   // all strata: logarithms of the run times themselves
}

func newSeen(strata int) seen {
	s := seen{raw: [2][]int64{make([]int64, bins), make([]int64, bins)}}
	for range strata {
		s.ratio = append(s.ratio, [2][]int64{make([]int64, bins), make([]int64, bins)})
	}
	return s
}

var binValues = func() []float64 {
	v := make([]float64, bins)
	for i := range v {
		v[i] = float64(i-bins/2) * binWidth
	}
	return v
}()

func bin(v float64) int { return min(max(int(math.Round(v/binWidth))+bins/2, 0), bins-1) }

// due is how many of n nodes are seen by a look.
func due(n, look int) int { return n * look / looks }

// grow adds the nodes that a look sees for the first time.
func (w timing) grow(r *rand.Rand, s seen, look int) {
	tide := w.drift * math.Sin(2*math.Pi*float64(look)/looks)
	for i, st := range w.strata {
		for arm, n := range [2]int{st.controls, st.canaries} {
			for range due(n, look) - due(n, look-1) {
				v := st.level + tide + float64(arm)*math.Log1p(w.effect)
				if w.equal == 0 || r.Float64() >= w.equal {
					v += w.spread * heavy(r)
				}
				s.ratio[i][arm][bin(v)]++
				s.raw[arm][bin(v+between*r.NormFloat64())]++
			}
		}
	}
}

// heavy is Student's t with three degrees of freedom, of variance 1.
func heavy(r *rand.Rand) float64 {
	a, b, c := r.NormFloat64(), r.NormFloat64(), r.NormFloat64()
	return r.NormFloat64() / math.Sqrt(a*a+b*b+c*c)
}

// z is that of van Elteren's test, and 0 where an arm has no value yet.
func (s seen) z() float64 {
	strata := make([]stats.Stratum, len(s.ratio))
	for i, arms := range s.ratio {
		strata[i] = stats.Stratum{Values: binValues, Canary: arms[1], Control: arms[0]}
	}
	r, err := stats.VanElteren(strata, stats.Options{Alternative: stats.Greater, Method: stats.Asymptotic})
	if err != nil {
		return 0
	}
	return r.Z
}

// limits are the boundaries of the looks: information from the numbers of nodes, which
// the plan fixes.
func (w timing) limits() []float64 {
	var b stats.Boundaries
	out, last := make([]float64, looks), 0.0
	for look := range looks {
		info := 0.0
		for _, s := range w.strata {
			n, m := float64(due(s.canaries, look+1)), float64(due(s.controls, look+1))
			info += n * m / (n + m + 1)
		}
		if info == 0 || info < last*1.02 { // no look, as in the judge
			out[look] = math.Inf(1)
			continue
		}
		last = info
		c, err := b.Next(info, stats.LDOF(alpha, float64(look+1)/looks))
		must(err)
		out[look] = c
	}
	return out
}

// kayentaSlow looks at the run times themselves: it has no past of each node.
func (s seen) kayentaSlow() bool {
	var arm [2]kayenta.Arm
	for i, v := range binValues {
		for a := range arm {
			arm[a].Add(20*math.Exp(v), float64(s.raw[a][i]))
		}
	}
	return kayenta.ClassifyCounts(kayenta.Judge(kayenta.Increase), arm[1], arm[0]).Label == kayenta.High
}

func (w timing) measure(runs int, seed uint64) []result {
	limits, once := w.limits(), -mathext.NormalQuantile(alpha)
	return spread(runs, len(timingRules), func(i, n int) []result {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		out := make([]result, len(timingRules))
		for range n {
			w.stage(r, limits, once, out)
		}
		return out
	})
}

func (w timing) stage(r *rand.Rand, limits []float64, once float64, out []result) {
	total := 0
	for _, s := range w.strata {
		total += s.canaries
	}
	s, done := newSeen(len(w.strata)), make([]bool, len(out))
	stop := func(rule, look int, is bool) {
		if is && !done[rule] {
			done[rule] = true
			out[rule].rejected++
			out[rule].nodes = append(out[rule].nodes, due(total, look))
		}
	}
	for look := 1; look <= looks; look++ {
		w.grow(r, s, look)
		z := s.z()
		stop(0, look, z >= limits[look-1])
		stop(1, look, look == looks && z >= once)
		stop(2, look, z >= once)
		stop(3, look, look%3 == 0 && !done[3] && s.kayentaSlow())
	}
}
