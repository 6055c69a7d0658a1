package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// flag starts a rollout of parameters beside the others.
func (s *site) flag(name string) *Rollout {
	s.start(name, "")
	r := &s.w.Rollouts[len(s.w.Rollouts)-1]
	r.Spec.Parameters = map[string]any{name: true}
	return r
}

// TestNoNodeTakesTwoUnprovenChanges: of two rollouts beside each other, one waits where the other is not past its bake, and
// says so; both come to their end.
func TestNoNodeTakesTwoUnprovenChanges(t *testing.T) {
	s := newSite(t, 24)
	s.flag("sshd")
	waited := ""
	for range 300 {
		d := s.look()
		for _, g := range slices.Concat(d.Gates["ntp"], d.Gates["sshd"]) {
			if g.Name == "unproven" && !g.Open && !strings.Contains(g.Reason, "at once") {
				waited = g.Reason
			}
		}
		s.apart(t)
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	if s.state("ntp").Phase != Completed || s.state("sshd").Phase != Completed {
		t.Errorf("ntp %s, sshd %s", s.state("ntp").Phase, s.state("sshd").Phase)
	}
	if !strings.Contains(waited, " next (n") || !strings.Contains(waited, ", which is not past its bake on ") {
		t.Errorf("waited because %q", waited)
	}
}

type fataler interface{ Fatalf(string, ...any) }

// apart fails where a node has two changes that are younger than their bake.
func (s *site) apart(t fataler) {
	for _, n := range s.nodes {
		var young []string
		for i := range s.w.Rollouts {
			r := &s.w.Rollouts[i]
			if at, _ := s.admittedAt(r, n); r.State.Phase == Running && !at.IsZero() && s.w.Now.Sub(at) < 10*time.Minute {
				young = append(young, r.Spec.Name)
			}
		}
		if len(young) > 1 {
			t.Fatalf("at %s %s has the changes of %s, neither past its bake", s.w.Now, n, strings.Join(young, " and "))
		}
	}
}

// TestBlast: over all rollouts together no more nodes than allowed have an unproven change, of the fleet and of a domain; the gate
// names who has them; a limit is no standstill.
func TestBlast(t *testing.T) {
	for name, rule := range map[string]BlastRule{
		"fleet":  {Limit: &schedule.Amount{Nodes: 5}},
		"domain": {By: "enc.datacenter", DomainLimit: &schedule.Amount{Percent: schedule.Hundred / 4}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 24)
			s.flag("sshd")
			s.w.Blast, s.w.Domains = rule, map[string]int{"dc0": 12, "dc1": 12}
			said := ""
			for range 900 {
				d := s.look()
				for _, r := range s.w.Rollouts {
					for _, g := range d.Gates[r.Spec.Name] {
						if g.Name == "blast" && !g.Open && !strings.Contains(g.Reason, "at once") {
							said = g.Reason
						}
					}
				}
				s.within(t)
				s.w.Now = s.w.Now.Add(time.Minute)
			}
			if s.state("ntp").Phase != Completed || s.state("sshd").Phase != Completed {
				t.Errorf("ntp %s, sshd %s", s.state("ntp").Phase, s.state("sshd").Phase)
			}
			if !strings.Contains(said, "have an unproven change (") || !strings.Contains(said, " of ntp") && !strings.Contains(said, " of sshd") {
				t.Errorf("the gate said %q", said)
			}
		})
	}
}

// TestHoldbackKeepsTheBlastLimit: a holdback larger than the limit is released in steps, each past its bake before the next, with
// another rollout beside it; neither passes the limit, and neither stands still on it. Without a limit it is released at once.
func TestHoldbackKeepsTheBlastLimit(t *testing.T) {
	held := 40 * schedule.Hundred / 100
	for name, rule := range map[string]BlastRule{
		"none":   {},
		"fleet":  {Limit: &schedule.Amount{Nodes: 3}},
		"one":    {Limit: &schedule.Amount{Nodes: 1}},
		"domain": {By: "enc.datacenter", DomainLimit: &schedule.Amount{Nodes: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 24)
			s.flag("sshd")
			s.w.Rollouts[0].Spec.Schedule.Holdback = &held
			s.w.Blast, s.w.Domains = rule, map[string]int{"dc0": 12, "dc1": 12}
			steps, before := 0, 0
			for range 3000 {
				s.look()
				if rule != (BlastRule{}) {
					s.within(t)
				}
				n := len(s.admitted("ntp"))
				if s.state("ntp").Phase == Settling && n > before {
					steps++
				}
				before = n
				s.w.Now = s.w.Now.Add(time.Minute)
			}
			for _, r := range []string{"ntp", "sshd"} {
				if s.state(r).Phase != Completed {
					t.Errorf("%s: %s", r, s.state(r).Phase)
				}
			}
			if once := rule == (BlastRule{}); once != (steps == 1) || steps == 0 {
				t.Errorf("the holdback came in %d steps", steps)
			}
		})
	}
}

// TestReleasedNodesAreNotProvenByTheRest: while some are held back a verdict that passes says nothing of those that came last.
func TestReleasedNodesAreNotProvenByTheRest(t *testing.T) {
	held := 40 * schedule.Hundred / 100
	s := newSite(t, 24)
	s.w.Rollouts[0].Spec.Schedule.Holdback, s.w.Blast.Limit = &held, &schedule.Amount{Nodes: 3}
	for s.state("ntp").Phase != Settling {
		s.run(time.Minute)
	}
	r := s.w.Rollouts[0]
	r.Verdict = analyzer.Verdict{Result: analyzer.Pass, Counts: analyzer.Counts{Admitted: 15, Live: 15, Exposed: 15}}
	step := &stepper{w: &s.w, r: &r, state: r.State, after: []State{r.State}}
	if step.proven() {
		t.Error("the change counts as proven on everybody")
	}
	step.state.Stages = slices.Clone(step.state.Stages)
	if step.state.Stages[step.state.Current()].Threshold = segments.All; !step.proven() {
		t.Error("with nobody left to come it does not")
	}
}

// TestHoldbackThatIsNotKnown: while nobody knows who is held back, nobody is released.
func TestHoldbackThatIsNotKnown(t *testing.T) {
	held := 40 * schedule.Hundred / 100
	s := newSite(t, 24)
	s.w.Rollouts[0].Spec.Schedule.Holdback, s.w.Blast.Limit = &held, &schedule.Amount{Nodes: 24}
	s.w.Rollouts[0].Spec.Policy.MaxDeparted = 1 // as if all might leave: that gate closes as well
	for s.state("ntp").Phase != Settling {
		s.run(time.Minute)
	}
	for why, want := range map[string]bool{"the inventory has not been read yet": false, "": true} {
		r := s.w.Rollouts[0]
		r.Current = Population{Err: why}
		state := r.State
		state.Stages = slices.Clone(state.Stages)
		step := &stepper{w: &s.w, r: &r, state: state, after: []State{r.State}, decision: &Decision{}}
		step.release()
		if all := !step.withheld(); all != want {
			t.Errorf("not known because of %q: everyone is admitted: %v", why, all)
		}
	}
}

// TestHoldbackThatIsGone: nodes that were held back and left the inventory keep no rollout from its end.
func TestHoldbackThatIsGone(t *testing.T) {
	held := 40 * schedule.Hundred / 100
	s := newSite(t, 24)
	s.w.Rollouts[0].Spec.Schedule.Holdback, s.w.Blast.Limit = &held, &schedule.Amount{Nodes: 24}
	s.w.Rollouts[0].Spec.Policy.MaxDeparted = 1
	for s.state("ntp").Phase != Settling {
		s.run(time.Minute)
	}
	if n := len(s.admitted("ntp")); n == 24 {
		t.Fatal("nobody is held back")
	}
	got := s.admitted("ntp")
	s.nodes, s.fra1 = got, nil
	if s.run(2 * time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("%s", s.state("ntp").Phase)
	}
}

// within fails where more nodes have a change younger than its bake than the site allows.
func (s *site) within(t fataler) {
	total, by := 0, map[string]int{}
	for i := range s.w.Rollouts {
		r := &s.w.Rollouts[i]
		for k, n := range s.nodes {
			if at, _ := s.admittedAt(r, n); r.State.Phase.Active() && !at.IsZero() && s.w.Now.Sub(at) < 10*time.Minute {
				total++
				by[[]string{"dc0", "dc1"}[k%2]]++
			}
		}
	}
	if l := s.w.Blast.Limit; l != nil && total > l.Of(len(s.nodes)) {
		t.Fatalf("%d nodes have an unproven change, at most %d may", total, l.Of(len(s.nodes)))
	}
	for d, n := range by {
		if l := s.w.Blast.DomainLimit; l != nil && n > l.Of(s.w.Domains[d]) {
			t.Fatalf("%d nodes of %s have an unproven change, at most %d may", n, d, l.Of(s.w.Domains[d]))
		}
	}
}

// TestStageLeftByOrderStaysUnproven: the nodes of a stage that was left whatever it had shown count against the limit until they have
// shown it.
func TestStageLeftByOrderStaysUnproven(t *testing.T) {
	s := newSite(t, 24)
	s.w.Blast.Limit = &schedule.Amount{Nodes: 4}
	s.w.Rollouts[0].Spec.Schedule.Stages[1].Ramp.InFlight.Nodes = 2
	for len(s.admitted("ntp")) < 2 {
		s.run(time.Minute)
	}
	s.order(Order{Promote: &Promotion{Stage: "fra1"}})
	for range 9 {
		s.look()
		s.within(t)
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	if s.run(12 * time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("closed %s", closedGates(s.look(), "ntp"))
	}
}

// TestNodesThatComeBackBake: nodes that come back from a hold bake as others do, however fast they run: the stage does not pass before,
// and they count against the limit until then.
func TestNodesThatComeBackBake(t *testing.T) {
	s := newSite(t, 24)
	s.w.Blast.Limit = &schedule.Amount{Nodes: 3}
	s.w.Rollouts[0].Spec.Schedule.Stages[1].Ramp.InFlight.Nodes = 3
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		v.Counts.Exposed, v.Counts.Runs, v.Result, v.Grade = v.Counts.Live, 99, analyzer.Pass, analyzer.Clean
		return v
	}
	s.hold("hold/h", s.fra1[3:])
	for len(s.state("ntp").Stages) < 2 || s.state("ntp").Stages[1].Full.IsZero() {
		s.run(time.Minute)
	}
	delete(s.kept, "hold/h")
	back := time.Time{}
	for len(s.state("ntp").Stages) < 3 {
		s.look()
		s.within(t)
		if caps := s.state("ntp").Caps; len(caps[0].Steps) > 0 {
			back = caps[0].Steps[len(caps[0].Steps)-1].At
		}
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	if passed := s.state("ntp").Stages[1].Passed; back.IsZero() || passed.Before(back.Add(10*time.Minute)) {
		t.Errorf("the last came back at %s, the stage passed at %s", back, passed)
	}
	if s.run(12 * time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("closed %s", closedGates(s.look(), "ntp"))
	}
}

// TestLimitOfNobody: where no node is left that a limit could keep back, it keeps nothing back: neither the end of a hold whose nodes are
// still to come, nor a stage whose last nodes have left the inventory.
func TestLimitOfNobody(t *testing.T) {
	for name, away := range map[string]func(s *site, of []string){
		"the hold has ended": func(s *site, of []string) {
			s.hold("hold/h", of[:2])
			s.run(time.Minute)
			delete(s.kept, "hold/h")
		},
		"they have left": func(s *site, of []string) {
			s.nodes = slices.DeleteFunc(slices.Clone(s.nodes), func(n string) bool { return slices.Contains(of, n) })
			s.fra1 = slices.DeleteFunc(slices.Clone(s.fra1), func(n string) bool { return slices.Contains(of, n) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 24)
			s.w.Rollouts[0].Spec.Policy.MaxDeparted = 1
			s.w.Blast.Limit = &schedule.Amount{Nodes: 4}
			for len(s.admitted("ntp")) < 3 {
				s.run(time.Minute)
			}
			had := s.admitted("ntp")
			away(s, slices.DeleteFunc(slices.Clone(s.fra1), func(n string) bool { return slices.Contains(had, n) }))
			if s.run(12 * time.Hour); s.state("ntp").Phase != Completed {
				t.Errorf("%s, %d stages begun; closed gates %q", s.state("ntp").Phase, len(s.state("ntp").Stages), closedGates(s.look(), "ntp"))
			}
		})
	}
}

// Against any number of rollouts that begin at any time, any holds, verdicts and limits, both bounds stand.
func TestUnprovenKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSite(t, 12)
		s.w.Domains = map[string]int{"dc0": 6, "dc1": 6}
		if rapid.Bool().Draw(rt, "limited") {
			s.w.Blast.Limit = &schedule.Amount{Nodes: rapid.IntRange(1, 6).Draw(rt, "limit")}
		}
		held := schedule.Percent(rapid.IntRange(0, 60).Draw(rt, "holdback")) * schedule.Hundred / 100
		s.w.Rollouts[0].Spec.Schedule.Holdback = &held
		s.verdict = func(r *Rollout) analyzer.Verdict {
			v := s.healthy(r)
			if rapid.IntRange(0, 5).Draw(rt, "doubt") == 0 {
				v.Result = analyzer.Inconclusive
			}
			return v
		}
		names := []string{"sshd", "motd"}
		for range rapid.IntRange(5, 40).Draw(rt, "looks") {
			if len(names) > 0 && rapid.IntRange(0, 3).Draw(rt, "start") == 0 {
				s.flag(names[0])
				names = names[1:]
			}
			s.look()
			s.apart(rt)
			s.within(rt)
			s.w.Now = s.w.Now.Add(time.Duration(rapid.IntRange(0, 12).Draw(rt, "minutes")) * time.Minute)
		}
	})
}

// What is not known closes the gate.
func TestUnprovenUnknown(t *testing.T) {
	s := newSite(t, 12)
	s.run(2 * time.Minute)
	r := s.flag("sshd")
	s.look()
	p := r.Next
	r.Shared = nil
	step := &stepper{w: &s.w, r: r, index: 1, after: []State{s.w.Rollouts[0].State, r.State}}
	if g := step.unprovenGate(p, segments.None, segments.All); g.Open || !strings.Contains(g.Reason, "not known") {
		t.Errorf("%+v", g)
	}
	s.w.Blast.DomainLimit = &schedule.Amount{Nodes: 100}
	p.Domains = nil
	if g := step.blastGate(p, segments.None, segments.All); g.Open || !strings.Contains(g.Reason, "not known") || g.Value != "" || g.Limit != "" {
		t.Errorf("%+v", g)
	}
	// A limit of nobody is known.
	s.w.Blast = BlastRule{Limit: &schedule.Amount{}}
	step.after[0].Phase = Completed
	if g := step.blastGate(p, segments.None, segments.All); g.Open || g.Value != "0" || g.Limit != "0" {
		t.Errorf("%+v", g)
	}
	if !slices.IsSorted(p.Positions) {
		t.Error("positions are not sorted")
	}
}

// TestUnshownWhateverTheClock: whose turn it is to show the change does not hang on the clocks of the leaders that admitted them: one that is
// behind begins a stage before the one that was left by an order began, and raises a threshold before its stage began.
func TestUnshownWhateverTheClock(t *testing.T) {
	at := func(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }
	s := State{Stages: []StageState{{Since: at(0), Verdict: "d"}, {Since: at(60)}, {Since: at(46)}}}
	for _, c := range []struct {
		minute, stage int
		want          bool
	}{{0, 0, false}, {60, 1, true}, {50, 1, true}, {46, 2, true}, {40, 2, true}, {47, 0, true}, {45, 0, false}} {
		if got := s.Unshown().Has(at(c.minute), c.stage); got != c.want {
			t.Errorf("admitted by stage %d in minute %d: %v", c.stage, c.minute, got)
		}
	}
	if s.Unshown().Has(time.Time{}, 2) {
		t.Error("a node that was not admitted has something to show")
	}
}

// TestLastStageLeftByOrderStaysUnproven: nodes that a person's order let in just before the rollout settles have a change that is not past
// its bake, however fast they ran it: what comes back from a hold then counts beside them, and another rollout waits.
func TestLastStageLeftByOrderStaysUnproven(t *testing.T) {
	s := newSite(t, 24)
	s.w.Blast.Limit = &schedule.Amount{Nodes: 4}
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		v.Counts.Exposed, v.Counts.Runs, v.Result, v.Grade = v.Counts.Live, 99, analyzer.Pass, analyzer.Clean
		return v
	}
	s.hold("hold/h", s.nodes[20:])
	for len(s.state("ntp").Stages) < 3 {
		s.run(time.Minute)
	}
	for range 120 { // a few of the last stage are left to come by the order
		if s.w.Rollouts[0].Current.fresh(segments.All)-s.w.Rollouts[0].Current.fresh(s.state("ntp").Stages[2].Threshold) <= 4 {
			break
		}
		s.run(time.Minute)
	}
	s.order(Order{Promote: &Promotion{Stage: "everyone"}})
	for range 60 {
		if s.state("ntp").Phase == Settling {
			break
		}
		s.run(time.Minute)
	}
	if s.state("ntp").Phase != Settling {
		t.Fatalf("%s, closed %s", s.state("ntp").Phase, closedGates(s.look(), "ntp"))
	}
	s.within(t)
	delete(s.kept, "hold/h")
	for range 30 {
		s.look()
		s.within(t)
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	if s.run(12 * time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("closed %s", closedGates(s.look(), "ntp"))
	}
}
