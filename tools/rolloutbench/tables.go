package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// good: how a change that does nothing fares.
func (b bench) good(w io.Writer) {
	for _, nodes := range b.fleets {
		runs := b.of(nodes)
		fmt.Fprintf(w, "**%d nodes**, stages up to %s, %d rollouts a world, seed %d.\n\n", nodes, list(planFor(nodes).targets), runs, b.seed)
		table(w, "a change that does nothing", "taken back", "by", "needs a person", "done alone", "days, median and 90 %")
		worst, all := 0, []ending(nil)
		worstName := ""
		for i, world := range worlds {
			if !strings.Contains(world.name, b.world) {
				continue
			}
			ends := b.play(world, none, nodes, runs, uint64(nodes)<<8+uint64(i), planFor(nodes))
			all = append(all, ends...)
			if back := count(ends, ending.back); back > worst {
				worst, worstName = back, world.name
			}
			goodRow(w, world.name, ends)
		}
		goodRow(w, "all worlds", all)
		if worst > 0 {
			fmt.Fprintf(w, "\nWorst world: %s, %d of %d taken back.\n", worstName, worst, runs)
		}
	}
}

func goodRow(w io.Writer, name string, ends []ending) {
	row(w, name, part(ends, ending.back), causes(ends), part(ends, ending.waits), fmt.Sprintf("%.1f %%", 100*float64(count(ends, ending.alone))/float64(len(ends))), days(ends))
}

var effects = []effect{
	{name: "0.5 points of nodes fail, in a way others do too", fails: .005, shared: true},
	{name: "2 points of nodes fail, in a way others do too", fails: .02, shared: true},
	{name: "5 points of nodes fail, in a way others do too", fails: .05, shared: true},
	{name: "0.5 points of nodes fail, in a new way", fails: .005},
	{name: "5 points of nodes fail, in a new way", fails: .05},
	{name: "20 points of nodes fail, in a new way", fails: .2},
	{name: "2 points of nodes hide a compile failure", fails: .02, hidden: true},
	{name: "2 points of nodes fall silent", silent: .02},
	{name: "every node fails", fails: 1},
}

// bad: how changes that harm fare.
func (b bench) bad(w io.Writer) { b.harm(w, effects, 100) }

// late: how those fare that harm after hours.
func (b bench) late(w io.Writer) {
	b.harm(w, []effect{
		{name: "2 points of nodes fail from their fourth run on, in a way others do too", fails: .02, shared: true, late: 3},
		{name: "5 points of nodes fail from their fourth run on, in a way others do too", fails: .05, shared: true, late: 3},
		{name: "20 points of nodes fail from their fourth run on, in a way others do too", fails: .2, shared: true, late: 3},
		{name: "2 points of nodes fail from their fourth run on, in a new way", fails: .02, late: 3},
	}, 200)
}

func (b bench) harm(w io.Writer, effects []effect, salt uint64) {
	for _, nodes := range b.fleets {
		runs := max(4, b.of(nodes)/4)
		fmt.Fprintf(w, "**%d nodes**, %d rollouts each, seed %d.\n\n", nodes, runs, b.seed)
		table(w, "change", "taken back", "by", "held for a person", "missed", "nodes exposed at that time, median and most")
		for i, e := range effects {
			ends := b.play(worlds[1], e, nodes, runs, uint64(nodes)<<8+salt+uint64(i), planFor(nodes))
			row(w, e.name, part(ends, ending.back), causes(ends), part(ends, ending.waits), part(ends, ending.alone), exposed(ends))
		}
	}
}

// certified: passes that say more than is true, of changes at the limit and a little beyond it.
func (b bench) certified(w io.Writer) {
	for _, nodes := range b.fleets {
		p := planFor(nodes)
		p.through, p.deaf, p.patience = true, true, 3*time.Hour
		p.targets = p.targets[:1+slices.Index(p.targets, slices.Max(p.asking()))] // what comes after asks nothing
		delta, runs := analyzer.DefaultRuleOut(nodes), b.of(nodes)
		fmt.Fprintf(w, "**%d nodes**, rule_out %.3g points, stages up to %s, of which certified: %s. %d rollouts each, seed %d.\n\n", nodes, 100*delta, list(p.targets), list(p.asking()), runs, b.seed)
		table(w, "change", "world", "taken back", "certified all the same", "would be, if nothing were taken back")
		got, alone := func(e ending) bool { return e.certified }, func(e ending) bool { return e.excluded }
		var all []ending
		for i, at := range []struct {
			world  int
			points float64
			effect
		}{
			{1, delta + .0005, effect{name: "of nodes fail, in a way others do too", fails: 1, shared: true}},
			{1, delta + .0005, effect{name: "of nodes hide a compile failure", fails: 1, hidden: true}},
			{1, delta + .0005, effect{name: "of nodes fall silent", silent: 1}},
			{2, delta + .0005, effect{name: "of nodes fail, in a way others do too", fails: 1, shared: true}},
			{4, delta + .0005, effect{name: "of nodes fail, in a way others do too", fails: 1, shared: true}},
			{1, 1.25 * delta, effect{name: "of nodes fail, in a way others do too", fails: 1, shared: true}},
		} {
			e := at.effect
			e.name = fmt.Sprintf("%.4g points %s", 100*at.points, e.name)
			e.fails, e.silent = e.fails*at.points, e.silent*at.points
			ends := b.play(worlds[at.world], e, nodes, runs, 1<<40+uint64(nodes)<<8+uint64(i), p)
			all = append(all, ends...)
			row(w, e.name, worlds[at.world].name, part(ends, ending.back), part(ends, got), part(ends, alone))
		}
		row(w, "all of these", "", part(all, ending.back), part(all, got), part(all, alone))
	}
}

// rivals: other rules on the same rollouts.
func (b bench) rivals(w io.Writer) {
	for _, nodes := range b.fleets {
		runs := b.of(nodes)
		if nodes > 5_000 {
			runs *= 5
		}
		p := planFor(nodes)
		fmt.Fprintf(w, "**%d nodes**, stages up to %s, %d rollouts with the change and as many with one that does nothing, seed %d.\n\n", nodes, list(p.targets[:len(p.targets)-1]), runs, b.seed)
		table(w, "rule", "+0.5 points: stopped", "canaries exposed by then, median and 90 %", "stopped in stage", "no effect: stopped")
		var with, without [][rules]found
		for i, e := range []effect{{name: "+0.5 points", fails: .005, shared: true}, none} {
			got := spread(b, worlds[1], e, nodes, runs, 1<<41+uint64(nodes)<<8+uint64(i), func(f *fleet) [rules]found { return contest(f, p) })
			if i == 0 {
				with = got
			} else {
				without = got
			}
		}
		for rule, name := range ruleNames {
			stopped := func(x [rules]found) bool { return x[rule].exposed > 0 }
			row(w, name, part(with, stopped), canaries(with, rule), stages(with, rule, len(p.targets)-1), part(without, stopped))
		}
	}
}

func canaries(all [][rules]found, rule int) string {
	var of []int
	for _, x := range all {
		if x[rule].exposed > 0 {
			of = append(of, x[rule].exposed)
		}
	}
	return quantiles(of, .5, .9)
}

func stages(all [][rules]found, rule, n int) string {
	in := make([]int, n)
	for _, x := range all {
		if x[rule].exposed > 0 {
			in[x[rule].stage]++
		}
	}
	return list(in)
}

// slower: when longer runs are seen.
func (b bench) slower(w io.Writer) {
	for _, nodes := range b.fleets {
		runs := b.of(nodes)
		if nodes > 5_000 {
			runs *= 5
		}
		fmt.Fprintf(w, "**%d nodes**, %d rollouts each, seed %d.\n\n", nodes, runs, b.seed)
		table(w, "change", "taken back by run_time", "by another check", "canaries exposed by then, median and 90 %", "within 1,000 canaries")
		p := planFor(nodes)
		p.through, p.patience = true, 3*time.Hour
		for k, slower := range []float64{.02, .05, .1} {
			ends := b.play(worlds[1], effect{name: "slower", slower: slower}, nodes, runs, 1<<42+uint64(nodes)<<8+uint64(k), p)
			seen := func(e ending) bool { return e.by == "run_time" }
			var of []int
			for _, e := range ends {
				if seen(e) {
					of = append(of, e.exposed)
				}
			}
			row(w, fmt.Sprintf("runs are %.3g %% slower", 100*slower), part(ends, seen),
				fmt.Sprint(count(ends, ending.back)-len(of)), quantiles(of, .5, .9), part(ends, func(e ending) bool { return seen(e) && e.exposed <= 1000 }))
		}
	}
}

func table(w io.Writer, head ...string) {
	row(w, head...)
	fmt.Fprintln(w, strings.Repeat("| --- ", len(head))+"|")
}

func row(w io.Writer, cells ...string) { fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |") }

func (e ending) back() bool  { return e.backedOut }
func (e ending) waits() bool { return e.held && !e.backedOut }

func count[T any](all []T, is func(T) bool) (n int) {
	for _, x := range all {
		n += oneIf(is(x))
	}
	return n
}

// part is a share with its exact 95 % interval.
func part[T any](all []T, is func(T) bool) string {
	k, n := count(all, is), len(all)
	return fmt.Sprintf("%.2f %% (%.2f to %.2f)", 100*float64(k)/float64(n), 100*stats.ClopperPearsonLower(k, n, .975), 100*stats.ClopperPearsonUpper(k, n, .975))
}

// causes counts what took rollouts back.
func causes(ends []ending) string {
	by := map[string]int{}
	for _, e := range ends {
		if e.backedOut {
			by[e.by]++
		}
	}
	var out []string
	for name, n := range by {
		out = append(out, fmt.Sprintf("%s %d", strings.ReplaceAll(name, "_", " "), n))
	}
	slices.Sort(out)
	if len(out) == 0 {
		return "–"
	}
	return strings.Join(out, ", ")
}

// exposed is of rollouts that were stopped or held.
func exposed(ends []ending) string {
	var of []int
	for _, e := range ends {
		if !e.alone() {
			of = append(of, e.exposed)
		}
	}
	return quantiles(of, .5, 1)
}

func quantiles(of []int, at ...float64) string {
	if len(of) == 0 {
		return "–"
	}
	slices.Sort(of)
	var out []string
	for _, q := range at {
		out = append(out, fmt.Sprint(of[min(len(of)-1, int(q*float64(len(of))))]))
	}
	return strings.Join(out, ", ")
}

// days is how long rollouts took that were done without a person.
func days(ends []ending) string {
	var took []time.Duration
	for _, e := range ends {
		if e.alone() {
			took = append(took, e.took)
		}
	}
	if len(took) == 0 {
		return "–"
	}
	slices.Sort(took)
	return fmt.Sprintf("%.2f, %.2f", took[len(took)/2].Hours()/24, took[len(took)*9/10].Hours()/24)
}

func list(of []int) string { return strings.ReplaceAll(strings.Trim(fmt.Sprint(of), "[]"), " ", ", ") }
