package daemon

import (
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// TestOrdersReachTheState: the leader takes an order up once, with the person's name in the audit, or refuses it with the reason.
func TestOrdersReachTheState(t *testing.T) {
	l := newLab(t, 12).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.request("promote-ntp", tree.Request{Kind: tree.RequestPromote, Rollout: "ntp", Stage: "fra1"})
	l.request("skip-ntp", tree.Request{Kind: tree.RequestSkip, Rollout: "ntp", Stage: "fra1", Reason: "network"})
	l.look()
	snap := l.snapshot()
	if r := snap.Requests["promote-ntp"]; !strings.Contains(r.Refused, "its stage is canary by now") {
		t.Errorf("%+v", r)
	}
	if _, left := snap.Requests["skip-ntp"]; left || l.state("ntp").Skips["fra1"] != "alice" {
		t.Errorf("%+v", l.state("ntp").Skips)
	}
	l.request("promote-ntp", tree.Request{Kind: tree.RequestPromote, Rollout: "ntp", Stage: "canary", Reason: "incident"})
	l.look()
	if st := l.state("ntp"); len(st.Stages) < 2 || !st.Stages[1].Skipped {
		t.Fatalf("%+v; closed %s", st.Stages, l.closed("ntp"))
	}
	l.until("ntp", gate.Completed)
	if got := l.kinds("ntp"); strings.Count(got, "promoted") != 1 || strings.Count(got, "skip_ordered") != 1 {
		t.Errorf("audit: %s", got)
	}
	for _, e := range l.chain() {
		if e.Kind == "promoted" && (e.By != "alice" || !strings.Contains(e.Text, "incident")) {
			t.Errorf("%+v", e)
		}
	}
}
