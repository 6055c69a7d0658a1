package gate

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/openinfrastructure/sluice/segments"
)

// Reverse gives the change that undoes a completed rollout: the environment or the parameters that were there before it. Where that cannot
// be told, or would undo something else, it says why.
func (s *State) Reverse(spec *Spec, track *segments.Track) (environment string, parameters map[string]any, why string) {
	switch {
	case s.Phase != Completed && !s.Phase.Ended():
		return "", nil, fmt.Sprintf("it is %s; sluice backout %s takes it back", s.Phase, spec.Name)
	case s.Phase != Completed:
		return "", nil, fmt.Sprintf("it is %s, and there is nothing to undo", s.Phase)
	case track == nil:
		return "", nil, fmt.Sprintf("track %s is not in the store", spec.Track)
	case spec.Candidate == "":
		return "", s.Former, s.irreversible(spec, track)
	case track.Baseline != spec.Candidate:
		return "", nil, "its environment is not the baseline any more: start the one that you want"
	case s.FormerBaseline == "":
		return "", nil, "which environment was the baseline before is not on record: start the one that you want"
	}
	return s.FormerBaseline, nil, ""
}

// irreversible: what was there before is on record since the rollout became the default, and only while it is the default does that
// undo this rollout and no other.
func (s *State) irreversible(spec *Spec, track *segments.Track) string {
	for _, name := range slices.Sorted(maps.Keys(spec.Parameters)) {
		if _, known := s.Former[name]; !known {
			return fmt.Sprintf("what parameter %s had before is not on record: sluice start NAME --parameter %s=VALUE", name, name)
		}
		if now, there := track.Parameters[name]; !there || !reflect.DeepEqual(now, spec.Parameters[name]) {
			return fmt.Sprintf("parameter %s of track %s has been changed since: start the one that you want", name, track.Name)
		}
	}
	return ""
}

// Outdated says why a rollout that is to undo another would do something else by now, "" if it would not. It is given what undoes the other
// now, as Reverse has it.
func (s *Spec) Outdated(environment string, parameters map[string]any, why string) string {
	switch {
	case why != "":
		return fmt.Sprintf("%s cannot be reverted any more: %s", s.Reverts, why)
	case environment != s.Candidate || !reflect.DeepEqual(parameters, s.Parameters):
		return fmt.Sprintf("%s would be reverted to something else by now: ask again", s.Reverts)
	}
	return ""
}

// outdated is asked of a rollout that waits: what it is to undo may have been replaced meanwhile, and it would undo that, too. A store that
// may be of before says nothing of it.
func (s *stepper) outdated(r *Rollout) string {
	if r.Spec.Reverts == "" || s.w.Halt != "" {
		return ""
	}
	of := slices.IndexFunc(s.w.Rollouts, func(o Rollout) bool { return o.Spec.Name == r.Spec.Reverts })
	if of < 0 {
		return r.Spec.Reverts + " cannot be reverted any more: what it changed is not on record"
	}
	var track *segments.Track
	for i := range s.decision.Tracks {
		if t := &s.decision.Tracks[i]; t.Name == r.Spec.Track {
			track = t
		}
	}
	return r.Spec.Outdated(s.after[of].Reverse(&s.w.Rollouts[of].Spec, track))
}
