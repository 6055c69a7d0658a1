package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
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

// TestUnbakedByALeaderWhoseClockIsBehind: its nodes have yet to show the change, though their stage seems to have begun before the one
// that was left by an order.
func TestUnbakedByALeaderWhoseClockIsBehind(t *testing.T) {
	at := func(hour int) time.Time { return t0.Add(time.Duration(hour) * time.Hour) }
	r := &gate.Rollout{Spec: gate.Spec{Schedule: schedule.Schedule{Stages: make([]schedule.Stage, 3)}},
		State: gate.State{Stages: []gate.StageState{{Since: at(0), Verdict: "d"}, {Since: at(3)}, {Since: at(2)}}}}
	r.Spec.Schedule.Stages[2].Bake.Runs = 2
	r.Verdict.Checks = []analyzer.Check{{Name: "compile", Result: analyzer.Pass}}
	c := &course{roster: &roster{}, sums: make([]analyzer.Summary, 4)}
	for i, hour := range []int{-1, 0, 3, 2} {
		n := analyzer.Node{Stage: int32(i) - 1}
		if hour >= 0 {
			n.AdmittedAt = analyzer.MomentOf(at(hour))
		}
		c.nodes, c.roster.nodes = append(c.nodes, n), append(c.roster.nodes, &node{certname: fmt.Sprint("n", i)})
	}
	var who []string
	for _, n := range unbaked(r, c, at(4)) {
		who = append(who, n.certname)
	}
	if got := strings.Join(who, " "); got != "n2 n3" {
		t.Errorf("%s have yet to show the change", got)
	}
}
