package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

func (s *site) order(o Order) Decision {
	s.w.Rollouts[0].Orders = []Order{o}
	d := s.look()
	s.w.Rollouts[0].Orders = nil
	return d
}

// TestPromote: an order leaves one stage that has shown nothing, once; it passes neither a freeze nor a hold nor a verdict that fails,
// and the next stage has to show all that it would have to show.
func TestPromote(t *testing.T) {
	stuck := func(r *Rollout) analyzer.Verdict { return analyzer.Verdict{Reason: "PuppetDB is gone"} }
	promote := Order{Promote: &Promotion{Stage: "canary", By: "anna", Reason: "sshd is open to the world"}, By: "anna", Reason: "sshd is open to the world"}
	s := newSite(t, 16)
	s.run(2 * time.Minute)
	s.verdict, s.w.Sources.Reasons = stuck, []string{"PuppetDB is gone"}
	s.tree["freeze"] = "true"
	d := s.order(promote)
	if got := closedGates(d, "ntp"); got != "freeze" || len(s.admitted("ntp")) != 1 {
		t.Fatalf("closed %q, %d admitted", got, len(s.admitted("ntp")))
	}
	s.tree["freeze"] = "false"
	s.run(2 * time.Minute)
	if n := len(s.admitted("ntp")); n != 8 {
		t.Fatalf("%d admitted after the order", n)
	}
	if s.run(5 * time.Hour); len(s.admitted("ntp")) != 8 || s.state("ntp").Promoted != nil {
		t.Errorf("%d admitted: the order was for one stage", len(s.admitted("ntp")))
	}
	kinds := ""
	for _, e := range s.events {
		kinds += e.Kind + " "
	}
	if !strings.Contains(kinds, "promoted stage_ended stage_started") {
		t.Errorf("events %s", kinds)
	}

	s = newSite(t, 16)
	s.run(2 * time.Minute)
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		v.Result, v.Reason = analyzer.Fail, "bad"
		return v
	}
	if s.order(promote); s.state("ntp").Phase != BackedOut {
		t.Error("an order passed a verdict that fails")
	}
}

// TestPromoteInARamp: who of the stage is still to come is not let in at once.
func TestPromoteInARamp(t *testing.T) {
	s := newSite(t, 200)
	for i := range s.w.Rollouts[0].Spec.Schedule.Stages {
		s.w.Rollouts[0].Spec.Schedule.Stages[i].Ramp.InFlight.Nodes = 7
	}
	s.run(12 * time.Minute)
	before := len(s.admitted("ntp"))
	s.order(Order{Promote: &Promotion{Stage: "fra1"}})
	if n := len(s.admitted("ntp")); n > before+7 || len(s.state("ntp").Stages) != 3 {
		t.Errorf("from %d to %d, stage %d", before, n, len(s.state("ntp").Stages))
	}
}

// TestPromoteOfTheLastStageKeepsTheBlastLimit: leaving the last stage admits all that are left, an order to do so as well: as many
// at a time as the limit lets in, and the rest when those are past their bake. Without a limit it is all at once.
func TestPromoteOfTheLastStageKeepsTheBlastLimit(t *testing.T) {
	for _, limited := range []bool{true, false} {
		s := newSite(t, 200)
		stages := s.w.Rollouts[0].Spec.Schedule.Stages
		for i := range stages {
			stages[i].Ramp.InFlight.Nodes = 7
		}
		for len(s.state("ntp").Stages) < len(stages) {
			s.run(time.Minute)
		}
		if limited {
			s.w.Blast.Limit = &schedule.Amount{Nodes: 20}
		}
		s.verdict = func(r *Rollout) analyzer.Verdict { return analyzer.Verdict{Reason: "PuppetDB is gone"} }
		before := len(s.admitted("ntp"))
		s.order(Order{Promote: &Promotion{Stage: stages[len(stages)-1].Name}})
		got := len(s.admitted("ntp"))
		if limited && (got <= before || got > before+20) || !limited && got != 200 {
			t.Errorf("limited %t: from %d to %d", limited, before, got)
		}
		for range 300 {
			s.look()
			s.within(t)
			s.w.Now = s.w.Now.Add(time.Minute)
		}
		if got := len(s.admitted("ntp")); got != 200 || s.state("ntp").Phase != Settling {
			t.Errorf("limited %t: %d of 200 are admitted in the end, %s", limited, got, s.state("ntp").Phase)
		}
	}
}

// TestPromoteKnowsWhomItAdmits: while the inventory has not been read nobody knows whom holds keep, so the last stage is not left, by an
// order either.
func TestPromoteKnowsWhomItAdmits(t *testing.T) {
	s := newSite(t, 16)
	for len(s.state("ntp").Stages) < 3 {
		s.run(time.Minute)
	}
	s.look()
	w := s.w
	w.Rollouts = slices.Clone(w.Rollouts)
	r := &w.Rollouts[0]
	r.Current, r.Next, r.Caps, r.Verdict = Population{Err: "the inventory has not been read yet"}, Population{Err: "the inventory has not been read yet"}, nil, analyzer.Verdict{}
	r.Orders = []Order{{Promote: &Promotion{Stage: "everyone"}}}
	d := Decide(w)
	if got := closedGates(d, "ntp"); got != "segment" || d.States["ntp"].Phase != Running {
		t.Errorf("closed %q, %s", got, d.States["ntp"].Phase)
	}
}

// TestPromoteIntoAStageThatIsSkipped: nobody need be in a stage that admits nobody.
func TestPromoteIntoAStageThatIsSkipped(t *testing.T) {
	s := newSite(t, 16)
	s.run(2 * time.Minute)
	s.fra1 = nil
	s.order(Order{Skip: "fra1", By: "anna"})
	s.order(Order{Promote: &Promotion{Stage: "canary"}})
	if st := s.state("ntp"); len(st.Stages) != 2 || !st.Stages[1].Skipped || st.Promoted != nil {
		t.Errorf("%+v; closed %s", st.Stages, closedGates(s.look(), "ntp"))
	}
}

// TestSkip: a stage that is skipped admits nobody of its own, and the others still have to pass.
func TestSkip(t *testing.T) {
	s := newSite(t, 16)
	s.run(2 * time.Minute)
	s.order(Order{Skip: "fra1", By: "anna", Reason: "network"})
	sizes := []int{}
	for range 120 {
		s.look()
		if n := len(s.admitted("ntp")); len(sizes) == 0 || sizes[len(sizes)-1] != n {
			sizes = append(sizes, n)
		}
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	if want := []int{1, 16, 0}; !slices.Equal(sizes, want) || s.state("ntp").Phase != Completed {
		t.Errorf("admitted %v, want %v; %s", sizes, want, s.state("ntp").Phase)
	}
}

// TestSkipWaitsForHolds: a hold that cannot be read holds everything, and a stage that admits nobody as well.
func TestSkipWaitsForHolds(t *testing.T) {
	s := newSite(t, 16)
	s.run(2 * time.Minute)
	s.order(Order{Skip: "fra1", By: "anna"})
	s.w.Rollouts[0].Held = []Hold{{ID: "h", Err: "unexpected end of JSON input"}}
	if s.run(time.Hour); len(s.state("ntp").Stages) != 1 {
		t.Errorf("%+v", s.state("ntp").Stages)
	}
	s.w.Rollouts[0].Held = nil
	if s.run(2 * time.Minute); len(s.state("ntp").Stages) < 2 {
		t.Errorf("closed %s", closedGates(s.look(), "ntp"))
	}
}

// TestOrderRefusals: an order that has no meaning is refused with the reason.
func TestOrderRefusals(t *testing.T) {
	sched := newSite(t, 4).w.Rollouts[0].Spec.Schedule
	running := State{Phase: Running, Stages: []StageState{{Name: "canary"}}}
	asked := running
	asked.Promoted, asked.Skips = &Promotion{By: "ben"}, map[string]string{"fra1": "ben"}
	promote := func(stage string) Order { return Order{Promote: &Promotion{Stage: stage}} }
	for name, c := range map[string]struct {
		state State
		order Order
		want  string
	}{
		"promote":                 {running, promote("canary"), ""},
		"promote while waiting":   {State{}, promote("canary"), "it is waiting"},
		"promote while settling":  {State{Phase: Settling, Stages: running.Stages}, promote("canary"), ""},
		"promote when it is over": {State{Phase: Completed, Stages: running.Stages}, promote("canary"), "it is completed"},
		"promote what was":        {running, promote("fra1"), "its stage is canary by now"},
		"promote twice":           {asked, promote("canary"), "ben asked for it already"},
		"skip":                    {running, Order{Skip: "fra1"}, ""},
		"skip while waiting":      {State{}, Order{Skip: "fra1"}, ""},
		"skip the first":          {State{}, Order{Skip: "canary"}, "the first or the last"},
		"skip the last":           {running, Order{Skip: "everyone"}, "the first or the last"},
		"skip what began":         {running, Order{Skip: "canary"}, "has begun already"},
		"skip nothing":            {running, Order{Skip: "fra2"}, `no stage "fra2"`},
		"skip twice":              {asked, Order{Skip: "fra1"}, "ben asked for it already"},
		"skip when it is over":    {State{Phase: Completed}, Order{Skip: "fra1"}, "it is completed"},
	} {
		if got := c.state.Refuse(c.order, &sched); got == "" && c.want != "" || !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestApprovers: only whom the schedule names may approve; the gate says who tried.
func TestApprovers(t *testing.T) {
	for said, want := range map[string]string{
		"true":                          "approved by somebody who is not named (by=NAME), who is none of its approvers: anna, *@ops.example.com",
		"true by=ben: looks fine":       "approved by ben, who is none",
		"true by=annabel: x":            "approved by annabel",
		"true looks fine by=ben":        "approved by ben",
		"true by=anna: looks fine":      "",
		"true by=c@ops.example.com: ok": "",
		"true by=anna (token 12): ok":   "",
		"false by=anna: no":             "denied",
	} {
		s := newSite(t, 16)
		stage := &s.w.Rollouts[0].Spec.Schedule.Stages[1]
		stage.Approval, stage.Approvers = true, []string{"anna", "*@ops.example.com"}
		s.run(2 * time.Minute)
		s.tree["ntp/approve/fra1"] = said
		s.run(15 * time.Minute)
		why := ""
		for _, g := range s.look().Gates["ntp"] {
			if g.Name == "approval" && !g.Open && strings.Contains(g.Reason, "fra1") {
				why = g.Reason
			}
		}
		if want == "" && len(s.admitted("ntp")) < 8 || !strings.Contains(why, want) || want != "" && len(s.admitted("ntp")) != 1 {
			t.Errorf("%q: %d admitted, %q; want %q", said, len(s.admitted("ntp")), why, want)
		}
	}
	if !MayApprove(schedule.Stage{}, "") {
		t.Error("a stage without approvers asks for one")
	}
}
