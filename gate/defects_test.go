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

// The defects of other systems that docs/defects.md lists, where no test beside them says it already.

// closedGates names the gates that keep a rollout.
func (s *site) closedGates(name string) string {
	var out []string
	for _, g := range Decide(s.w).Gates[name] {
		if !g.Open {
			out = append(out, g.Name+": "+g.Reason)
		}
	}
	return strings.Join(out, "; ")
}

// D1: a stage of nobody neither begins nor counts as passed.
func TestEmptyStageNeverPasses(t *testing.T) {
	s := newSite(t, 16)
	s.canary = nil
	s.run(48 * time.Hour)
	if st := s.state("ntp"); st.Phase != Waiting || len(st.Admissions) > 0 || !strings.Contains(s.closedGates("ntp"), "segment: canary of stage canary holds no node") {
		t.Errorf("%s, %d admissions, %s", st.Phase, len(st.Admissions), s.closedGates("ntp"))
	}
	s = newSite(t, 16)
	s.fra1 = nil // the second one
	s.run(48 * time.Hour)
	if st := s.state("ntp"); st.Phase != Running || len(st.Stages) != 1 || !strings.Contains(s.closedGates("ntp"), "holds no node") {
		t.Errorf("%s, %d stages, %s", st.Phase, len(st.Stages), s.closedGates("ntp"))
	}
}

// D4: a judge that has no data at all keeps every stage, for as long as it has none.
func TestNoDataNeverPasses(t *testing.T) {
	s := newSite(t, 16)
	s.run(3 * time.Minute)
	s.verdict = func(*Rollout) analyzer.Verdict { return analyzer.Verdict{} }
	s.run(20 * time.Hour)
	if st := s.state("ntp"); st.Phase != Running || len(st.Stages) != 1 || !strings.Contains(s.closedGates("ntp"), "verdict: inconclusive") {
		t.Errorf("%s, %d stages, %s", st.Phase, len(st.Stages), s.closedGates("ntp"))
	}
}

// D5: what was ended under way is backed out, and no stage of it is recorded as passed that had not passed before.
func TestEndedAnalysisIsNoPass(t *testing.T) {
	s := newSite(t, 16)
	s.run(13 * time.Minute)
	before := s.state("ntp")
	if s.tree["ntp/backout"] = "true"; len(before.Stages) != 2 {
		t.Fatalf("%d stages", len(before.Stages))
	}
	s.run(time.Hour)
	st := s.state("ntp")
	if last := st.Stages[len(st.Stages)-1]; st.Phase != BackedOut || len(st.Stages) != 2 || !last.Passed.IsZero() || last.Verdict != "" {
		t.Errorf("%s, %+v", st.Phase, st.Stages)
	}
}

// D7: the judge keeps its say while the rollout waits for a person, and while it is paused.
func TestFailureUnderAnApprovalIsTakenBack(t *testing.T) {
	for _, wait := range []string{"approval", "pause"} {
		s := newSite(t, 16)
		if wait == "approval" {
			s.w.Rollouts[0].Spec.Schedule.Stages[1].Approval = true
		}
		s.run(5 * time.Minute)
		if wait == "pause" {
			s.tree["ntp/pause"] = "true"
		}
		s.run(time.Hour)
		if why := s.closedGates("ntp"); !strings.Contains(why, wait+":") {
			t.Fatalf("it does not wait for %s: %s", wait, why)
		}
		s.verdict = func(r *Rollout) analyzer.Verdict {
			v := s.healthy(r)
			v.Result, v.Reason = analyzer.Fail, "Service[ntp] fails"
			return v
		}
		if s.look(); s.state("ntp").Phase != BackedOut {
			t.Errorf("while it waits for %s: %s", wait, s.state("ntp").Phase)
		}
	}
}

// D11: whatever way the one before has ended, the next one begins.
func TestNextBeginsAfterEveryEnd(t *testing.T) {
	for _, end := range []Phase{Completed, BackedOut, Superseded} {
		s := newSite(t, 16)
		switch end {
		case BackedOut:
			s.run(5 * time.Minute)
			s.tree["ntp/backout"] = "true"
		case Superseded:
			s.w.Rollouts[0].Spec.Schedule.Supersede = schedule.SupersedeTrain
			s.start("mid", "production_m")
			s.w.Rollouts[1].Spec.Schedule.Supersede = schedule.SupersedeTrain
		}
		s.run(12 * time.Hour)
		if got := s.state("ntp").Phase; got != end {
			t.Fatalf("it ended as %s, expected %s", got, end)
		}
		s.start("next", "production_n")
		if s.run(12 * time.Hour); s.state("next").Phase != Completed {
			t.Errorf("after %s: %s, %s", end, s.state("next").Phase, s.closedGates("next"))
		}
	}
}

// D15: a stage bakes from when all of its own nodes were admitted, whatever the stages before it have waited.
func TestBakeIsOfTheStageItself(t *testing.T) {
	s := newSite(t, 16)
	s.w.Rollouts[0].Spec.Schedule.Stages[1].Ramp.InFlight = schedule.Amount{Nodes: 2}
	s.run(6 * time.Hour)
	st := s.state("ntp")
	for i := range st.Stages {
		stage := &st.Stages[i]
		bake := time.Duration(s.w.Rollouts[0].Spec.Schedule.Stages[i].Bake.Time)
		if stage.Full.Before(stage.Since) || stage.Passed.Before(stage.Full.Add(bake)) {
			t.Errorf("stage %s: began %s, full %s, passed %s, bakes for %s", stage.Name, stage.Since, stage.Full, stage.Passed, bake)
		}
	}
	if ramped := st.Stages[1]; !ramped.Full.After(ramped.Since) {
		t.Errorf("stage %s was full at once: the test looks at nothing", ramped.Name)
	}
}

// D16, D17: who is in which share depends on the rollout's name and the node's, and on nothing else: a late joiner and a
// rebuilt node have the place that they would have had.
func TestPlaceInTheOrderIsTheNodesOwn(t *testing.T) {
	s := newSite(t, 200)
	place := map[string]string{}
	for _, n := range s.nodes {
		place[n] = segments.Position("ntp", n)
	}
	all, _ := s.members("everyone")
	stage := schedule.Stage{Name: "quarter", Percent: schedule.Hundred / 4}
	r := &s.w.Rollouts[0]
	whole := Target(r.Spec.Schedule, stage, sorted(place, all), 200)
	part := Target(r.Spec.Schedule, stage, sorted(place, all[:150]), 150) // fifty are not there yet
	if whole != part {
		t.Fatalf("a quarter ends at %s with all nodes and at %s without fifty", whole, part)
	}
	in := 0
	for _, n := range all {
		if whole.Admits(place[n]) {
			in++
		}
	}
	if in < 30 || in > 70 {
		t.Errorf("%d of 200 in a quarter", in)
	}
}

func sorted(place map[string]string, names []string) []segments.Point {
	out := make([]segments.Point, 0, len(names))
	for _, n := range names {
		out = append(out, pointOf(place[n]))
	}
	slices.Sort(out)
	return out
}
