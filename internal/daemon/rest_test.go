package daemon

import (
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
)

// TestRestOfAnOrderIsPassedOver: where every node has a value that the order lists, nobody is in its rest. The rollout goes past it, and
// a node that is of the rest later comes with everyone.
func TestRestOfAnOrderIsPassedOver(t *testing.T) {
	l := newLab(t, 22)
	l.extra = `  order:
    growth: 100
    stages:
      - {name: canary, segment: canary, bake: {time: 10m, runs: 2}}
      - {name: dc, for_each: {attribute: facts.datacenter, order: [fra1, "*", ams1]}, percents: [50%, 100%], bake: {time: 10m, runs: 2}}
      - {name: everyone, bake: {time: 10m, runs: 2}}
`
	l.moved = map[string]string{}
	l.lead()
	l.startBy("order", "ntp", "production_2")
	l.untilStage("ntp", 6) // past both stages of the rest
	if l.moved["n01"] = "iad1"; l.state("ntp").Phase != gate.Running {
		t.Fatal(l.state("ntp").Phase)
	}
	l.failover()
	l.until("ntp", gate.Completed)
	l.tick()
	l.on("production_2", l.nodes...)
	skipped := ""
	for _, e := range l.chain() {
		if e.Kind == gate.EventSkipped {
			skipped += e.Text + "; "
		}
	}
	for _, want := range []string{"stage dc-rest-1 is passed over: order-dc-rest, the rest of an order, holds no node of track production", "stage dc-rest-2 is passed over"} {
		if strings.Count(skipped, want) != 1 {
			t.Errorf("%q is not said once: %s", want, skipped)
		}
	}
	for _, st := range l.state("ntp").Stages {
		if strings.HasPrefix(st.Name, "dc-rest") != st.Skipped {
			t.Errorf("stage %s: passed over %t", st.Name, st.Skipped)
		}
	}
}
