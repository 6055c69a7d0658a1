package gate

import (
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

// backOutReason says who takes the rollout back, and why; an empty reason means nobody. It is asked before
// anything else, in every phase.
func (s *stepper) backOutReason() (by, why string) {
	name := s.r.Spec.Name
	if s.w.Stops.BackedOut(name) {
		return "consul-kv (unverified)", BackOutReason(s.w.Flags, name)
	}
	for _, e := range s.w.Edges {
		if slices.Contains(e.BackedOut, name) { // in whatever phase the store has it: names are never used twice
			return "edge " + e.Host, "edge " + e.Host + " has it backed out; a stop is never undone by what the store says"
		}
	}
	if who := s.vetoed(); who != "" && s.w.Halt == "" {
		return "consul-kv (unverified)", who
	}
	if newer := s.replacedBy(); newer != "" {
		return "sluice", "replaced by " + newer
	}
	if !s.state.Phase.Active() {
		return "", ""
	}
	if s.r.Verdict.Result == analyzer.Fail && s.w.Halt == "" {
		return "sluice", s.r.Verdict.Reason
	}
	if late, then := s.overdue(); late != "" && then == schedule.ThenBackout {
		return "sluice", late
	}
	return "", ""
}

func (s *stepper) backOut(by, why string) {
	if s.r.Verdict.Result == analyzer.Fail {
		s.state.Verdict = &s.r.Verdict
	}
	s.phase(BackedOut, why)
	if !strings.HasPrefix(why, "backed out by ") { // a person's has it already
		why = "backed out: " + why
	}
	s.event(EventBackedOut, s.state.Current(), by, why)
	s.gates = nil
}

// others gives the rollouts that cannot be under way beside this one: those on its track that change the same thing.
func (s *stepper) others(yield func(i int, r *Rollout) bool) {
	for i := range s.w.Rollouts {
		o := &s.w.Rollouts[i]
		if i != s.index && o.Spec.Track == s.r.Spec.Track && conflicts(&o.Spec, &s.r.Spec) && !yield(i, o) {
			return
		}
	}
}

func conflicts(a, b *Spec) bool {
	if a.Candidate != "" || b.Candidate != "" {
		return a.Candidate != "" && b.Candidate != ""
	}
	for k := range a.Parameters {
		if _, ok := b.Parameters[k]; ok {
			return true
		}
	}
	return false
}

// ahead names the rollout that this one waits for, "" for none: one under way, one that waits longer, or a newer one that
// would replace it at once.
func (s *stepper) ahead() string {
	for i, o := range s.others {
		state := s.after[i]
		if i > s.index && state.Phase == Waiting && o.Spec.Schedule.Supersede == schedule.SupersedeReplace && s.w.Halt == "" && s.ready(o) {
			return o.Spec.Name
		}
		older := i < s.index && o.Spec.Schedule.Supersede != schedule.SupersedeTrain
		replaces := s.r.Spec.Schedule.Supersede == schedule.SupersedeReplace && s.ready(s.r)
		if state.Phase.Active() || state.Phase == Waiting && older && !replaces {
			return o.Spec.Name
		}
	}
	return ""
}

// superseded says why a waiting rollout is not to begin any more: a newer one takes its place on a train, or nothing is left that it could undo.
func (s *stepper) superseded() string {
	if s.state.Phase != Waiting {
		return ""
	}
	for i, o := range s.others {
		train := s.r.Spec.Schedule.Supersede == schedule.SupersedeTrain && o.Spec.Schedule.Supersede == schedule.SupersedeTrain
		if train && i > s.index && s.after[i].Phase == Waiting && s.outdated(o) == "" {
			return "superseded by " + o.Spec.Name + ", which is newer and waits too"
		}
	}
	return s.outdated(s.r)
}

// replacedBy names a newer waiting rollout that asks to back the running one out.
func (s *stepper) replacedBy() string {
	if !s.state.Phase.Active() {
		return ""
	}
	for i, o := range s.others {
		state := s.after[i]
		if i > s.index && state.Phase == Waiting && o.Spec.Schedule.Supersede == schedule.SupersedeReplace && s.w.Halt == "" && s.ready(o) {
			return o.Spec.Name
		}
	}
	return ""
}

// ready says whether a rollout that asks to replace another may begin as far as people are concerned: one that is to wait
// replaces nothing yet.
func (s *stepper) ready(o *Rollout) bool {
	start := o.Spec.Schedule.Start
	f := s.w.Flags.Rollouts[o.Spec.Name]
	delayed := f != nil && f.Delay.Raw != ""
	return (start == nil || !s.w.Now.Before(start.NotBefore)) && !s.w.Stops.Paused(o.Spec.Name) && !delayed && s.outdated(o) == ""
}

// brief is a verdict without its parts.
func brief(v analyzer.Verdict) *analyzer.Verdict {
	v.Checks, v.Missing, v.Uncertified, v.Looks, v.Accounts = nil, nil, nil, nil, nil
	v.Counts.Unexposed, v.Counts.SilentNodes, v.Counts.ExcludedNodes = nil, nil, nil
	return &v
}
