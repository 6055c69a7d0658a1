package daemon

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

func (l *lab) hold(id, selector string, until time.Time) {
	l.Helper()
	data, err := json.Marshal(gate.Hold{Selector: selector, Until: until, By: "anna", Comment: "switch upgrade"})
	l.must(err)
	l.set(tree.HoldKey(id), string(data))
}

// TestHolds: a hold on nodes that are yet to come stops a rollout until its end, after which it goes on by itself; a hold that
// matches nobody, or has ended, stops nothing; one that cannot be read stops everything until it is ended.
func TestHolds(t *testing.T) {
	l := newLab(t, 6).lead()
	end := l.now.Add(3 * time.Hour)
	l.hold("nobody", `{certname="n99"}`, end)
	l.hold("over", "{}", l.now.Add(-time.Minute))
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.hold("upgrade", `{certname=~"n.*"}`, end)
	for range 10 {
		l.tick()
	}
	if n, why := len(l.state("ntp").Stages), l.closed("ntp"); n != 1 || !strings.Contains(why, "hold upgrade of anna") || strings.Contains(why, "nobody") {
		t.Errorf("%d stages, closed gates: %s", n, why)
	}
	l.until("ntp", gate.Completed)
	if l.now.Before(end) {
		t.Errorf("completed at %s, the hold ended at %s", l.now, end)
	}

	l.set(tree.HoldKey("torn"), `{"selector":`)
	l.start("ntp2", "production_3")
	for range 3 {
		l.tick()
	}
	if why := l.closed("ntp2"); !strings.Contains(why, "hold torn cannot be read, so it holds everything") {
		t.Errorf("with a torn hold: %s", why)
	}
	l.hold("torn", "", l.now) // as sluice hold expire leaves it
	l.until("ntp2", gate.Running)
}

// TestHoldOfSomeNodes: a hold on one datacenter keeps its nodes, and only them; the rest goes on as far as it can, and the
// change is not everybody's before the hold has ended and its nodes have run it too.
func TestHoldOfSomeNodes(t *testing.T) {
	l := newLab(t, 12).lead()
	end := l.now.Add(4 * time.Hour)
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.hold("fra1-network", `{facts.datacenter="fra1"}`, end)
	kept := l.inFra1("n00") // n00 had it before, and keeps it
	l.until("ntp", gate.Settling)
	if !l.now.Before(end) {
		t.Fatalf("the rest took until %s", l.now)
	}
	for range 3 {
		l.tick()
	}
	for _, n := range l.nodes {
		want := "production_2"
		if slices.Contains(kept, n) {
			want = "production_1"
		}
		l.on(want, n)
	}
	if why := l.closed("ntp"); !strings.Contains(why, "hold/fra1-network keeps 5 nodes") || !strings.Contains(why, "of anna on {facts.datacenter") {
		t.Errorf("closed gates: %s", why)
	}
	l.failover()
	l.until("ntp", gate.Completed)
	if l.now.Before(end) {
		t.Errorf("completed at %s, the hold ended at %s", l.now, end)
	}
	l.tick()
	l.on("production_2", l.nodes...)
	if got := l.kinds("ntp"); !strings.Contains(got, "caps_changed") || !strings.Contains(got, "nodes_returned") {
		t.Errorf("audit: %s", got)
	}
}

// TestHoldLeavesThePinned: a hold takes the change from no node that has it by a pin.
func TestHoldLeavesThePinned(t *testing.T) {
	l := newLab(t, 12).lead()
	l.asks(tree.PinKey("n07"), gate.Pin{To: segments.ToCandidate, By: "anna", Comment: "try it"})
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.tick()
	l.on("production_2", "n00", "n07")
	l.hold("odd", `{certname=~"n0[3579]"}`, l.now.Add(4*time.Hour))
	for range 3 {
		l.tick()
	}
	l.on("production_2", "n00", "n07")
	l.on("production_1", "n03", "n05")
}

// TestHoldKeepsThePinnedThatAnotherKept: a pin to the candidate gives nothing to a node that a hold keeps, so that a second hold, written before
// the nodes of the first are back, keeps it as well.
func TestHoldKeepsThePinnedThatAnotherKept(t *testing.T) {
	l := newLab(t, 12).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.hold("first", `{certname=~"n0[57]"}`, l.now.Add(6*time.Hour))
	l.asks(tree.PinKey("n07"), gate.Pin{To: segments.ToCandidate, By: "anna", Comment: "try it"})
	l.tick()
	l.tick()
	if pins := l.snapshot().Document.Pins; len(pins) != 1 {
		t.Fatalf("pins %+v; closed gates: %s", pins, l.closed("ntp"))
	}
	l.on("production_1", "n05", "n07")
	l.set("flags/ntp/pause", "true")
	l.remove(tree.HoldKey("first"))
	l.look()
	l.hold("second", `{certname="n07"}`, l.now.Add(6*time.Hour))
	l.look()
	l.set("flags/ntp/pause", "false")
	for range 4 {
		l.tick()
	}
	l.on("production_1", "n07")
	if s := l.state("ntp"); !s.Caps[0].Over() {
		t.Errorf("nobody came back from the first: %s", l.closed("ntp"))
	}
}

// TestHoldKeepsWhomTheDocumentPins: a node that a pin keeps on baseline has not the change, even where the state has not heard of the pin, as
// when it came and went before the inventory was read: a hold keeps it there.
func TestHoldKeepsWhomTheDocumentPins(t *testing.T) {
	l := newLab(t, 12).lead()
	l.start("ntp", "production_2")
	l.untilStage("ntp", 2)
	l.tick()
	l.on("production_2", "n00")
	l.asks(tree.PinKey("n00"), gate.Pin{To: segments.ToBaseline, By: "anna", Comment: "disk"})
	inventory := l.l.collector.inventory
	l.l.collector.inventory = nil
	l.look()
	if s := l.state("ntp"); len(s.Caps) != 0 || len(l.snapshot().Document.Pins) != 1 {
		t.Fatalf("caps %+v, pins %+v", s.Caps, l.snapshot().Document.Pins)
	}
	l.accept()
	if got := l.answer("n00"); got != "production_1" {
		t.Fatalf("n00 has %s", got)
	}
	l.remove(tree.PinKey("n00"))
	l.hold("disk", `{certname="n00"}`, l.now.Add(6*time.Hour))
	l.l.collector.inventory = inventory
	for range 3 {
		l.tick()
	}
	l.on("production_1", "n00")
	if pins := l.snapshot().Document.Pins; len(pins) != 0 {
		t.Errorf("pins %+v", pins)
	}
}

// inFra1 lists the nodes of fra1, without one.
func (l *lab) inFra1(but string) (out []string) {
	for i, n := range l.nodes {
		if i%2 == 0 && n != but {
			out = append(out, n)
		}
	}
	return out
}
