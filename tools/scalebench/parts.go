package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

type options struct {
	sizes, trials, rounds, plot string
	site                        bool
}

// part is one command and what is read off its output. as is how a person types it; rows says that it prints a table of its own, of which
// the figures are only the last row.
type part struct {
	command []string
	as      string
	figures []figure
	rows    bool
}

// figure is found by a pattern; say gets its groups, with numbers as they stand.
type figure struct {
	name, aim string
	pattern   string
	say       func(groups []string) (string, error)
}

// read gives the last place where the pattern is found.
func (f figure) read(out string) (string, error) {
	all := regexp.MustCompile(f.pattern).FindAllStringSubmatch(out, -1)
	if len(all) == 0 {
		return "", fmt.Errorf("%s: %s is not in the output", f.name, f.pattern)
	}
	groups := all[len(all)-1][1:]
	if f.say == nil {
		return strings.Join(groups, " "), nil
	}
	return f.say(groups)
}

// scaled multiplies a number and gives it a unit.
func scaled(by float64, format string) func([]string) (string, error) {
	return func(groups []string) (string, error) {
		v, err := strconv.ParseFloat(strings.ReplaceAll(groups[0], ",", ""), 64)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf(format, v*by), nil
	}
}

func with(format string) func([]string) (string, error) {
	return func(groups []string) (string, error) {
		args := make([]any, len(groups))
		for i, g := range groups {
			args[i] = g
		}
		return fmt.Sprintf(format, args...), nil
	}
}

func goBench(pattern, pkg string) []string {
	return []string{"go", "test", "-run", "^$", "-bench", pattern, pkg}
}

// parts are the measurements, the quick ones first.
func parts(o options) []part {
	sizes := strings.Split(o.sizes, ",")
	at := " (" + sizes[len(sizes)-1] + " nodes)"
	row := `(?m)^\| (\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| (\d+) / (\d+) \| (\S+) \| ([\d.]+) \|`
	all := []part{
		{command: goBench("DecodeLean$/^lean$", "./puppetdb"), as: "go test -bench DecodeLean ./puppetdb", figures: []figure{
			{"reports decoded, a core", "300,000 /s together with the next", `DecodeLean/lean\S*\s.*?([\d.e+]+) rows/s`, scaled(1, "%.0f /s")}}},
		{command: goBench("Ledger$", "./internal/daemon"), as: "go test -bench Ledger ./internal/daemon", figures: []figure{
			{"reports taken over, a core", "", `BenchmarkLedger\S*\s.*?([\d.e+]+) reports/s`, scaled(1, "%.0f /s")}}},
		{command: goBench("Look$/^1000000$", "./analyzer"), as: "go test -bench Look ./analyzer", figures: []figure{
			{"the judge over 1,000,000 nodes", "250 ms with all of a look", `BenchmarkLook/1000000\S*\s+\d+\s+(\d+) ns/op`, scaled(1e-6, "%.0f ms")}}},
		{command: goBench("AcceptMillion/first", "./internal/enc/edge"), as: "go test -bench AcceptMillion ./internal/enc/edge", figures: []figure{
			{"accept of 1,000,000 fingerprints", "1 s", `BenchmarkAcceptMillion/\S+\s+\d+\s+(\d+) ns/op`, scaled(1e-6, "%.0f ms")}}},
		{command: []string{"go", "test", "-count=1", "-v", "-run", "TestDocumentBytesPerRollout", "./internal/enc/edge"}, as: "go test -run DocumentBytesPerRollout ./internal/enc/edge", figures: []figure{
			{"the document, a rollout without sets", "300 bytes", `(\d+) bytes per rollout`, with("%s bytes")}}},
		{command: []string{"go", "test", "-count=1", "-v", "-run", "TestStepIsSmall", "./internal/daemon"}, as: "go test -run StepIsSmall ./internal/daemon", figures: []figure{
			{"a percentage step, beside the audit", "4 kB", `the largest wrote (\d+) bytes`, with("%s bytes")}}},
		{command: []string{"go", "run", "./internal/enc/bench", "-rounds", o.rounds}, as: "make bench-enc ROUNDS=" + o.rounds, figures: []figure{
			{"a lookup against printing the same, sets of 1,000,000", "1.3 times", `members and stage in sets of 1000000, 1 rollout\s+\d+ µs\s+\d+ µs\s+([\d.]+)`, with("%s times")}}},
		{command: []string{"go", "run", "./internal/fleetsim/benchdaemon", "-nodes", o.sizes, "-plot", o.plot}, as: "make bench-daemon SIZES=" + o.sizes, rows: true, figures: []figure{
			{"steady state" + at, "10 % of a core", row, func(g []string) (string, error) { return g[3] + " % at " + g[1] + " reports/s", nil }},
			{"resident" + at, "512 MiB", row, func(g []string) (string, error) { return g[4] + " MiB, " + g[5] + " at most", nil }},
			{"cold start with 2 h of history" + at, "60 s of CPU", row, func(g []string) (string, error) { return g[2] + " s", nil }},
			{"started again from its file" + at, "60 s of CPU", row, func(g []string) (string, error) { return g[7] + " s", nil }},
			{"a whole look" + at, "250 ms", row, func(g []string) (string, error) { return g[6], nil }}}},
	}
	if o.trials != "0" {
		all = append(all, part{command: []string{"go", "run", "./internal/fleetsim/benchdaemon", "-detect", o.trials}, as: "make bench-detect TRIALS=" + o.trials, figures: []figure{
			{"first bad report to baseline in the document, poll every 5 s", "5 s + 2 s in the median", `median (\S+), p90 (\S+), most (\S+)`, with("median %s, p90 %s, most %s")}}})
	}
	if o.site {
		all = append(all,
			part{command: []string{"go", "run", "./internal/e2e/benchconsul"}, as: "make bench-consul", rows: true, figures: []figure{
				{"a pause reaches the last of 200 puppetservers", "3 s", `(?m)^\| a pause[^|]*\| (.*?) \|`, with("%s (median / p90 / most)")},
				{"a set of 1,000,000 nodes", "17 bytes a node", `\(([\d.]+) bytes a node\)`, with("%s bytes a node")}}},
			part{command: []string{"go", "run", "./internal/e2e/benchpuppetdb"}, as: "make bench-puppetdb", rows: true, figures: []figure{
				{"CPU of PuppetDB and PostgreSQL, polled against stored", "5 %", `counted\): ([\d.]+) %`, with("%s %%")},
				{"the client against curl", "0.9 of its speed", `: ([\d.]+) of curl's speed`, with("%s")}}})
	}
	return all
}
