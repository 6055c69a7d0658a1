package gate

import (
	"fmt"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// SetRef names a published set.
type SetRef struct {
	Digest string `json:"digest"`
	Count  int    `json:"count"`
}

// PolicyOf is the analysis policy of stage i: its own or the rollout's, with its own coverage.
func (s *Spec) PolicyOf(i int) analyzer.Policy {
	p := s.Policy
	if i < 0 || i >= len(s.Schedule.Stages) {
		return p
	}
	stage := s.Schedule.Stages[i]
	if own, ok := s.Policies[stage.Policy]; ok {
		p = own
	}
	if stage.Coverage != nil {
		p.Coverage = float64(*stage.Coverage) / float64(schedule.Hundred)
	}
	return p
}

// Target is the threshold at which a stage is complete: a share of positions, at least one node of a segment that holds
// any, and never into the holdback. positions are those of the segment's nodes, sorted; fleet counts the track's nodes.
func Target(s schedule.Schedule, stage schedule.Stage, positions []segments.Point, fleet int) segments.Threshold {
	if len(positions) == 0 {
		return segments.None
	}
	var t segments.Threshold
	if stage.Nodes > 0 {
		t = positions[min(stage.Nodes, len(positions))-1].Above()
	} else {
		t = segments.Higher(segments.FromShare(uint64(stage.Percent)), positions[0].Above())
	}
	held := s.HoldbackFor(fleet)
	if held == 0 {
		return t
	}
	return segments.Lower(t, segments.FromShare(uint64(schedule.Hundred-held)))
}

// nobodyLeft says whether the stage that comes next, whose members are known, is for the rest of an order, and nobody is in it. Its nodes may not have been there and
// left, and the track must have some: an inventory without nodes says nothing of who is in a segment. The first stage is never passed over.
func (s *stepper) nobodyLeft(i int) bool {
	p := s.r.Next
	return i > 0 && s.r.Spec.Schedule.Stages[i].Rest && p.size() == 0 && s.trackNodes() > 0
}

// calendarFreeze says which freeze of the calendar closes the gate now.
func (s *stepper) calendarFreeze() (Gate, bool) {
	reason, next, frozen := schedule.Frozen(s.w.Freezes, s.w.Now)
	if !frozen {
		return Gate{}, false
	}
	g := closed(GateFreeze, "calendar", "%s", reason)
	g.Next = next
	return g, true
}

// tooFew says why a stage that asks for a number of nodes cannot end yet.
func (s *stepper) tooFew() string {
	stage := s.r.Spec.Schedule.Stages[s.state.Current()]
	if exposed := s.r.Verdict.Counts.Exposed; exposed < stage.MinNodes {
		return fmt.Sprintf("%s %s run the change, stage %s needs %d at least", count(exposed, "node"), agree(exposed, "has", "have"), stage.Name, stage.MinNodes)
	}
	return ""
}
