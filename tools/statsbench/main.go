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
	"strings"
)

func main() {
	runs := flag.Int("runs", 10_000, "stages for each world without effect; two fifths of it for each effect")
	seed := flag.Uint64("seed", 20261126, "seed of all random numbers")
	only := flag.String("only", "", "sections, separated by commas; all by default")
	write := flag.String("write", "", "document whose sections are replaced, instead of printing")
	flag.Parse()
	if *runs < 100 {
		fail("--runs: expected at least 100")
	}
	b := bench{runs: *runs, seed: *seed}
	chosen := sections
	if *only != "" {
		chosen = nil
		for name := range strings.SplitSeq(*only, ",") {
			i := slices.IndexFunc(sections, func(s section) bool { return s.name == name })
			if i < 0 {
				fail("--only: no section " + name)
			}
			chosen = append(chosen, sections[i])
		}
	}
	for _, s := range chosen {
		if err := b.section(s, *write); err != nil {
			fail(err.Error())
		}
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, "statsbench:", why)
	os.Exit(1)
}

// bench is what all sections share.
type bench struct {
	runs int
	seed uint64
}

// section is one measured part of the document.
type section struct {
	name  string
	print func(bench, io.Writer)
}

var sections = []section{
	{"events", func(b bench, w io.Writer) { report(w, b.runs, b.seed) }},
	{"kayenta", func(_ bench, w io.Writer) { kayentaSection(w) }},
}

// section prints, or replaces what stands between the section's marks in a document.
func (b bench) section(s section, file string) error {
	if file == "" {
		s.print(b, os.Stdout)
		return nil
	}
	var out strings.Builder
	s.print(b, &out)
	page, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	next, err := replace(string(page), s.name, out.String())
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(next), 0o644)
}

func replace(page, name, text string) (string, error) {
	first, last := "<!-- statsbench "+name+" -->\n", "<!-- end "+name+" -->"
	from, to := strings.Index(page, first), strings.Index(page, last)
	if from < 0 || to < from {
		return "", fmt.Errorf("expected the lines %q and %q", strings.TrimSpace(first), last)
	}
	return page[:from+len(first)] + "\n" + strings.TrimSpace(text) + "\n\n" + page[to:], nil
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
