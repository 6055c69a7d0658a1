// Command rolloutbench plays whole rollouts through the judge, stage by stage and look by look, on simulated fleets: how often a
// good change is taken back, how often a bad one is not, how many nodes it reaches, and how many rollouts need a person. It prints
// the tables of docs/rollouts-measured.md, the same for the same seed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/openinfrastructure/sluice/tools/internal/page"
)

func main() {
	runs := flag.Int("runs", 400, "rollouts of a change that does nothing in each world at 2,000 nodes; more in smaller fleets, fewer in larger ones and for each effect")
	nodes := flag.String("nodes", "16,50,200,1000,2000,20000", "nodes of the fleets")
	seed := flag.Uint64("seed", 20261126, "seed of all random numbers")
	world := flag.String("world", "", "a part of the names of the worlds that section good plays; all by default")
	only := flag.String("only", "", "sections, separated by commas; all by default")
	write := flag.String("write", "", "document whose sections are replaced, instead of printing")
	why := flag.Bool("why", false, "print why rollouts ended early")
	flag.Parse()
	debug.SetGCPercent(800)
	debug.SetMemoryLimit(3 << 30)
	b := bench{runs: *runs, seed: *seed, why: *why, world: *world}
	if err := b.main(*nodes, *only, *write); err != nil {
		fmt.Fprintln(os.Stderr, "rolloutbench:", err)
		os.Exit(1)
	}
}

func (b bench) main(nodes, only, file string) error {
	if !slices.ContainsFunc(worlds, func(w world) bool { return strings.Contains(w.name, b.world) }) {
		return fmt.Errorf("--world: %q is in no name, expected a part of one such as %q", b.world, worlds[1].name)
	}
	if b.runs < 4 {
		return errors.New("--runs: expected at least 4")
	}
	for n := range strings.SplitSeq(nodes, ",") {
		size, err := strconv.Atoi(n)
		if err != nil || size < 10 {
			return fmt.Errorf("--nodes: %q, expected numbers of at least 10, separated by commas", n)
		}
		b.fleets = append(b.fleets, size)
	}
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	chosen := names
	if only != "" {
		chosen = strings.Split(only, ",")
	}
	for _, name := range chosen {
		i := slices.Index(names, name)
		if i < 0 {
			return fmt.Errorf("--only: no section %q, expected some of %s", name, strings.Join(names, ", "))
		}
		if err := b.section(sections[i], file); err != nil {
			return err
		}
	}
	return nil
}

// section is one measured part of the document.
type section struct {
	name  string
	print func(bench, io.Writer)
	// from is the smallest fleet that has a part of it in the document.
	from int
}

var sections = []section{
	{"good", bench.good, 0},
	{"bad", bench.bad, 0},
	{"late", bench.late, 500},
	{"certified", bench.certified, 500}, // below, no stage asks for it
	{"rivals", bench.rivals, 0},
	{"slower", bench.slower, 0},
}

func (b bench) section(s section, file string) error {
	for _, nodes := range b.fleets {
		if nodes < s.from {
			continue
		}
		one := b
		one.fleets = []int{nodes}
		if err := one.part(s, fmt.Sprintf("%s-%d", s.name, nodes), file); err != nil {
			return err
		}
	}
	return nil
}

func (b bench) part(s section, name, file string) error {
	if file == "" {
		fmt.Printf("%s\n\n", name)
		s.print(b, os.Stdout)
		fmt.Println()
		return nil
	}
	var out strings.Builder
	s.print(b, &out)
	return page.Write(file, "rolloutbench", name, out.String())
}

// bench is what all sections share.
type bench struct {
	runs   int
	fleets []int
	seed   uint64
	why    bool
	world  string
}

// of is how many rollouts a fleet gets: what can be afforded.
func (b bench) of(nodes int) int {
	switch {
	case nodes <= 200:
		return b.runs * 5 / 2
	case nodes <= 2_000:
		return b.runs
	}
	return max(4, b.runs*4_000/nodes)
}

// spread plays rollouts on all cores; each has its own seed, so that the result does not depend on their order.
func spread[T any](b bench, w world, e effect, nodes, runs int, salt uint64, play func(*fleet) T) []T {
	out := make([]T, runs)
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for k := range next {
				out[k] = play(newFleet(w, e, nodes, b.seed+salt<<32+uint64(k)))
			}
		})
	}
	for k := range runs {
		next <- k
	}
	close(next)
	wg.Wait()
	return out
}

// play plays rollouts by a plan.
func (b bench) play(w world, e effect, nodes, runs int, salt uint64, p plan) []ending {
	ends := spread(b, w, e, nodes, runs, salt, func(f *fleet) ending { return roll(f, p) })
	if b.why {
		for _, end := range ends {
			if end.reason != "" {
				fmt.Fprintf(os.Stderr, "%d nodes, %s, %s: %s\n", nodes, w.name, e.name, end.reason)
			}
		}
	}
	return ends
}
