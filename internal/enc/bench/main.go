// Command bench measures `sluice-enc CERTNAME` as puppetserver pays for it: as a whole process, from fork to
// exit, against a static program that only prints the same bytes. Both are run in turn, in an order that is
// shuffled in every round, and compared by the ratio of their medians.
//
//	go run ./internal/enc/bench -rounds 2000
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := fs.Int("rounds", 2000, "how often each program is run")
	members := fs.Int("members", 1_000_000, "members of the large sets")
	seed := fs.Uint64("seed", 1, "of the order of runs and of the bootstrap")
	enc := fs.String("enc", "", "this sluice-enc in place of one built from the tree")
	limit := fs.Float64("limit", 0, "fail when a ratio's lower bound is above this; 0 = never")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || *members < 1000 {
		return fmt.Errorf("-rounds %d, -members %d: expected at least 1 and 1000", *rounds, *members)
	}
	dir, err := os.MkdirTemp("", "sluice-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	variants, err := prepare(ctx, dir, *enc, *members)
	if err != nil {
		return err
	}
	samples, err := measure(ctx, programs(variants), *rounds, *seed)
	if err != nil {
		return err
	}
	return report(out, variants, samples, *seed, *limit)
}

// programs lists every program once: printers are shared by variants with the same answer.
func programs(variants []variant) []program {
	var all []program
	for _, v := range variants {
		for _, p := range []program{v.printer, v.enc} {
			if !slices.ContainsFunc(all, func(q program) bool { return q.name == p.name }) {
				all = append(all, p)
			}
		}
	}
	return all
}

func report(out io.Writer, variants []variant, samples map[string][]time.Duration, seed uint64, limit float64) error {
	fmt.Fprintf(out, "%-58s %9s %9s %7s   %s\n", "variant", "sluice", "printer", "ratio", "95 % interval")
	var over error
	for _, v := range variants {
		a, b := samples[v.enc.name], samples[v.printer.name]
		r := ratio(a, b, seed)
		fmt.Fprintf(out, "%-58s %6.0f µs %6.0f µs %7.3f   %.3f to %.3f\n", v.what, micros(median(a)), micros(median(b)), r.Estimate, r.Low, r.High)
		if limit > 0 && r.Low > limit && over == nil {
			over = fmt.Errorf("%s: ratio of medians %.3f (at least %.3f), expected at most %.3f", v.what, r.Estimate, r.Low, limit)
		}
	}
	return over
}

func micros(d float64) float64 { return d / float64(time.Microsecond) }
