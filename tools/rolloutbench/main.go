// Command rolloutbench plays whole rollouts through the judge, stage by stage and look by look, on simulated fleets: how often a
// good change is taken back, how often a bad one is not, how many nodes it reaches, and how many rollouts need a person.
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

func main() {
	runs := flag.Int("runs", 400, "rollouts of a change that does nothing in each world; a quarter of it for each effect")
	nodes := flag.Int("nodes", 2_000, "nodes of the fleet")
	seed := flag.Uint64("seed", 20261126, "seed of all random numbers")
	why := flag.Bool("why", false, "print why rollouts ended early")
	flag.Parse()
	if *runs < 4 || *nodes < 10 {
		fmt.Fprintln(os.Stderr, "rolloutbench: expected --runs of at least 4 and --nodes of at least 10")
		os.Exit(1)
	}
	b := bench{nodes: *nodes, seed: *seed, why: *why}
	fmt.Printf("Fleet of %d nodes, seed %d, a look every %s; in brackets the exact 95 %% interval.\n\n", *nodes, *seed, lookEvery)
	fmt.Printf("| a change that does nothing, %d rollouts each | taken back | of these by the stop rule | needs a person | done, median |\n| --- | --- | --- | --- | --- |\n", *runs)
	for i, w := range worlds {
		ends := b.play(w, none, *runs, uint64(i)<<32)
		fmt.Printf("| %s | %s | %d | %s | %s |\n", w.name, part(ends, ending.back), count(ends, ending.byRule), part(ends, ending.waits), b.median(ends))
	}
	n := max(1, *runs/4)
	fmt.Printf("\n| change, in the world of 0.1 %% failing runs, %d rollouts each | taken back | of these by the stop rule | held for a person | nodes exposed then, median and most | certified all the same |\n| --- | --- | --- | --- | --- | --- |\n", n)
	for i, e := range effects {
		ends := b.play(worlds[1], e, n, uint64(100+i)<<32)
		certified := "–"
		if e.bad {
			certified = part(ends, func(e ending) bool { return e.certified })
		}
		fmt.Printf("| %s | %s | %d | %s | %s | %s |\n", e.name, part(ends, ending.back), count(ends, ending.byRule), part(ends, ending.waits), exposed(ends), certified)
	}
}

var effects = []effect{
	{name: "0.5 points of nodes fail, in a way others do too", fails: .005, shared: true},
	{name: "2 points of nodes fail, in a way others do too", fails: .02, shared: true, bad: true},
	{name: "5 points of nodes fail, in a way others do too", fails: .05, shared: true, bad: true},
	{name: "0.5 points of nodes fail, in a new way", fails: .005},
	{name: "5 points of nodes fail, in a new way", fails: .05, bad: true},
	{name: "2 points of nodes hide a compile failure", fails: .02, hidden: true, bad: true},
	{name: "2 points of nodes fall silent", silent: .02, bad: true},
	{name: "runs are 2 % slower", slower: .02},
	{name: "every node fails", fails: 1, bad: true},
}

type bench struct {
	nodes int
	seed  uint64
	why   bool
}

// play plays rollouts on all cores; each has its own seed, so that the result does not depend on their order.
func (b bench) play(w world, e effect, runs int, salt uint64) []ending {
	ends := make([]ending, runs)
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for k := range next {
				ends[k] = roll(newFleet(w, e, b.nodes, b.seed+salt+uint64(k)), planFor(b.nodes))
			}
		})
	}
	for k := range runs {
		next <- k
	}
	close(next)
	wg.Wait()
	if b.why {
		for _, end := range ends {
			if end.reason != "" {
				fmt.Fprintf(os.Stderr, "%s, %s: %s\n", w.name, e.name, end.reason)
			}
		}
	}
	return ends
}

func (e ending) back() bool   { return e.backedOut }
func (e ending) byRule() bool { return e.stopRule }
func (e ending) waits() bool  { return e.held }

func count(ends []ending, is func(ending) bool) (n int) {
	for _, e := range ends {
		if is(e) {
			n++
		}
	}
	return n
}

// part is a share with its exact 95 % interval.
func part(ends []ending, is func(ending) bool) string {
	k, n := count(ends, is), len(ends)
	return fmt.Sprintf("%.2f %% (%.2f to %.2f)", 100*float64(k)/float64(n), 100*stats.ClopperPearsonLower(k, n, .975), 100*stats.ClopperPearsonUpper(k, n, .975))
}

func exposed(ends []ending) string {
	var of []int
	for _, e := range ends {
		if e.backedOut || e.held {
			of = append(of, e.exposed)
		}
	}
	if len(of) == 0 {
		return "–"
	}
	slices.Sort(of)
	return fmt.Sprintf("%d, %d", of[len(of)/2], of[len(of)-1])
}

func (b bench) median(ends []ending) string {
	var took []time.Duration
	for _, e := range ends {
		if !e.backedOut && !e.held {
			took = append(took, e.took)
		}
	}
	if len(took) == 0 {
		return "–"
	}
	slices.Sort(took)
	return strings.TrimSuffix(took[len(took)/2].Round(time.Minute).String(), "0s")
}
