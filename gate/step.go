package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// mostChanges is how many rollouts one decision changes, so that it fits into one transaction; the next one follows at once.
const mostChanges = 4

// Decide says what every rollout does next, what the edges are told, and why whatever stands still does.
func Decide(w World) Decision {
	d := Decision{States: map[string]State{}, Gates: map[string][]Gate{}, Tracks: slices.Clone(w.Tracks)}
	after := make([]State, len(w.Rollouts))
	for i := range w.Rollouts {
		after[i] = w.Rollouts[i].State
	}
	for _, stopsOnly := range []bool{true, false} { // whatever is left for later, a back-out is not
		for i := range w.Rollouts {
			name := w.Rollouts[i].Spec.Name
			if _, stepped := d.States[name]; stepped || after[i].Phase.Ended() {
				continue
			}
			if len(d.States) == mostChanges {
				d.Gates[name] = []Gate{closed(GateTurn, "leader", "others are dealt with first; looked at again at once")}
				continue
			}
			s := &stepper{w: &w, r: &w.Rollouts[i], state: clone(after[i]), after: after, index: i, decision: &d}
			if by, why := s.backOutReason(); stopsOnly && why == "" {
				continue
			} else if why != "" {
				s.backOut(by, why)
			} else {
				s.step()
			}
			if s.changed {
				after[i] = s.state
				d.States[name] = s.state
			}
			d.Gates[name] = s.gates
		}
	}
	d.Document = buildDocument(w, d.Tracks, after)
	d.Document.Pins = d.pins(&w, after)
	d.Republish = differs(w.Document, d.Document)
	return d
}

func clone(s State) State {
	s.Stages, s.Admissions, s.Code = slices.Clone(s.Stages), slices.Clone(s.Admissions), maps.Clone(s.Code)
	s.Denied, s.Approvals = maps.Clone(s.Denied), maps.Clone(s.Approvals)
	s.Caps = slices.Clone(s.Caps)
	return s
}

// stepper takes one rollout one step further.
type stepper struct {
	w        *World
	r        *Rollout
	state    State
	after    []State // of all rollouts, those before this one already stepped
	index    int
	decision *Decision
	gates    []Gate
	changed  bool
}

func (s *stepper) step() {
	s.noteFlags()
	s.noteLooks()
	s.noteCame()
	s.noteCaps()
	s.noteOrders()
	if why := s.superseded(); why != "" {
		s.phase(Superseded, why)
		s.event(EventSuperseded, -1, "sluice", why)
		return
	}
	if s.state.Phase.Active() {
		s.learnCode()
	}
	switch s.state.Phase {
	case Waiting:
		if s.open(append([]Gate{s.startGate()}, s.entryGates(0)...)...) {
			s.begin()
		}
	case Running:
		s.run()
	case Settling:
		ordered := false
		if s.promoted() && s.r.Current.Err == "" {
			ordered = s.r.State.Promoted == nil // one that waited was given with another verdict in view
			s.recount()
			s.state.Promoted, s.changed = nil, true
		}
		switch {
		case s.returning():
			s.giveBack(s.rampGate())
		case s.withheld():
			s.release()
		case s.open(append([]Gate{s.stragglersGate(ordered), s.holdGate(), s.capsGate()}, s.alwaysGates()...)...):
			s.complete()
		}
	}
}

// run grows the current stage, or leaves it.
func (s *stepper) run() {
	i := s.state.Current()
	if s.passOver() {
		return
	}
	if s.promoted() {
		s.promote()
		return
	}
	if s.returning() {
		s.giveBack(s.windowGate(i), s.rampGate(), s.deadlineGate())
		return
	}
	if s.state.Stages[i].Full.IsZero() {
		gates := append(s.alwaysGates(), s.windowGate(i), s.holdGate(), s.rampGate(), s.deadlineGate())
		st := s.state.Stages[i]
		gates = append(gates, s.unprovenGate(s.r.Current, st.Threshold, st.Target), s.blastGate(s.r.Current, st.Threshold, st.Target))
		if s.open(gates...) {
			s.grow()
		}
		return
	}
	gates := []Gate{s.coverageGate(), s.bakeGate(), s.verdictGate()}
	next := i + 1
	skip := next < len(s.r.Spec.Schedule.Stages) && s.state.Skips[s.r.Spec.Schedule.Stages[next].Name] != ""
	if skip {
		gates = append(append(gates, s.alwaysGates()...), s.holdGate()) // one that cannot be read holds everything
	} else if next < len(s.r.Spec.Schedule.Stages) {
		gates = append(gates, s.growthGate(next))
		gates = append(gates, s.entryGates(next)...)
	} else {
		gates = append(append(gates, s.alwaysGates()...), s.windowGate(i), s.holdGate(), s.unprovenGate(s.r.Current, s.state.Stages[i].Threshold, segments.All))
	}
	if !s.open(append(gates, s.deadlineGate())...) {
		return
	}
	st := &s.state.Stages[i]
	st.Passed, st.Verdict = s.w.Now, s.r.Verdict.Evidence
	s.state.Verdict = &s.r.Verdict
	if i+1 < len(s.r.Spec.Schedule.Stages) { // the state is written again with every step, and the evidence has the rest
		s.state.Verdict = brief(s.r.Verdict)
	}
	s.event(EventStageEnded, i, "sluice", "stage "+st.Name+" passed: "+s.r.Verdict.Reason)
	if skip {
		s.skip(next)
		return
	}
	if next < len(s.r.Spec.Schedule.Stages) {
		s.admit(next, s.r.Next)
		return
	}
	s.settle()
}

// open records the gates and says whether all of them are open.
func (s *stepper) open(gates ...Gate) bool {
	s.gates = sourced(gates)
	return !slices.ContainsFunc(gates, func(g Gate) bool { return !g.Open })
}

func (s *stepper) begin() {
	s.state.Code, s.state.Snapshots = s.codeNow(), s.r.Snapshots
	s.phase(Running, "")
	s.event(EventStarted, -1, s.r.Spec.By, s.r.Spec.Reason)
	s.admit(0, s.r.Next)
}

// admit starts stage i with as many nodes as may be in flight at once.
func (s *stepper) admit(i int, p Population) {
	stage := s.r.Spec.Schedule.Stages[i]
	target := s.target(stage, p)
	if p.fresh(target) == 0 {
		s.state.Stages = append(s.state.Stages, StageState{Name: stage.Name, Set: p.Set, Count: p.size(), Admitted: p.present(target), Target: target, Threshold: target, Since: s.w.Now, Full: s.w.Now, Skipped: true})
		// The threshold is on record all the same: whoever comes back from a cap later was reached by it, and a
		// node that joins below it has the change.
		s.state.Admissions = append(s.state.Admissions, Admission{At: s.w.Now, Stage: i, Set: p.Set, Threshold: target})
		s.event(EventSkipped, i, "sluice", s.skipped(i, p))
		s.changed = true
		return
	}
	st := StageState{Name: stage.Name, Set: p.Set, Count: p.size(), Target: target, Threshold: segments.None, Since: s.w.Now}
	if i > 0 { // those of the stage that ends, at the verdict that it ends with
		s.state.FormerAccounts, s.state.Accounts = s.state.Accounts, s.left()
	}
	s.state.Stages = append(s.state.Stages, st)
	s.event(EventStage, i, "sluice", fmt.Sprintf("stage %s started: %d of %s of %s", stage.Name, p.fresh(target), count(len(p.Positions), "node"), segmentName(stage)))
	s.raise(i, p, s.within(p, segments.None, target, stage.Ramp.InFlight.Of(len(p.Positions))))
}

func (s *stepper) skipped(i int, p Population) string {
	stage := s.r.Spec.Schedule.Stages[i]
	if s.nobodyLeft(i) {
		return fmt.Sprintf("stage %s is passed over: %s, the rest of an order, holds no node of track %s", stage.Name, segmentName(stage), s.r.Spec.Track)
	}
	text := fmt.Sprintf("stage %s adds nobody: earlier stages have %s of %s that it may have", stage.Name, all(len(p.Positions), "node"), segmentName(stage))
	if len(p.Kept) > 0 {
		text += fmt.Sprintf("; %d %s held, cut out or pinned", len(p.Kept), agree(len(p.Kept), "is", "are"))
	}
	return text
}

// grow admits further nodes of the current stage.
func (s *stepper) grow() {
	i := s.state.Current()
	st := s.state.Stages[i]
	next := s.within(s.r.Current, st.Threshold, st.Target, s.room())
	if st.Threshold.Less(next) {
		s.event(EventGrown, i, "sluice", fmt.Sprintf("stage %s: %d of %s", st.Name, s.r.Current.fresh(next), count(s.r.Current.fresh(st.Target), "node")))
		s.raise(i, s.r.Current, next)
	}
}

// raise sets the threshold of stage i, and notes when it is complete.
func (s *stepper) raise(i int, p Population, t segments.Threshold) {
	st := &s.state.Stages[i]
	if p.fresh(t) == p.fresh(st.Target) {
		t = st.Target // nobody is left between the two
	}
	st.Threshold, st.Admitted, st.Came.Admitted = t, p.present(t), 0
	if t == st.Target {
		st.Full = s.w.Now
	}
	s.state.Admissions = append(s.state.Admissions, Admission{At: s.w.Now, Stage: i, Set: st.Set, Threshold: t})
	s.changed = true
}

// target is the threshold at which a stage is complete.
func (s *stepper) target(stage schedule.Stage, p Population) segments.Threshold {
	return Target(s.r.Spec.Schedule, stage, p.Positions, s.trackNodes())
}

func (s *stepper) trackNodes() int {
	for _, t := range s.w.Tracks {
		if t.Name == s.r.Spec.Track {
			return t.Nodes
		}
	}
	return 0
}

// inFlight is how many nodes of the current stage may be admitted and not yet exposed.
func (s *stepper) inFlight() int {
	return s.r.Spec.Schedule.Stages[s.state.Current()].Ramp.InFlight.Of(len(s.r.Current.Positions))
}

// room is how many more nodes may be admitted now.
func (s *stepper) room() int {
	counts := s.r.Verdict.Counts
	return s.inFlight() - (counts.Live - counts.Exposed)
}

// leastStep keeps a ramp from crawling: every step is a document for all edges and a line in the state, so a step takes a
// quarter of what may be in flight, or all that is left of the stage.
func (s *stepper) leastStep() int {
	st := s.state.Stages[s.state.Current()]
	left := s.r.Current.fresh(st.Target) - s.r.Current.fresh(st.Threshold)
	return max(1, min(s.inFlight()/4, left))
}

// mostSteps is how many steps a rollout takes as fast as its nodes run. Each is remembered with its time, since it says when
// nodes were admitted; from then on one follows another after slowStep, so that no state grows without end.
const (
	mostSteps = 4000
	slowStep  = 10 * time.Minute
)

// nextStep is when the threshold may rise again, the zero time for now.
func (s *stepper) nextStep() time.Time {
	if n := len(s.state.Admissions); n >= mostSteps {
		if at := s.state.Admissions[n-1].At.Add(slowStep); at.After(s.w.Now) {
			return at
		}
	}
	return time.Time{}
}

// complete makes the candidate the track's baseline.
func (s *stepper) complete() {
	for i := range s.decision.Tracks {
		t := &s.decision.Tracks[i]
		if t.Name != s.r.Spec.Track {
			continue
		}
		if s.r.Spec.Candidate != "" {
			s.state.FormerBaseline, t.Baseline = t.Baseline, s.r.Spec.Candidate
		} else {
			s.state.Former = formerOf(t.Parameters, s.r.Spec.Parameters)
			t.Parameters = maps.Clone(t.Parameters)
			if t.Parameters == nil {
				t.Parameters = map[string]any{}
			}
			maps.Copy(t.Parameters, s.r.Spec.Parameters)
		}
	}
	s.phase(Completed, "")
	s.event(EventCompleted, s.state.Current(), "sluice", s.what()+" is the baseline of track "+s.r.Spec.Track)
}

// formerOf gives each of the new parameters the value that it has by default now, nil where there is none.
func formerOf(now, new map[string]any) map[string]any {
	former := make(map[string]any, len(new))
	for name := range new {
		former[name] = now[name]
	}
	return former
}

func (s *stepper) what() string {
	if s.r.Spec.Candidate != "" {
		return s.r.Spec.Candidate
	}
	return "parameters " + strings.Join(slices.Sorted(maps.Keys(s.r.Spec.Parameters)), ", ")
}

func (s *stepper) phase(p Phase, reason string) {
	s.state.Phase, s.state.Since, s.state.Reason, s.changed = p, s.w.Now, reason, true
}

func (s *stepper) event(kind string, stage int, by, text string) {
	e := Event{Kind: kind, Rollout: s.r.Spec.Name, Track: s.r.Spec.Track, Index: stage, By: by, Text: text}
	if stage >= 0 && stage < len(s.r.Spec.Schedule.Stages) {
		e.Stage = s.r.Spec.Schedule.Stages[stage].Name
	}
	if kind == EventStageEnded || kind == EventBackedOut {
		e.Verdict = &s.r.Verdict
	}
	s.decision.Events = append(s.decision.Events, e)
}

func segmentName(stage schedule.Stage) string {
	if stage.Segment == "" {
		return "everyone"
	}
	return stage.Segment
}

// left is what the accounts come to at the verdict in view. A stage that cannot be judged shows nothing, and leaves what it began with.
func (s *stepper) left() map[string]analyzer.Account {
	if len(s.r.Verdict.Accounts) == 0 {
		return s.state.Accounts
	}
	return s.r.Verdict.Accounts
}

// noteLooks keeps the looks that the judge took, in the transaction of this one: a new leader goes on with them.
func (s *stepper) noteLooks() {
	taken := s.r.Verdict.Looks
	if s.state.Phase.Active() && len(taken) > 0 && !slices.Equal(taken, s.state.Looks) {
		s.state.Looks, s.changed = taken, true
	}
}

// noteFlags remembers what people wrote where it counts from when the leader first saw it, or outlives its flag: a delay and a
// denial end by an explicit word, not by a flag that is gone.
func (s *stepper) noteFlags() {
	f := s.flag()
	switch seen := s.state.DelaySeen; {
	case f.Delay.Released && seen != nil:
		s.state.DelaySeen, s.changed = nil, true
	case f.Delay.Raw != "" && (seen == nil || seen.Raw != f.Delay.Raw):
		s.state.DelaySeen, s.changed = &DelaySeen{Raw: f.Delay.Raw, At: s.w.Now}, true
	}
	for _, stage := range s.r.Spec.Schedule.Stages {
		s.noteApproval(stage.Name, f.Approve[stage.Name], f.Said[stage.Name])
	}
}

func (s *stepper) noteApproval(stage string, t flags.Toggle, said string) {
	switch {
	case t == flags.Released && !s.state.Denied[stage]:
		if s.state.Denied == nil {
			s.state.Denied = map[string]bool{}
		}
		s.state.Denied[stage], s.changed = true, true
	case t == flags.Set && s.state.Denied[stage]:
		delete(s.state.Denied, stage)
		s.changed = true
	}
	if t == flags.Set && s.state.Approvals[stage].Raw != said {
		if s.state.Approvals == nil {
			s.state.Approvals = map[string]DelaySeen{}
		}
		s.state.Approvals[stage], s.changed = DelaySeen{Raw: said, At: s.w.Now}, true
	}
}
