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

// TestDepartedNodesHold: nodes that leave the inventory leave every count, so beyond a limit nothing goes on without them.
func TestDepartedNodesHold(t *testing.T) {
	for name, c := range map[string]struct {
		stage, gone int
		inFlight    int
		gate, want  string
	}{
		"one always may":                         {1, 1, 100, "", ""},
		"a tenth may":                            {1, 2, 100, "", ""},
		"more may not":                           {1, 3, 100, "coverage", "3 of the 20 nodes that it had when it last admitted some have left PuppetDB's inventory, at most 2 may"},
		"those that have the change are counted": {2, 2, 4, "ramp", "nodes that it had when it last admitted some have left PuppetDB's inventory, at most"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 40)
			s.w.Rollouts[0].Spec.Schedule.Stages[c.stage].Ramp.InFlight = schedule.Amount{Nodes: c.inFlight}
			if c.stage == 2 {
				s.w.Rollouts[0].Spec.Schedule.Stages[1].Segment = "canary" // adds nobody
			}
			for range 600 {
				if st := s.state("ntp"); st.Current() == c.stage && len(s.admitted("ntp")) > c.gone {
					break
				}
				s.run(time.Minute)
			}
			all, fra1 := s.nodes, s.fra1
			lost := s.admitted("ntp")[1:][:c.gone]
			left := func(n string) bool { return slices.Contains(lost, n) }
			s.nodes, s.fra1 = slices.DeleteFunc(slices.Clone(all), left), slices.DeleteFunc(slices.Clone(fra1), left)
			had := len(s.admitted("ntp"))
			s.run(2 * time.Hour)
			if c.gate == "" {
				if st := s.state("ntp"); st.Current() == c.stage && st.Phase == Running {
					t.Errorf("still in stage %d: %+v", c.stage, s.look().Gates["ntp"])
				}
				return
			}
			if st := s.state("ntp"); st.Current() != c.stage || len(s.admitted("ntp")) > had {
				t.Fatalf("stage %d, %d admitted, %d before", st.Current(), len(s.admitted("ntp")), had)
			}
			gates := s.look().Gates["ntp"]
			if i := slices.IndexFunc(gates, func(g Gate) bool { return g.Name == c.gate }); i < 0 || gates[i].Open || !strings.Contains(gates[i].Reason, c.want) {
				t.Errorf("%+v", gates)
			}
			s.nodes, s.fra1 = all, fra1
			s.run(24 * time.Hour)
			if p := s.state("ntp").Phase; p != Completed {
				t.Errorf("with all nodes back it is %s", p)
			}
		})
	}
}

// settling is a site of 40 nodes whose rollout has come to its last phase but completion.
func settling(t *testing.T) *site {
	s := newSite(t, 40)
	for s.state("ntp").Phase != Settling {
		s.look()
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	return s
}

// openQuestion is a verdict on nodes that have all run the change, and is none.
func (s *site) openQuestion(r *Rollout) analyzer.Verdict {
	v := s.healthy(r)
	v.Result, v.Grade, v.Reason = analyzer.Inconclusive, "", "an open question"
	return v
}

// TestDepartedNodesHoldWhileSettling: nobody becomes the baseline on the word of those that are left, until a person says so.
func TestDepartedNodesHoldWhileSettling(t *testing.T) {
	s := settling(t)
	s.verdict = func(r *Rollout) analyzer.Verdict { return analyzer.Verdict{Reason: "PuppetDB is slow"} }
	s.run(2 * time.Minute)
	s.nodes, s.fra1, s.verdict = s.nodes[5:], s.fra1[5:], s.healthy
	if s.run(time.Hour); s.state("ntp").Phase != Settling {
		t.Fatalf("it is %s", s.state("ntp").Phase)
	}
	i := slices.IndexFunc(s.look().Gates["ntp"], func(g Gate) bool {
		return g.Name == GateCoverage && !g.Open && strings.Contains(g.Reason, "5 of the 40 nodes that it had")
	})
	if i < 0 {
		t.Errorf("%+v", s.look().Gates["ntp"])
	}
	if s.order(Order{Promote: &Promotion{Stage: "everyone"}}); s.state("ntp").Phase != Completed || s.state("ntp").Promoted != nil {
		t.Errorf("%s, closed %s", s.state("ntp").Phase, closedGates(s.look(), "ntp"))
	}
}

// TestInconclusiveIsOverruledWhileSettling: a rollout that settles with a verdict that never clears completes by a person's order, given
// while nothing else holds it; an order that finds something else in the way is used up.
func TestInconclusiveIsOverruledWhileSettling(t *testing.T) {
	settled := func() *site {
		s := settling(t)
		s.verdict = s.openQuestion
		s.run(2 * time.Hour)
		return s
	}
	order := Order{Promote: &Promotion{Stage: "everyone", By: "alice", Reason: "looked at"}}
	s := settled()
	if why := closedGates(s.look(), "ntp"); s.state("ntp").Phase != Settling || !strings.Contains(why, "verdict") {
		t.Fatalf("it is %s, closed %s", s.state("ntp").Phase, why)
	}
	if s.order(order); s.state("ntp").Phase != Completed {
		t.Errorf("by an order it is %s, closed %s", s.state("ntp").Phase, closedGates(s.look(), "ntp"))
	}
	for name, change := range map[string]func(v *analyzer.Verdict){
		"not all have run it": func(v *analyzer.Verdict) { v.Counts.Exposed-- },
		"one is silent":       func(v *analyzer.Verdict) { v.Counts.Silent++ },
		"nothing is known":    func(v *analyzer.Verdict) { *v = analyzer.Verdict{} },
	} {
		s := settled()
		open := s.verdict
		s.verdict = func(r *Rollout) analyzer.Verdict {
			v := open(r)
			change(&v)
			return v
		}
		if s.order(order); s.state("ntp").Phase != Settling {
			t.Errorf("%s: by an order it is %s", name, s.state("ntp").Phase)
		}
		s.verdict = open
		if s.run(time.Hour); s.state("ntp").Phase != Settling || s.state("ntp").Promoted != nil {
			t.Errorf("%s: the order of before completed it: %s", name, s.state("ntp").Phase)
		}
	}
}

// TestWaitingOrderOverrulesNothing: an order that waited for the inventory counts the nodes, and overrules no verdict that came since.
func TestWaitingOrderOverrulesNothing(t *testing.T) {
	s := settling(t)
	st := s.state("ntp")
	st.Promoted = &Promotion{Stage: "everyone", By: "alice"}
	s.w.Rollouts[0].State = st
	s.verdict = s.openQuestion
	if s.look(); s.state("ntp").Phase != Settling || s.state("ntp").Promoted != nil {
		t.Errorf("it is %s, the order %+v", s.state("ntp").Phase, s.state("ntp").Promoted)
	}
}

// TestHeldNodesHideNoDeparture: a hold of nodes that are still there does not make up for others that are gone.
func TestHeldNodesHideNoDeparture(t *testing.T) {
	some := func(from, to int) (out []segments.Point) {
		for i := from; i < to; i++ {
			out = append(out, segments.Point(i))
		}
		return out
	}
	of := func(p Population) string {
		r := Rollout{Spec: Spec{Policy: analyzer.DefaultPolicy()}, Current: p}
		s := stepper{r: &r}
		s.state.Stages = []StageState{{Count: 40, Admitted: 10, Threshold: segments.Threshold(segments.Point(10).String())}}
		return s.departed()
	}
	for name, c := range map[string]struct {
		p    Population
		want string
	}{
		"all there":                 {Population{Positions: some(0, 40)}, ""},
		"held, all there":           {Population{Positions: append(some(0, 5), some(10, 30)...), Kept: append(some(5, 10), some(30, 40)...)}, ""},
		"admitted ones gone":        {Population{Positions: some(3, 40)}, "3 of the 10 nodes that it had"},
		"others held beside":        {Population{Positions: some(3, 30), Kept: some(30, 40)}, "3 of the 10 nodes that it had"},
		"of the segment":            {Population{Positions: some(0, 34)}, "6 of the 40 nodes that its segment had"},
		"it is not known who is in": {Population{Err: "the inventory has not been read yet"}, "the inventory has not been read yet"},
	} {
		if got := of(c.p); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestLastStageLeftTakesThoseThereForAll: who orders the last stage to be left although nodes have left the inventory need not order it again
// while the rollout settles.
func TestLastStageLeftTakesThoseThereForAll(t *testing.T) {
	s := newSite(t, 40)
	for len(s.state("ntp").Stages) < 3 || s.state("ntp").Stages[2].Full.IsZero() {
		s.run(time.Minute)
	}
	s.nodes, s.fra1 = s.nodes[8:], s.fra1[8:]
	if s.run(2 * time.Hour); s.state("ntp").Phase != Running || !strings.Contains(closedGates(s.look(), "ntp"), "coverage") {
		t.Fatalf("%s, closed %s", s.state("ntp").Phase, closedGates(s.look(), "ntp"))
	}
	s.order(Order{Promote: &Promotion{Stage: "everyone"}})
	if s.run(time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("%s, closed %s", s.state("ntp").Phase, closedGates(s.look(), "ntp"))
	}
}

// TestOrderToSettleWaitsForTheInventory: while nobody knows who is there, those who are there cannot be taken for all; the order stands.
func TestOrderToSettleWaitsForTheInventory(t *testing.T) {
	s := newSite(t, 40)
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		if r.State.Phase == Settling {
			v.Result = analyzer.Inconclusive
		}
		return v
	}
	for s.state("ntp").Phase != Settling {
		s.run(time.Minute)
	}
	s.order(Order{Promote: &Promotion{Stage: "everyone"}})
	s.w.Rollouts[0].State.Promoted = &Promotion{Stage: "everyone"}
	s.w.Rollouts[0].Current = Population{Err: "the inventory has not been read yet"}
	d := Decide(s.w)
	st, ok := d.States["ntp"]
	if !ok {
		st = s.state("ntp")
	}
	if st.Promoted == nil || st.Stages[2].Count != 40 || st.Stages[2].Admitted != 40 {
		t.Errorf("%+v, order %+v", st.Stages[2], st.Promoted)
	}
}

// TestGoneIsNotKept: where the only node that had the change has left the inventory the judge has nobody to ask either. A hold on others
// must not let more of them in.
func TestGoneIsNotKept(t *testing.T) {
	s := newSite(t, 24)
	s.canary = s.nodes[:6]
	s.w.Rollouts[0].Spec.Schedule.Stages[0].Ramp.InFlight.Nodes = 1
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		if v.Counts.Admitted == 0 {
			v.Result, v.Checks = analyzer.Inconclusive, []analyzer.Check{{Name: "compile", Reason: "no exposed node yet"}, {Name: "new_failures", Reason: "no exposed node yet"}}
		}
		return v
	}
	s.kept["hold/db"] = s.nodes[20:]
	for range 9 {
		if len(s.admitted("ntp")) == 0 {
			s.look()
		}
	}
	had := s.admitted("ntp")
	if len(had) != 1 {
		t.Fatalf("%v have it", had)
	}
	gone := func(n string) bool { return n == had[0] }
	s.nodes, s.canary = slices.DeleteFunc(slices.Clone(s.nodes), gone), slices.DeleteFunc(slices.Clone(s.canary), gone)
	if s.run(2 * time.Hour); len(s.admitted("ntp")) > 0 {
		t.Errorf("%v have it, and nobody saw what it did on %s", s.admitted("ntp"), had[0])
	}
	ramp := slices.IndexFunc(s.look().Gates["ntp"], func(g Gate) bool {
		return g.Name == GateRamp && strings.Contains(g.Reason, "1 of the nodes that it had when it last admitted some have left")
	})
	if ramp < 0 {
		t.Errorf("%+v", s.look().Gates["ntp"])
	}
	s.order(Order{Promote: &Promotion{Stage: "canary"}})
	if s.run(12 * time.Hour); len(s.admitted("ntp")) == 0 {
		t.Errorf("nobody has it although a person said so; closed %s", closedGates(s.look(), "ntp"))
	}
}
