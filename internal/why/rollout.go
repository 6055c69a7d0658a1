package why

import (
	"slices"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// Rollout says whether one rollout admits the node, and if not, when it will.
type Rollout struct {
	Name     string             `json:"name"`
	Phase    gate.Phase         `json:"phase"`
	Admitted bool               `json:"admitted"`
	Reason   segments.Reason    `json:"reason"`
	Position string             `json:"position"`
	Limit    segments.Threshold `json:"limit"`
	Stage    string             `json:"stage,omitempty"` // that gave the limit
	Cap      string             `json:"cap,omitempty"`   // that lowered it
	Segments []Segment          `json:"segments,omitempty"`
	Stages   []Stage            `json:"stages,omitempty"`
	Caps     []Cap              `json:"caps,omitempty"`
	Next     *Next              `json:"next,omitempty"` // nil where it is admitted, or where only the document knows the rollout
}

func (q *question) rollout(t segments.Track, a segments.Admission) Rollout {
	out := Rollout{Name: a.Rollout, Admitted: a.Admitted, Reason: a.Reason, Position: a.Position, Limit: a.Limit, Stage: a.Stage, Cap: a.Cap}
	r := q.snap.Rollout(a.Rollout)
	if r == nil {
		return out
	}
	out.Phase = r.State.Phase
	out.Stage = admittedBy(r, a.Stage)
	out.Segments = q.segments(r.Spec.Segments)
	out.Stages = q.stages(r, a.Position, t.Nodes)
	out.Caps = q.caps(r, a.Position)
	if !a.Admitted {
		out.Next = q.next(r, &out)
	}
	return out
}

// admittedBy names the stage that a limit of the document is of: the document names the first of the stages over the same nodes.
func admittedBy(r *tree.Rollout, first string) string {
	i := slices.IndexFunc(r.State.Stages, func(s gate.StageState) bool { return s.Name == first })
	if i < 0 {
		return first
	}
	last := i
	for k := i + 1; k < len(r.State.Stages); k++ {
		if s := &r.State.Stages[k]; s.Set == r.State.Stages[i].Set && r.State.Stages[last].Threshold.Less(s.Threshold) {
			last = k
		}
	}
	return r.State.Stages[last].Name
}
