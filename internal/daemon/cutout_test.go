package daemon

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

func (l *lab) asks(key string, v any) {
	l.Helper()
	data, err := json.Marshal(v)
	l.must(err)
	l.set(key, string(data))
}

// TestCutOut: a back-out of one datacenter takes the change from its nodes, whatever fails there; the rest goes on; the key's
// end ends nothing, and only an unveto brings the nodes back.
func TestCutOut(t *testing.T) {
	l := newLab(t, 12).lead()
	cut := l.inFra1("")
	l.start("ntp", "production_2")
	l.untilStage("ntp", 2)
	l.tick()
	l.on("production_2", cut...)
	l.breaks = func(node, environment string) string {
		if environment == "production_2" && slices.Contains(cut, node) && node != "n00" {
			return "fra1 only"
		}
		return ""
	}
	l.asks(tree.VetoKey("fra1"), gate.Veto{Rollout: "ntp", Selector: `{facts.datacenter="fra1",certname!="n00"}`, By: "anna", Comment: "switches"})
	l.look()
	l.tick()
	l.on("production_1", cut[1:]...)
	l.on("production_2", "n00")
	l.remove(tree.VetoKey("fra1"))
	l.failover()
	l.until("ntp", gate.Settling)
	for range 3 {
		l.tick()
	}
	l.on("production_1", cut[1:]...)
	if why := l.closed("ntp"); !strings.Contains(why, "veto/fra1 keeps 5 nodes") {
		t.Errorf("closed gates: %s", why)
	}
	l.breaks = func(string, string) string { return "" }
	l.request("unveto-ntp", tree.Request{Kind: tree.RequestUnveto, Rollout: "ntp", Veto: "fra2"})
	l.tick()
	if r := l.snapshot().Requests["unveto-ntp"]; !strings.Contains(r.Refused, "no nodes are cut out of ntp by fra2") {
		t.Errorf("%+v", r)
	}
	l.request("unveto-ntp", tree.Request{Kind: tree.RequestUnveto, Rollout: "ntp", Veto: "fra1"})
	l.until("ntp", gate.Completed)
	l.tick()
	l.on("production_2", l.nodes...)
	if got := l.kinds("ntp"); !strings.Contains(got, "caps_changed") || !strings.Contains(got, "unvetoed") || !strings.Contains(got, "nodes_returned") {
		t.Errorf("audit: %s", got)
	}
}

// TestCutOutHidesNoFailure: what failed where the change was taken back again excuses nothing that fails elsewhere.
func TestCutOutHidesNoFailure(t *testing.T) {
	l := newLab(t, 12).lead()
	l.start("ntp", "production_2")
	l.untilStage("ntp", 2)
	l.breaks = func(node, environment string) string {
		if environment == "production_2" {
			return "bad"
		}
		return ""
	}
	l.agents() // reports are not read yet
	l.asks(tree.VetoKey("some"), gate.Veto{Rollout: "ntp", Selector: `{certname=~"n0[2468]"}`, By: "anna", Comment: "x"})
	l.until("ntp", gate.BackedOut)
}

// TestPins: a node pinned to baseline never gets the change while the pin stands, one pinned to candidate gets it before its
// turn; both are in neither cohort; the first ends with every gate open.
func TestPins(t *testing.T) {
	l := newLab(t, 12).lead()
	end := l.now.Add(3 * time.Hour)
	l.asks(tree.PinKey("n04"), gate.Pin{To: segments.ToBaseline, Until: end, By: "anna", Comment: "old disk"})
	l.asks(tree.PinKey("n07"), gate.Pin{To: segments.ToCandidate, Until: end, By: "anna", Comment: "try it"})
	l.tick()
	l.on("production_1", l.nodes...)
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.tick()
	l.on("production_2", "n00", "n07")
	l.on("production_1", "n04", "n02", "n03")
	l.breaks = func(node, _ string) string {
		if node == "n07" {
			return "n07 has been broken by hand"
		}
		return ""
	}
	l.until("ntp", gate.Settling)
	for range 2 {
		l.tick()
	}
	l.on("production_1", "n04")
	if why := l.closed("ntp"); !strings.Contains(why, "pin/n04 keeps one node (n04)") || !l.now.Before(end) {
		t.Errorf("at %s, closed gates: %s", l.now, why)
	}
	l.breaks = func(string, string) string { return "" }
	l.set(tree.FreezeKey, "true")
	for l.now.Before(end.Add(time.Hour)) {
		l.tick()
	}
	l.on("production_1", "n04") // the end of a pin is no end of a freeze
	l.set(tree.FreezeKey, "false")
	l.until("ntp", gate.Completed)
	l.tick()
	l.on("production_2", l.nodes...)
	if n := len(l.snapshot().Document.Pins); n != 0 {
		t.Errorf("%d pins are left in the document", n)
	}
}

// TestUnreadableAsks: a pin or veto that cannot be read holds everything, by name.
func TestUnreadableAsks(t *testing.T) {
	for key, value := range map[string]string{
		"pins/n04": `{"to":"elsewhere"}`, "pins/n05": "baseline", "vetoes/x": `{"rollout":"ntp"}`, "vetoes/y": "{", "vetoes/z": `{"rollout":"ntp","selector":"fra1"}`,
	} {
		t.Run(key, func(t *testing.T) {
			l := newLab(t, 4).lead()
			l.set(key, value)
			l.start("ntp", "production_2")
			for range 3 {
				l.tick()
			}
			if why := l.closed("ntp"); !strings.Contains(why, key+" cannot be read") || len(l.state("ntp").Stages) != 0 {
				t.Errorf("closed: %s", why)
			}
			l.must(l.kv.Txn(l.Context(), store.Delete(key)))
			l.until("ntp", gate.Running)
		})
	}
}

// TestVetoOfAnEnvironment: it is taken back where it runs, and does not start.
func TestVetoOfAnEnvironment(t *testing.T) {
	l := newLab(t, 4).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.asks(tree.VetoKey("bad"), gate.Veto{Environment: "production_2", By: "anna", Comment: "CVE"})
	l.tick()
	if st := l.state("ntp"); st.Phase != gate.BackedOut || !strings.Contains(st.Reason, "veto bad of anna: CVE") {
		t.Errorf("%s: %s", st.Phase, st.Reason)
	}
	l.start("again", "production_2")
	l.tick()
	if r := l.snapshot().Requests["again"]; !strings.Contains(r.Refused, "production_2 is vetoed by anna (CVE)") {
		t.Errorf("%+v", r)
	}
}

// TestGivingBackWaitsForTheConfirmation: while a store looks restored no document may be written, so that no cap begins or ends; what a person
// asks meanwhile is not lost.
func TestGivingBackWaitsForTheConfirmation(t *testing.T) {
	l := newLab(t, 12).lead()
	cut := l.inFra1("")
	l.start("ntp", "production_2")
	l.untilStage("ntp", 2)
	l.asks(tree.VetoKey("fra1"), gate.Veto{Rollout: "ntp", Selector: `{facts.datacenter="fra1"}`, By: "anna", Comment: "switches"})
	l.look()
	old := l.backup()
	l.asks(tree.HoldKey("one"), gate.Hold{Selector: `{certname="n03"}`, By: "anna", Comment: "disk", Until: l.now.Add(time.Hour)})
	l.tick()
	l.tick()
	l.restore(old)
	l.asks(tree.HoldKey("two"), gate.Hold{Selector: `{certname="n05"}`, By: "anna", Comment: "disk"})
	l.remove(tree.VetoKey("fra1"))
	l.request("unveto-ntp", tree.Request{Kind: tree.RequestUnveto, Rollout: "ntp", Veto: "fra1"})
	l.set("flags/ntp/delay", "1h") // the state says that it was seen
	l.tick()
	l.tick()
	if s := l.state("ntp"); len(s.Caps) != 1 || !s.Caps[0].Standing() || s.DelaySeen == nil {
		t.Errorf("caps %+v, delay %v; closed %s", s.Caps, s.DelaySeen, l.closed("ntp"))
	}
	l.remove(tree.HoldKey("two"))
	l.set("flags/ntp/delay", "false")
	l.confirm()
	l.until("ntp", gate.Completed)
	l.tick()
	l.on("production_2", cut...)
}
