package cli

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// stageView is one stage of the schedule.
type stageView struct {
	Name     string    `json:"name"`
	Status   string    `json:"status"` // Passed, Pending, or how the rollout is doing
	Segment  string    `json:"segment,omitempty"`
	Size     string    `json:"size"`     // as the schedule says it: 5 nodes, 25%
	Admitted int       `json:"admitted"` // of its segment, by the threshold
	Exact    bool      `json:"exact"`    // Admitted is counted, not worked out from the threshold
	Planned  int       `json:"planned"`  // -1 = not known yet
	Share    float64   `json:"share"`    // of positions below the threshold, 0 to 1
	Since    time.Time `json:"since,omitzero"`
	Passed   time.Time `json:"passed,omitzero"`
	Info     string    `json:"info,omitempty"`
}

const (
	stagePassed  = "Passed"
	stagePending = "Pending"
)

func stagesOf(r *tree.Rollout, v *rolloutView, now time.Time) []stageView {
	out := make([]stageView, len(r.Spec.Schedule.Stages))
	for i, stage := range r.Spec.Schedule.Stages {
		s := stageView{Name: stage.Name, Segment: stage.Segment, Size: size(stage), Planned: -1, Status: stagePending, Info: requirements(stage)}
		if i < len(r.Status.Planned) {
			s.Planned = r.Status.Planned[i]
		}
		if i < len(r.State.Stages) {
			s.admitted(r.State.Stages[i])
			if s.Passed.IsZero() {
				s.Status, s.Info = v.Status, v.stageInfo(r, i, now)
			}
		} else if r.State.Phase.Ended() {
			s.Status, s.Info = "Never begun", ""
		}
		out[i] = s
	}
	return out
}

func (s *stageView) admitted(st gate.StageState) {
	s.Since, s.Passed, s.Share = st.Since, st.Passed, st.Threshold.Share()
	switch {
	case st.Threshold == segments.All:
		s.Admitted, s.Exact = st.Count, true
	case !st.Full.IsZero() && s.Planned >= 0:
		s.Admitted, s.Exact = s.Planned, true
	default:
		s.Admitted = int(math.Round(float64(st.Count) * s.Share))
	}
	if !st.Passed.IsZero() {
		s.Status = stagePassed
		s.Info = "took " + age(st.Passed.Sub(st.Since))
	}
}

// stageInfo says what the current stage waits for, or how it ended.
func (v *rolloutView) stageInfo(r *tree.Rollout, i int, now time.Time) string {
	if v.Phase.Ended() {
		return ""
	}
	var closed []string
	for _, g := range v.Gates {
		if !g.Open {
			closed = append(closed, g.Name)
		}
	}
	info := "nothing closed"
	if len(closed) > 0 {
		info = strings.Join(closed, ", ")
	}
	if full := r.State.Stages[i].Full; full.IsZero() {
		info = "growing; " + info
	} else if bake := r.Spec.Schedule.Stages[i].Bake; now.Before(full.Add(time.Duration(bake.Time))) {
		info = fmt.Sprintf("bakes %s of %s; %s", age(now.Sub(full)), bake.Time, info)
	}
	return info
}

func size(stage schedule.Stage) string {
	if stage.Nodes > 0 {
		return plural(stage.Nodes, "node")
	}
	return stage.Percent.String()
}

// requirements says what a stage that has not begun asks for.
func requirements(stage schedule.Stage) string {
	var parts []string
	if stage.Approval {
		parts = append(parts, "needs approval")
	}
	if len(stage.Windows) > 0 {
		parts = append(parts, "in "+strings.Join(stage.Windows, " or "))
	}
	if stage.Pass == schedule.PassCertified {
		parts = append(parts, "needs a certified pass")
	}
	return strings.Join(parts, "; ")
}
