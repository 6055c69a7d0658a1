package main

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
)

// result of one rule: stages that it stopped, and canaries exposed by then.
type result struct {
	rejected int
	nodes    []int
}

const chunk = 250

// measure gives the same stages to every rule. Each chunk of stages has its own
// random numbers, so results do not depend on the number of cores.
func measure(w world, of []rule, runs int, seed uint64) []result {
	return spread(runs, len(of), func(i, n int) []result { return stages(w, of, n, rand.New(rand.NewPCG(seed, uint64(i)))) })
}

// spread runs chunks on all cores and adds up what they found.
func spread(runs, columns int, do func(chunk, runs int) []result) []result {
	chunks := make([][]result, (runs+chunk-1)/chunk)
	next := make(chan int)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				chunks[i] = do(i, min(chunk, runs-i*chunk))
			}
		})
	}
	for i := range chunks {
		next <- i
	}
	close(next)
	wg.Wait()
	total := make([]result, columns)
	for _, c := range chunks {
		for i, r := range c {
			total[i].rejected += r.rejected
			total[i].nodes = append(total[i].nodes, r.nodes...)
		}
	}
	return total
}

func stages(w world, of []rule, runs int, r *rand.Rand) []result {
	canaries, _ := w.sizes()
	out := make([]result, len(of))
	var st stage
	for range runs {
		st = w.draw(r, st)
		for i, rule := range of {
			if rule.applies != nil && !rule.applies(w) {
				continue
			}
			if at := rule.stop(w, st); at <= 1 {
				out[i].rejected++
				out[i].nodes = append(out[i].nodes, int(math.Ceil(at*float64(canaries))))
			}
		}
	}
	return out
}
