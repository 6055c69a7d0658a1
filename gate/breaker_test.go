package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// Every test here is a way in which a fresh reader once made a rollout go on, or stand still, when it should not.

func TestHoldKeepsTheHoldback(t *testing.T) {
	s := newSite(t, 40)
	fifth := schedule.Percent(schedule.Hundred / 5)
	s.w.Rollouts[0].Spec.Schedule.Holdback = &fifth
	for st := s.state("ntp"); st.Current() < 2 || st.Stages[2].Full.IsZero(); st = s.state("ntp") {
		s.look()
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	before := len(s.admitted("ntp"))
	s.w.Rollouts[0].Held = []Hold{{ID: "h1", Selector: `{certname=~".*"}`, By: "anna", Comment: "no"}}
	s.run(time.Hour)
	if n, phase := len(s.admitted("ntp")), s.state("ntp").Phase; n != before || phase != Running {
		t.Errorf("a hold on everything: from %d to %d nodes, %s", before, n, phase)
	}
	s.w.Rollouts[0].Held = nil
	if s.run(time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("after it: %s", s.state("ntp").Phase)
	}
}

func TestDelayAndDenialOutliveTheirFlags(t *testing.T) {
	for flag, c := range map[string]struct{ stop, release string }{
		"ntp/delay":          {"2026-12-24T00:00:00Z by=anna: audit", "false"},
		"ntp/approve/canary": {"false by=anna: no", "true"},
	} {
		s := newSite(t, 16)
		s.tree[flag] = c.stop
		s.run(20 * time.Minute)
		delete(s.tree, flag) // or Consul lost it
		if s.run(20 * time.Minute); len(s.admitted("ntp")) != 0 {
			t.Errorf("%s was deleted, and %d nodes went on", flag, len(s.admitted("ntp")))
		}
		s.tree[flag] = c.release
		if s.run(5 * time.Minute); len(s.admitted("ntp")) != 1 {
			t.Errorf("%s = %s did not release", flag, c.release)
		}
	}
	s := newSite(t, 16)
	s.tree["ntp/approve/canary"] = "flase by=anna: no"
	if s.run(5 * time.Minute); len(s.admitted("ntp")) != 0 {
		t.Error("a mistyped denial was read as none")
	}
}

func TestApprovalFromBeforeDoesNotAnswerTheDeadline(t *testing.T) {
	s := newSite(t, 16)
	s.w.Rollouts[0].Spec.Schedule.Stages[0].Approval = true
	s.tree["ntp/approve/canary"] = "true by=anna: go"
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		v.Result, v.Grade = analyzer.Inconclusive, ""
		return v
	}
	s.run(25 * time.Hour)
	s.verdict = s.healthy
	if s.run(10 * time.Minute); len(s.state("ntp").Stages) != 1 {
		t.Fatal("the approval to enter answered the deadline")
	}
	s.tree["ntp/approve/canary"] = "true by=ben: it may go on"
	if s.run(10 * time.Minute); len(s.state("ntp").Stages) != 2 {
		t.Error("an approval after the deadline did not release")
	}
}

func TestStageThatAddsNobodyIsSkipped(t *testing.T) {
	s := newSite(t, 16)
	stages := s.w.Rollouts[0].Spec.Schedule.Stages
	again := stages[0]
	again.Name = "canary-again"
	s.w.Rollouts[0].Spec.Schedule.Stages = append([]schedule.Stage{stages[0], again}, stages[1:]...)
	s.run(3 * time.Hour)
	if st := s.state("ntp"); st.Phase != Completed || !st.Stages[1].Skipped {
		t.Errorf("%s in stage %d", st.Phase, st.Current())
	}
}

func TestHoldbackThatEatsTheCanarySaysSo(t *testing.T) {
	s := newSite(t, 40)
	half := schedule.Percent(schedule.Hundred / 2)
	s.w.Rollouts[0].Spec.Schedule.Holdback = &half
	for _, n := range s.nodes {
		if s.canary = []string{n}; segments.Position("ntp", n) > "9" {
			break
		}
	}
	s.look()
	s.w.Now = s.w.Now.Add(time.Minute)
	d := s.look()
	if st := s.state("ntp"); st.Phase != Waiting || !strings.Contains(closedGates(d, "ntp"), "segment") {
		t.Errorf("%s, closed %q", st.Phase, closedGates(d, "ntp"))
	}
}

func TestExplainedFailureDoesNotStopTheRamp(t *testing.T) {
	s := newSite(t, 200)
	s.w.Rollouts[0].Spec.Schedule.Stages[1].Ramp.InFlight = schedule.Amount{Nodes: 10}
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		v.Counts.Failed = min(1, v.Counts.Admitted) // it failed in the same way before: the checks pass
		return v
	}
	if s.run(12 * time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("%s with %d admitted", s.state("ntp").Phase, len(s.admitted("ntp")))
	}
	v := s.healthy(&s.w.Rollouts[0])
	v.Checks = nil
	if unresolved(&v) == "" {
		t.Error("a judge that said nothing left no question open")
	}
}

func TestEdgeThatRefusesIsNotInOrder(t *testing.T) {
	for _, why := range []string{"generation 305 has another content", "cannot install: no space left on device"} {
		s := newSite(t, 16)
		s.run(3 * time.Minute)
		s.edge(func(e *Edge) { e.Refused = why })
		if s.run(time.Hour); len(s.admitted("ntp")) != 1 {
			t.Errorf("%q: %d nodes", why, len(s.admitted("ntp")))
		}
		if d := s.look(); !strings.Contains(closedGates(d, "ntp"), "edges") {
			t.Errorf("%q: closed %q", why, closedGates(d, "ntp"))
		}
	}
}

// TestManyStepsSlowDown: after mostSteps steps a ramp goes on slowly and says so; it comes to its end all the same.
func TestManyStepsSlowDown(t *testing.T) {
	s := newSite(t, 120)
	stages := s.w.Rollouts[0].Spec.Schedule.Stages[len(s.w.Rollouts[0].Spec.Schedule.Stages)-1:]
	stages[0].Ramp.InFlight = schedule.Amount{Nodes: 10}
	s.w.Rollouts[0].Spec.Schedule.Stages = stages
	s.verdict = func(r *Rollout) analyzer.Verdict { // every node runs at once
		v := s.healthy(r)
		v.Counts.Exposed = v.Counts.Live
		return v
	}
	for len(s.state("ntp").Admissions) == 0 {
		s.look()
		s.w.Now = s.w.Now.Add(10 * time.Second)
	}
	st := s.state("ntp")
	first := st.Admissions[0]
	for i := range mostSteps - 1 { // as if it had crept up to where it stands
		first.At = first.At.Add(time.Duration(i%2) * time.Nanosecond)
		st.Admissions = append(st.Admissions, first)
	}
	s.w.Rollouts[0].State = st
	var steps []time.Time
	closed := 0
	for range 360 {
		s.w.Now = s.w.Now.Add(time.Minute)
		was := len(s.state("ntp").Admissions)
		d := s.look()
		switch grown := len(s.state("ntp").Admissions) > was; {
		case grown:
			steps = append(steps, s.w.Now)
		case slices.ContainsFunc(d.Gates["ntp"], func(g Gate) bool {
			return !g.Open && strings.Contains(g.Reason, "one every 10 minutes") && g.Next.After(s.w.Now)
		}):
			closed++
		}
		if !s.state("ntp").Stages[0].Full.IsZero() {
			break
		}
	}
	for i := 1; i < len(steps); i++ {
		if gap := steps[i].Sub(steps[i-1]); gap < slowStep {
			t.Errorf("step %d came %s after the one before", i, gap)
		}
	}
	if full := s.state("ntp").Stages[0].Full; full.IsZero() || len(steps) < 5 || closed < 40 {
		t.Errorf("full at %s after %d steps, the gate was closed for that in %d looks", full, len(steps), closed)
	}
}

// A look changes a bounded number of rollouts, back-outs first; the rest follows.
func TestBackOutsComeFirst(t *testing.T) {
	s := newSite(t, 16)
	s.w.Rollouts, s.beside = nil, true
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		s.start(name, "")
		r := &s.w.Rollouts[len(s.w.Rollouts)-1]
		r.Spec.Candidate, r.Spec.Parameters = "", map[string]any{name: true}
	}
	s.look()
	s.w.Now = s.w.Now.Add(time.Minute)
	s.tree["g/backout"] = "true"
	d := s.look()
	if len(d.States) > mostChanges || d.States["g"].Phase != BackedOut {
		t.Errorf("%d changes, g is %s", len(d.States), d.States["g"].Phase)
	}
	for range 8 {
		s.look()
	}
	for _, r := range s.w.Rollouts[:6] {
		if r.State.Phase != Running {
			t.Errorf("%s is %s", r.Spec.Name, r.State.Phase)
		}
	}
}

// TestHoldWithoutEnd: a hold that was written by hand without an end stands, and its gate says how to end it.
func TestHoldWithoutEnd(t *testing.T) {
	for name, until := range map[string]time.Time{"endless": {}, "later": t0.AddDate(1, 0, 0)} {
		s := &stepper{w: &World{Now: t0}, r: &Rollout{Held: []Hold{{ID: "h1", Selector: "{}", By: "anna", Until: until}}}}
		g := s.holdGate()
		if said := strings.Contains(g.Reason, "it has no end: sluice hold expire h1"); g.Open || said != until.IsZero() || !g.Next.Equal(until) {
			t.Errorf("%s: %+v", name, g)
		}
	}
}
