package main

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

const alpha = .01

// rule stops a stage at a time, or at more than 1 if it does not stop it.
type rule struct {
	name    string
	stop    func(world, []event) float64
	applies func(world) bool // nil: to every world
}

// never is later than the end of a stage.
const never = 2

var rules = []rule{
	{"ECS, a look at every event", ecs, nil},
	{"Fisher, once at the end", fisher, admittedAtOnce},
	{"oracle SPRT", sprt, func(w world) bool { return len(w.strata) == 1 && w.when == nil && admittedAtOnce(w) }},
	{"7 failed canaries", threshold, nil},
	{"e-process", eprocess, admittedAtOnce},
}

// admittedAtOnce: the rules that need it would have to know every node's admission.
func admittedAtOnce(w world) bool { return !w.ramp }

func ecs(w world, events []event) float64 {
	e, err := stats.NewECS(alpha)
	must(err)
	for _, ev := range events {
		s := w.strata[ev.stratum]
		y1, y0 := s.canaries, s.controls
		if w.ramp {
			y1 = max(int(float64(s.canaries)*ev.at), count(ev.canary))
			y0 = s.canaries + s.controls - y1
		}
		must(e.Event(y1, y0, 1, count(ev.canary)))
		if e.Look(ev.at) {
			return ev.at
		}
	}
	if e.Look(1) {
		return 1
	}
	return never
}

// fisher ignores strata and time.
func fisher(w world, events []event) float64 {
	var n1, n0, k int
	for _, s := range w.strata {
		n1, n0 = n1+s.canaries, n0+s.controls
	}
	for _, e := range events {
		k += count(e.canary)
	}
	p, _, err := stats.HypergeometricUpper(int64(k), int64(len(events)), int64(n1), int64(n1+n0))
	must(err)
	if p <= alpha {
		return 1
	}
	return never
}

// sprt is Wald's test of the canaries alone that knows both rates; without effect
// it takes +.5 points for the alternative.
func sprt(w world, events []event) float64 {
	s := w.strata[0]
	n, before, after := float64(0), s.p0, s.p1
	for _, s := range w.strata {
		n += float64(s.canaries)
	}
	if after == before {
		after += .005
	}
	hit, miss, hits := math.Log(after/before), math.Log1p(-after)-math.Log1p(-before), 0.0
	for _, e := range events {
		if hits += float64(count(e.canary)); e.canary && hits*hit+(n*e.at-hits)*miss >= -math.Log(alpha) {
			return e.at
		}
	}
	return never
}

// threshold was tuned by hand for 2,000 canaries at .1 %: 7 or more have .45 % there.
func threshold(_ world, events []event) float64 {
	k := 0
	for _, e := range events {
		if k += count(e.canary); k >= 7 {
			return e.at
		}
	}
	return never
}

func eprocess(w world, events []event) float64 {
	var e stats.EProcess
	gone := make([][2]int, len(w.strata))
	for _, ev := range events {
		s, g := w.strata[ev.stratum], &gone[ev.stratum]
		y1, y0 := s.canaries-g[1], s.controls-g[0]
		must(e.Event(y1, y0, 1, count(ev.canary)))
		g[count(ev.canary)]++
		if e.LogE() >= -math.Log(alpha) {
			return ev.at
		}
	}
	return never
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// result of one rule: stages that it stopped, and canaries exposed by then.
type result struct {
	rejected int
	nodes    []int
}

const chunk = 1000

// measure gives the same stages to every rule. Each chunk of stages has its own
// random numbers, so results do not depend on the number of cores.
func measure(w world, runs int, seed uint64) []result {
	chunks := make([][]result, (runs+chunk-1)/chunk)
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				chunks[i] = stages(w, min(chunk, runs-i*chunk), rand.New(rand.NewPCG(seed, uint64(i))))
			}
		})
	}
	for i := range chunks {
		next <- i
	}
	close(next)
	wg.Wait()
	total := make([]result, len(rules))
	for _, c := range chunks {
		for i, r := range c {
			total[i].rejected += r.rejected
			total[i].nodes = append(total[i].nodes, r.nodes...)
		}
	}
	return total
}

func stages(w world, runs int, r *rand.Rand) []result {
	canaries := 0
	for _, s := range w.strata {
		canaries += s.canaries
	}
	out := make([]result, len(rules))
	var events []event
	for range runs {
		events = w.draw(r, events)
		for i, rule := range rules {
			if rule.applies != nil && !rule.applies(w) {
				continue
			}
			if at := rule.stop(w, events); at <= 1 {
				out[i].rejected++
				out[i].nodes = append(out[i].nodes, int(math.Ceil(at*float64(canaries))))
			}
		}
	}
	return out
}
