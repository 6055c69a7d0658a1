// Command scalebench runs the measurements of docs/scale.md and docs/figures.md one after the other, and prints one table of
// what came out beside what was aimed at, and then what some of them print at length. A part that cannot be measured says so in its row, and the exit code is 1 then.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	o := options{}
	flag.StringVar(&o.sizes, "nodes", "1000,10000", "fleet sizes of the daemon's part, the largest last")
	flag.StringVar(&o.trials, "trials", "3", "bad changes to live through, 0 for none")
	flag.StringVar(&o.rounds, "rounds", "300", "rounds of lookups")
	flag.StringVar(&o.plot, "plot", "", "SVG file for the growth with the fleet")
	flag.BoolVar(&o.site, "site", false, "Consul and PuppetDB too (after make tools, as root, ten minutes)")
	flag.Parse()
	failed, rows := 0, ""
	fmt.Println("| figure | aim | measured | by |")
	fmt.Println("| --- | --- | --- | --- |")
	for _, p := range parts(o) {
		fmt.Fprintln(os.Stderr, strings.Join(p.command, " "))
		out, err := run(context.Background(), p.command)
		for _, f := range p.figures {
			value, lost := f.read(out)
			if lost != nil || err != nil {
				failed++
				value = "**not measured**"
			}
			fmt.Printf("| %s | %s | %s | `%s` |\n", f.name, f.aim, value, p.as)
		}
		if p.rows {
			rows += "\n" + p.as + ":\n\n" + out
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "scalebench: %s: %v\n%s\n", p.as, err, out)
		}
	}
	fmt.Print(rows)
	if failed > 0 {
		fmt.Fprintf(os.Stderr, "scalebench: %d figures were not measured\n", failed)
		os.Exit(1)
	}
}

func run(ctx context.Context, command []string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
