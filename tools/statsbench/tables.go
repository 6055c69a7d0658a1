package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// stopped and median are what the cells of the tables say.
func stopped(r result, n int) string { return share(r.rejected, n) }

func power(r result, n int) string {
	if r.rejected == 0 {
		return "0"
	}
	return fmt.Sprintf("%s, median %d", share(r.rejected, n), median(r.nodes))
}

// events are the tables of all rules on the same stages.
func (b bench) events(w io.Writer) {
	fmt.Fprintf(w, "Seed %d, %d stages a row without effect, %d with one; ± is half of the 95 %% interval.\n\n", b.seed, b.runs, 2*b.runs/5)
	head(w, "no effect", rules)
	for i, world := range worlds() {
		row(w, world, rules, b.runs, b.seed+uint64(i)<<32, stopped)
	}
	fmt.Fprintln(w)
	head(w, "effect", rules)
	for i, world := range effects() {
		row(w, world, rules, 2*b.runs/5, b.seed+1+uint64(i)<<32, power)
	}
}

// level is the error of ECS alone, over more stages and with seeds of its own.
func (b bench) level(w io.Writer) {
	runs := 40 * b.runs
	fmt.Fprintf(w, "Seed %d, %d stages a row. The upper limit is that of the one-sided 97.5 %% interval of Clopper and Pearson.\n\n", b.seed+2, runs)
	fmt.Fprintln(w, "| no effect | ECS stops | upper limit |\n| --- | --- | --- |")
	worst, worstName := 0.0, ""
	for i, world := range worlds() {
		r := measure(world, rules[:1], runs, b.seed+2+uint64(i)<<32)[0]
		upper := stats.ClopperPearsonUpper(r.rejected, runs, .975)
		fmt.Fprintf(w, "| %s | %.3f %% | %.3f %% |\n", world.name, 100*float64(r.rejected)/float64(runs), 100*upper)
		if upper > worst {
			worst, worstName = upper, world.name
		}
	}
	fmt.Fprintf(w, "\nWorst world: %s, at most %.3f %%.\n", worstName, 100*worst)
}

// sizes are fleets from 16 nodes on, under changes that touch few canaries or all.
func (b bench) sizes(w io.Writer) {
	fmt.Fprintf(w, "Base rate .1 %%, seed %d, %d stages a cell without effect, %d with one; n is the median of the canaries exposed.\n\n", b.seed+3, b.runs, b.runs/5)
	fmt.Fprintln(w, "| canaries of fleet | rule | no effect | +.5 points | +5 points | every second canary | every canary |\n| --- | --- | --- | --- | --- | --- | --- |")
	chosen := []rule{rules[0], rules[1], rules[3], rules[4]}
	for i, f := range fleets {
		cells := make([]string, len(chosen))
		for j, effect := range []float64{0, .005, .05, .5, 1} {
			runs := b.runs / 5
			if effect == 0 {
				runs = b.runs
			}
			for k, r := range measure(f.at(effect), chosen, runs, b.seed+3+uint64(8*i+j)<<32) {
				cell := fmt.Sprintf("%.2f %%", 100*float64(r.rejected)/float64(runs))
				if effect > 0 && r.rejected > 0 {
					cell += fmt.Sprintf(", n %d", median(r.nodes))
				}
				cells[k] += " " + cell + " |"
			}
		}
		for k, r := range chosen {
			fmt.Fprintf(w, "| %d of %d | %s |%s\n", f.canaries, f.nodes, r.name, cells[k])
		}
	}
}

// timings are the tables of run times.
func (b bench) timings(w io.Writer) {
	null, with := b.runs/2, b.runs/10
	fmt.Fprintf(w, "Seed %d, %d stages a row without effect, %d with one.\n\n", b.seed+4, null, with)
	for k, part := range []struct {
		head string
		all  []timing
		runs int
		cell func(result, int) string
	}{{"no effect", timingWorlds(), null, stopped}, {"effect", timingEffects(), with, power}} {
		fmt.Fprintf(w, "| %s | %s |\n|%s\n", part.head, strings.Join(timingRules, " | "), strings.Repeat(" --- |", 1+len(timingRules)))
		for i, world := range part.all {
			fmt.Fprintf(w, "| %s |", world.name)
			for _, r := range world.measure(part.runs, b.seed+4+uint64(16*k+i)<<32) {
				fmt.Fprintf(w, " %s |", part.cell(r, part.runs))
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w)
	}
}

func head(w io.Writer, first string, of []rule) {
	fmt.Fprintf(w, "| %s |", first)
	for _, r := range of {
		fmt.Fprintf(w, " %s |", r.name)
	}
	fmt.Fprintf(w, "\n|%s\n", strings.Repeat(" --- |", 1+len(of)))
}

func row(w io.Writer, world world, of []rule, runs int, seed uint64, cell func(result, int) string) {
	fmt.Fprintf(w, "| %s |", world.name)
	for i, r := range measure(world, of, runs, seed) {
		if applies := of[i].applies; applies != nil && !applies(world) {
			fmt.Fprint(w, " – |")
			continue
		}
		fmt.Fprintf(w, " %s |", cell(r, runs))
	}
	fmt.Fprintln(w)
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
