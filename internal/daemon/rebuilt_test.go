package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
)

// counts are those of the last verdict.
func (l *lab) counts(name string) analyzer.Counts {
	l.Helper()
	return l.snapshot().Rollout(name).Status.Verdict.Counts
}

// TestRebuiltNode: a node that was deactivated and comes back under its name has the place that it had. One that was admitted gets the
// candidate again, and does not count as having run it before it has, whatever the machine before it did; one that was not waits.
func TestRebuiltNode(t *testing.T) {
	for _, fails := range []bool{false, true} {
		for _, failover := range []bool{false, true} {
			t.Run(fmt.Sprintf("first run fails %t, failover %t", fails, failover), func(t *testing.T) {
				l := newLab(t, 22)
				l.edges = l.edges[:1] // so that every node keeps its edge
				l.lead()
				l.startBy("half", "ntp", "production_2")
				l.untilStage("ntp", 1)
				l.tick()
				l.tick()
				var with, without string
				for _, n := range l.nodes {
					if l.answer(n) == "production_2" {
						with = n
					} else {
						without = n
					}
				}
				before := l.counts("ntp")
				if before.Exposed != before.Admitted || before.Exposed < 5 {
					t.Fatalf("%d of %d have run the candidate", before.Exposed, before.Admitted)
				}
				all := l.nodes
				l.nodes = slices.DeleteFunc(slices.Clone(all), func(n string) bool { return n == with || n == without })
				l.deactivate(with)
				l.deactivate(without)
				l.tick()
				if c := l.counts("ntp"); c.Admitted != before.Admitted-1 || c.Exposed != before.Exposed-1 {
					t.Fatalf("without %s %d of %d have run the candidate, before %d of %d", with, c.Exposed, c.Admitted, before.Exposed, before.Admitted)
				}
				l.nodes = all
				if fails {
					l.breaks = func(node, environment string) string {
						return map[bool]string{true: "Exec[bootstrap]"}[node == with && environment == "production_1"]
					}
				}
				l.report(slices.Index(all, with), with, "production_1") // as the installer left it
				l.report(slices.Index(all, without), without, "production_1")
				l.now = l.now.Add(60e9)
				if failover {
					l.failover()
				}
				l.collect(l.l)
				l.look()
				if a, b := l.answer(with), l.answer(without); a != "production_2" || b != "production_1" {
					t.Errorf("back, %s gets %s and %s gets %s", with, a, without, b)
				}
				if c := l.counts("ntp"); c.Admitted != before.Admitted || c.Exposed != before.Exposed-1 {
					t.Errorf("back, %d of %d have run the candidate; closed gates: %s", c.Exposed, c.Admitted, l.closed("ntp"))
				}
				if why := l.closed("ntp"); !strings.Contains(why, with) {
					t.Errorf("nothing holds for %s: %s", with, why)
				}
				l.tick()
				if c := l.counts("ntp"); c.Exposed != before.Exposed || len(l.state("ntp").Stages) != 1 {
					t.Errorf("after its run %d of %d have run the candidate, in %d stages", c.Exposed, c.Admitted, len(l.state("ntp").Stages))
				}
				l.on("production_1", without)
				l.until("ntp", gate.Completed)
				l.tick()
				l.on("production_2", l.nodes...)
			})
		}
	}
}
