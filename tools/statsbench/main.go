// Command statsbench measures the judge's test for events on simulated stages:
// how often it stops a change that does nothing, and how many canaries a bad one
// reaches, beside other rules on the same data. It prints the tables of
// docs/statistics.md, the same for the same seed.
package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
)

func main() {
	runs := flag.Int("runs", 10_000, "stages for each world without effect; two fifths of it for each effect")
	seed := flag.Uint64("seed", 20261126, "seed of all random numbers")
	flag.Parse()
	if *runs < 100 {
		fmt.Fprintln(os.Stderr, "statsbench: --runs: expected at least 100")
		os.Exit(2)
	}
	report(os.Stdout, *runs, *seed)
}

func report(w io.Writer, runs int, seed uint64) {
	fmt.Fprintf(w, "Seed %d, %d stages a row without effect, %d with one; ± is half of the 95 %% interval.\n", seed, runs, 2*runs/5)
	table(w, "\n| no effect |", worlds(), runs, seed, func(r result, n int) string { return share(r.rejected, n) })
	table(w, "\n| effect |", effects(), 2*runs/5, seed+1, func(r result, n int) string {
		return fmt.Sprintf("%s, median %d", share(r.rejected, n), median(r.nodes))
	})
}

func table(w io.Writer, head string, all []world, runs int, seed uint64, cell func(result, int) string) {
	fmt.Fprint(w, head)
	for _, r := range rules {
		fmt.Fprintf(w, " %s |", r.name)
	}
	fmt.Fprint(w, "\n| ---")
	for range rules {
		fmt.Fprint(w, " | ---")
	}
	fmt.Fprintln(w, " |")
	for i, world := range all {
		fmt.Fprintf(w, "| %s |", world.name)
		for i, r := range measure(world, runs, seed+uint64(i)<<32) {
			if applies := rules[i].applies; applies != nil && !applies(world) {
				fmt.Fprint(w, " – |")
				continue
			}
			fmt.Fprintf(w, " %s |", cell(r, runs))
		}
		fmt.Fprintln(w)
	}
}

func share(k, n int) string {
	p := float64(k) / float64(n)
	return fmt.Sprintf("%.2f ±%.2f %%", 100*p, 196*math.Sqrt(p*(1-p)/float64(n)))
}

// median is 0 where nothing was detected.
func median(nodes []int) int {
	if len(nodes) == 0 {
		return 0
	}
	slices.Sort(nodes)
	return nodes[len(nodes)/2]
}
