package why

import (
	"github.com/openinfrastructure/sluice/gate"
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
	out.Segments = q.segments(r.Spec.Segments)
	out.Stages = q.stages(r, a.Position, t.Nodes)
	out.Caps = q.caps(r, a.Position)
	if !a.Admitted {
		out.Next = q.next(r, &out)
	}
	return out
}
