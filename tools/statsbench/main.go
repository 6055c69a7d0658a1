// Command statsbench measures the judge's test for events on simulated stages:
// how often it stops a change that does nothing, and how many canaries a bad one
// reaches, beside other rules on the same data. It prints the tables of
// docs/statistics.md, the same for the same seed.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/tools/internal/page"
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
	if *only == "" && *write != "" {
		if err := b.pictures(filepath.Dir(*write)); err != nil {
			fail(err.Error())
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
	{"level", bench.level},
	{"events", bench.events},
	{"sizes", bench.sizes},
	{"timings", bench.timings},
	{"timelevel", bench.timeLevel},
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
	return page.Write(file, "statsbench", s.name, out.String())
}
