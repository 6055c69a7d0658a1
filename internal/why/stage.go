package why

import (
	"fmt"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/segment"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// Stage is one stage of the schedule, as it concerns the node.
type Stage struct {
	Name    string `json:"name"`
	Segment string `json:"segment,omitempty"` // "" = everyone on the track
	Begun   bool   `json:"begun"`
	Holds   Answer `json:"holds"` // its segment holds the node
	// Threshold is what the position is compared with now, Target what it is to become; "" where only the beginning of the
	// stage tells.
	Threshold segments.Threshold `json:"threshold,omitempty"`
	Target    segments.Threshold `json:"target,omitempty"`
	Admits    Answer             `json:"admits"` // by its target
	Why       string             `json:"why,omitempty"`
}

// stages says of every stage whether it has the node, or will.
func (q *question) stages(r *tree.Rollout, position string, fleet int) []Stage {
	definitions := segment.Definitions(r.Spec.Segments)
	out := make([]Stage, len(r.Spec.Schedule.Stages))
	for i, stage := range r.Spec.Schedule.Stages {
		s := Stage{Name: stage.Name, Segment: stage.Segment, Holds: Yes}
		if i < len(r.State.Stages) {
			st := r.State.Stages[i]
			s.Begun, s.Threshold, s.Target = true, st.Threshold, st.Target
			s.Holds, s.Why = q.in(st.Set, st.Count)
		} else {
			s.Target, s.Why = target(r.Spec.Schedule, stage, fleet)
			if s.Target == "" && i < len(r.Status.Targets) && r.Status.Targets[i] != "" {
				s.Target, s.Why = r.Status.Targets[i], first(stage)+", as of the leader's last look"
			}
			if stage.Segment != "" {
				s.Holds, s.Why = q.willHold(r, definitions, stage.Segment, s.Why)
			}
		}
		if by, skipped := r.State.Skips[stage.Name]; skipped && !s.Begun {
			s.Target, s.Why = segments.None, "skipped on the order of "+by
		}
		s.Admits = s.admits(position)
		out[i] = s
	}
	return out
}

func (s *Stage) admits(position string) Answer {
	switch {
	case s.Holds == No || s.Target != "" && !s.Target.Admits(position):
		return No
	case s.Holds == Unknown || s.Target == "":
		return Unknown
	}
	return Yes
}

// willHold says whether the segment of a stage to come holds the node: by the snapshot where there is one, else as of now.
func (q *question) willHold(r *tree.Rollout, definitions map[string]compose.Definition, name, otherwise string) (Answer, string) {
	holds, why := Unknown, ""
	if set, ok := r.State.Snapshots[name]; ok {
		holds, why = q.in(set.Digest, set.Count)
	} else {
		holds, why = q.matches(definitions, name)
	}
	if why == "" {
		why = otherwise
	}
	return holds, why
}

// target is the threshold that a stage to come ends at, "" where it depends on how many nodes its segment then has.
func target(s schedule.Schedule, stage schedule.Stage, fleet int) (segments.Threshold, string) {
	if stage.Nodes > 0 {
		return "", first(stage) + "; the threshold is known when it begins (as of now: sluice plan NAME --list)"
	}
	held := s.HoldbackFor(fleet)
	t := segments.FromShare(uint64(stage.Percent))
	if held == 0 {
		return t, ""
	}
	return segments.Lower(t, segments.FromShare(uint64(schedule.Hundred-held))), ""
}

// first says who is in a stage that is given in nodes.
func first(stage schedule.Stage) string {
	if stage.Nodes == 1 {
		return "its first node by position"
	}
	return fmt.Sprintf("its first %d nodes by position", stage.Nodes)
}
