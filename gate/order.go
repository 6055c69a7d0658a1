package gate

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// Promotion is a person's order to leave the current stage now, whatever it has shown. It counts for that stage, once. A rollout that
// settles has no stage to leave: it takes the nodes that are there for all that there were, and an inconclusive verdict for a pass.
type Promotion struct {
	Stage  string    `json:"stage"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Order is what a person asks of one rollout, beside flags: to be taken over by the decision.
type Order struct {
	Promote *Promotion
	Skip    string // a stage that is to admit nobody
	By      string
	Reason  string
}

// Refuse says why a rollout cannot take the order, "" if it can.
func (s *State) Refuse(o Order, sched *schedule.Schedule) string {
	if o.Promote != nil {
		switch i := s.Current(); {
		case !s.Phase.Active():
			return fmt.Sprintf("there is no stage to leave: it is %s", s.Phase)
		case s.Stages[i].Name != o.Promote.Stage:
			return fmt.Sprintf("its stage is %s by now, not %s: look again, and ask again", s.Stages[i].Name, o.Promote.Stage)
		case s.Promoted != nil:
			return fmt.Sprintf("%s asked for it already, at %s; sluice explain says what it waits for", s.Promoted.By, s.Promoted.At.UTC().Format(time.RFC3339))
		}
		return ""
	}
	i := slices.IndexFunc(sched.Stages, func(st schedule.Stage) bool { return st.Name == o.Skip })
	switch {
	case i < 0:
		return fmt.Sprintf("it has no stage %q", o.Skip)
	case s.Phase != Waiting && s.Phase != Running:
		return fmt.Sprintf("it has no stage to come: it is %s", s.Phase)
	case i <= s.Current():
		return fmt.Sprintf("stage %s has begun already", o.Skip)
	case i == 0 || i == len(sched.Stages)-1:
		return fmt.Sprintf("stage %s is the first or the last: nothing would be shown, or not everybody would get the change", o.Skip)
	case s.Skips[o.Skip] != "":
		return fmt.Sprintf("%s asked for it already", s.Skips[o.Skip])
	}
	return ""
}

// noteOrders takes over what people asked for, each with an event.
func (s *stepper) noteOrders() {
	for _, o := range s.r.Orders {
		if s.state.Refuse(o, &s.r.Spec.Schedule) != "" {
			continue
		}
		s.changed = true
		if o.Promote != nil {
			s.state.Promoted = o.Promote
			text := "stage " + o.Promote.Stage + " is to be left whatever it has shown: "
			if s.state.Phase == Settling {
				text = "nodes that have left the inventory are not waited for, and an inconclusive verdict does not count: "
			}
			s.event(EventPromoted, s.state.Current(), o.By, text+o.Reason)
			continue
		}
		skips := map[string]string{o.Skip: o.By}
		for k, v := range s.state.Skips {
			skips[k] = v
		}
		s.state.Skips = skips
		s.event(EventSkip, -1, o.By, "stage "+o.Skip+" is to admit nobody: "+o.Reason)
	}
}

// promoted says whether a person ordered the current stage to be left.
func (s *stepper) promoted() bool {
	i := s.state.Current()
	return i >= 0 && s.state.Promoted != nil && s.state.Promoted.Stage == s.state.Stages[i].Name
}

// promote leaves the current stage by a person's order. What stops everything still does, and so do holds, the other rollouts and
// the edges' speed limit; a verdict that fails backs out before anything else is asked.
func (s *stepper) promote() {
	i := s.state.Current()
	st := &s.state.Stages[i]
	gates := append([]Gate{opened(GatePromote, "%s ordered it: %s", s.state.Promoted.By, s.state.Promoted.Reason).is(s.state.Promoted.By, "")}, s.haltGate(), s.freezeGate(), s.pauseGate(), s.edgesGate(), s.holdGate())
	next := i + 1
	last := next == len(s.r.Spec.Schedule.Stages)
	skip := !last && s.state.Skips[s.r.Spec.Schedule.Stages[next].Name] != ""
	switch {
	case last: // who is there, and whom a hold keeps, must be known
		gates = append(gates, s.knownGate(s.r.Current), s.unprovenGate(s.r.Current, st.Threshold, segments.All), s.blastGate(s.r.Current, st.Threshold, segments.All))
	case skip: // it admits nobody, so nobody need be in it
		gates = append(gates, s.knownGate(s.r.Next))
	default:
		target := s.target(s.r.Spec.Schedule.Stages[next], s.r.Next)
		gates = append(gates, s.segmentGate(next), s.unprovenGate(s.r.Next, segments.None, target), s.blastGate(s.r.Next, segments.None, target))
	}
	if !s.open(gates...) || last && s.hasten() {
		return
	}
	if st.Full.IsZero() { // whoever of the stage is missing comes with a later one
		st.Target, st.Full = st.Threshold, s.w.Now
	}
	st.Passed, s.state.Promoted = s.w.Now, nil
	s.event(EventStageEnded, i, "sluice", "stage "+st.Name+" was left by a person's order, with: "+s.r.Verdict.Reason)
	if last {
		s.recount()
		s.settle()
		return
	}
	if skip {
		s.skip(next)
		return
	}
	if s.admit(next, s.r.Next); !s.state.Stages[next].Skipped { // else the stage that was left goes on being judged
		s.state.Accounts = analyzer.LeftByOrder(s.state.Accounts, next, len(s.r.Spec.Schedule.Stages))
	}
}

// knownGate is closed while nobody knows who is there: holds are looked up among those who are.
func (s *stepper) knownGate(p Population) Gate {
	if p.Err != "" {
		return closed(GateSegment, "segments", "who is on track %s is not known: %s", s.r.Spec.Track, p.Err).is("", 1)
	}
	return opened(GateSegment, "who is on track %s is known", s.r.Spec.Track)
}

// hasten admits as many of all that are left as may have an unproven change, and says whether some are left: the order stands
// until they are in, too.
func (s *stepper) hasten() bool {
	i := s.state.Current()
	st := &s.state.Stages[i]
	if s.w.Blast == (BlastRule{}) || s.heldBack() == 0 {
		return false // the settling admits them
	}
	st.Target, st.Full = segments.All, time.Time{} // not full: no other rollout may take its nodes for proven
	s.raise(i, s.r.Current, s.within(s.r.Current, st.Threshold, segments.All, s.heldBack()))
	s.event(EventGrown, i, "sluice", fmt.Sprintf("stage %s: by a person's order as many as the limit on unproven change lets in; %d are left", st.Name, s.heldBack()))
	return s.heldBack() > 0
}

// skip passes a stage over that a person ordered to admit nobody, as soon as the one before it has passed.
func (s *stepper) skip(i int) {
	stage := s.r.Spec.Schedule.Stages[i]
	s.state.Stages = append(s.state.Stages, StageState{Name: stage.Name, Set: s.r.Next.Set, Count: s.r.Next.size(), Target: segments.None, Threshold: segments.None, Since: s.w.Now, Full: s.w.Now, Skipped: true})
	s.changed = true
	s.event(EventSkipped, i, "sluice", "stage "+stage.Name+" admits nobody, by order of "+s.state.Skips[stage.Name])
}

// approvedBy says who approved a stage: the by= of the flag's comment, "" where it names nobody.
func approvedBy(said string) string {
	for _, field := range strings.Fields(said)[min(1, len(strings.Fields(said))):] {
		if name, ok := strings.CutPrefix(field, "by="); ok {
			return strings.TrimSuffix(name, ":")
		}
	}
	return ""
}

// MayApprove says whether somebody is among a stage's approvers, which are names or globs such as *@example.com. What follows the name in
// an identity, such as a token's, is not looked at. A stage that names none may be approved by anybody.
func MayApprove(stage schedule.Stage, who string) bool {
	name, _, _ := strings.Cut(who, " ")
	return len(stage.Approvers) == 0 || name != "" && slices.ContainsFunc(stage.Approvers, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}

// approved says whether somebody who may approved the stage.
func (s *stepper) approved(stage schedule.Stage) bool {
	f := s.flag()
	return f.Approve[stage.Name] == flags.Set && MayApprove(stage, approvedBy(f.Said[stage.Name]))
}
