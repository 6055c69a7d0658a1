package daemon

import (
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/tree"
)

func (l *lab) startFlag(name string) {
	l.Helper()
	l.request(name, tree.Request{Kind: tree.RequestStart, Rollout: name,
		Start: &tree.Start{Track: "production", Parameters: map[string]any{name: true}, Schedule: "three", Policy: "default"}})
}

// TestTwoChangesOnOneNode: a flag beside an environment: the one waits until the other is past its bake on the nodes that come next,
// and says so; both are everybody's in the end.
func TestTwoChangesOnOneNode(t *testing.T) {
	l := newLab(t, 8).lead()
	said := map[string]bool{}
	l.after = func() {
		for _, name := range []string{"ntp", "sshd"} {
			for why := range strings.SplitSeq(l.closed(name), "; ") {
				if strings.HasPrefix(why, "unproven:") && strings.Contains(why, "not past its bake") {
					said[name] = true
				}
			}
		}
	}
	l.start("ntp", "production_2")
	l.startFlag("sshd")
	l.until("ntp", gate.Running)
	for range 144 {
		if l.state("ntp").Phase == gate.Completed && l.state("sshd").Phase == gate.Completed {
			break
		}
		l.tick()
	}
	if a, b := l.state("ntp").Phase, l.state("sshd").Phase; a != gate.Completed || b != gate.Completed {
		t.Fatalf("ntp %s (%s), sshd %s (%s)", a, l.closed("ntp"), b, l.closed("sshd"))
	}
	if len(said) == 0 {
		t.Error("neither ever waited for the other")
	}
	if doc := l.snapshot().Document.Tracks[0]; doc.Baseline != "production_2" || doc.Parameters["sshd"] != true {
		t.Errorf("%+v", doc)
	}
}

// TestBlastLimit: no more than two nodes of a datacenter have an unproven change, however the stages are cut.
func TestBlastLimit(t *testing.T) {
	l := newLab(t, 12)
	l.extra = "blast: {by: facts.datacenter, domain_limit: 2}\n"
	l.lead()
	l.start("ntp", "production_2")
	most, said := 0, ""
	had := map[string]bool{}
	for range 144 {
		if l.state("ntp").Phase == gate.Completed {
			break
		}
		l.tick()
		fresh := map[int]int{}
		for i, n := range l.nodes {
			if l.gets[n] == "production_2" && !had[n] {
				had[n] = true
				fresh[i%2]++
			}
		}
		most = max(most, fresh[0], fresh[1])
		if why := l.closed("ntp"); strings.Contains(why, "blast: ") {
			said = why
		}
	}
	if l.state("ntp").Phase != gate.Completed || most > 2 || !strings.Contains(said, `2 nodes of facts.datacenter="`) || !strings.Contains(said, "(2 of ntp), at most 2 of 6 may") {
		t.Errorf("%s, %d at once, closed %q", l.state("ntp").Phase, most, said)
	}
}

// TestHoldbackIsReleasedWithinTheLimit: nodes that are held back come in steps of the site's limit, and the rollout comes to its end.
func TestHoldbackIsReleasedWithinTheLimit(t *testing.T) {
	l := newLab(t, 22)
	l.extra = "blast: {limit: 3}\n"
	l.lead()
	held := 40 * schedule.Hundred / 100
	s := l.l.site.cfg.Schedules["train"]
	s.Holdback = &held
	l.l.site.cfg.Schedules["train"] = s
	l.startBy("train", "ntp", "production_2")
	most, before, steps := 0, 0, 0
	for range 144 {
		if l.state("ntp").Phase == gate.Completed {
			break
		}
		l.tick()
		n := 0
		for _, node := range l.nodes {
			if l.answer(node) == "production_2" {
				n++
			}
		}
		if l.state("ntp").Phase == gate.Settling && n > before {
			steps++
		}
		most, before = max(most, n-before), n
	}
	if l.state("ntp").Phase != gate.Completed || most > 3 || steps < 2 {
		t.Errorf("%s; %d nodes in one step at most, %d steps for the holdback; closed gates: %s", l.state("ntp").Phase, most, steps, l.closed("ntp"))
	}
}
