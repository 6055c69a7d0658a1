package why

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// Settling is the name of what follows the last stage: everyone is admitted, the holdback too, in steps where blast has a limit.
const Settling = "settling"

// Next says when it is the node's turn.
type Next struct {
	Says string `json:"says"` // in a sentence
	// Stage admits the node, Settling where the holdback keeps it to the end; "" where none will.
	Stage string `json:"stage,omitempty"`
	// Possible are stages before it that may admit it.
	Possible []string `json:"possible,omitempty"`
	// After are the stages that have to pass before it begins.
	After []string `json:"after,omitempty"`
	// Waits are the gates that are closed now.
	Waits []gate.Gate `json:"waits,omitempty"`
	// Approvals are stages, up to the one that admits it, that people have yet to approve.
	Approvals []string `json:"approvals,omitempty"`
	// NotBefore is the earliest that calendar, bakes and gates leave; zero where nothing but closed gates keeps it. A stage
	// that turns out to add nobody is passed at once, and may make it earlier.
	NotBefore time.Time `json:"not_before,omitzero"`
}

func (q *question) next(r *tree.Rollout, v *Rollout) *Next {
	n := &Next{}
	switch cap := keeping(v.Caps, v.Reason); {
	case v.Reason == segments.ReasonBackedOut || r.State.Phase == gate.BackedOut:
		n.Says = "never by itself: the rollout is backed out; sluice unveto " + v.Name + " lets its change be started again"
		return n
	case r.State.Phase.Ended():
		n.Says = fmt.Sprintf("not by this rollout: it is %s", r.State.Phase)
		return n
	case cap != nil:
		q.kept(n, cap)
	}
	i := admitting(v.Stages, n)
	q.waits(n, r, i)
	never := q.earliest(n, r, i)
	parts := []string{"by stage " + n.Stage}
	if n.Stage == Settling {
		parts = []string{"after the last stage: it is of the holdback, which is kept as control to the end"}
	}
	if len(n.Possible) > 0 {
		parts = append(parts, "perhaps earlier by "+strings.Join(n.Possible, " or "))
	}
	if len(n.After) > 0 {
		parts = append(parts, "after "+strings.Join(n.After, ", "))
	}
	if names := gateNames(n.Waits); len(names) > 0 {
		parts = append(parts, "waits for "+strings.Join(names, ", "))
	} else if r.Status.At.IsZero() {
		parts = append(parts, "no leader has looked at it yet")
	}
	if len(n.Approvals) > 0 {
		parts = append(parts, "needs approval of "+strings.Join(n.Approvals, ", "))
	}
	if never != "" {
		parts = append(parts, "it never begins: "+never)
	} else if !n.NotBefore.IsZero() {
		parts = append(parts, "not before "+n.NotBefore.UTC().Format(time.RFC3339))
	}
	if n.Says != "" {
		n.Says += "; then "
	}
	n.Says += strings.Join(parts, "; ")
	return n
}

// kept begins the sentence with what keeps the node now.
func (q *question) kept(n *Next, c *Cap) {
	switch {
	case !c.Until.IsZero():
		n.Says, n.NotBefore = fmt.Sprintf("when %s ends, at %s or by a person", c.Source, c.Until.UTC().Format(time.RFC3339)), c.Until
	case strings.HasPrefix(c.Source, gate.CapCutOut+"/"):
		n.Says = fmt.Sprintf("never by itself: %s stands until a person takes it back (sluice unveto)", c.Source)
	default:
		n.Says = fmt.Sprintf("when a person ends %s, which has no end of its own", c.Source)
	}
}

// admitting gives the index of the stage that is sure to admit the node; the number of stages is the settling.
func admitting(stages []Stage, n *Next) int {
	for i, s := range stages {
		switch s.Admits {
		case Yes:
			n.Stage = s.Name
			return i
		case Unknown:
			n.Possible = append(n.Possible, s.Name)
		}
	}
	n.Stage = Settling
	return len(stages)
}

// leaving are gates that a stage's own growth does not wait for.
var leaving = []string{"coverage", "bake", "verdict", "approval"}

// waits gives the stages before it, and the gates that are closed now and matter to the node.
func (q *question) waits(n *Next, r *tree.Rollout, i int) {
	from := max(r.State.Current(), 0)
	if r.State.Phase == gate.Settling {
		from = len(r.Spec.Schedule.Stages)
	}
	for j := from; j < min(i, len(r.Spec.Schedule.Stages)); j++ {
		n.After = append(n.After, r.Spec.Schedule.Stages[j].Name)
	}
	for j := r.State.Current() + 1; j < min(i+1, len(r.Spec.Schedule.Stages)); j++ {
		stage := r.Spec.Schedule.Stages[j]
		if _, approved := r.State.Approvals[stage.Name]; stage.Approval && !approved {
			n.Approvals = append(n.Approvals, stage.Name)
		}
	}
	for _, g := range r.Status.Gates {
		if !g.Open && (i > r.State.Current() || !slices.Contains(leaving, g.Name)) {
			n.Waits = append(n.Waits, g)
		}
	}
}

// earliest sets NotBefore, or says why it never comes.
func (q *question) earliest(n *Next, r *tree.Rollout, i int) (never string) {
	at := q.Now
	if n.NotBefore.After(at) {
		at = n.NotBefore
	}
	if s := r.Spec.Schedule.Start; s != nil && r.State.Current() < 0 && s.NotBefore.After(at) {
		at = s.NotBefore
	}
	for _, g := range n.Waits {
		if g.Next.After(at) {
			at = g.Next
		}
	}
	current, stages := r.State.Current(), r.Spec.Schedule.Stages
	if current >= 0 && i > current && r.State.Stages[current].Full.IsZero() {
		at = at.Add(bake(stages[current]))
	}
	calendar := schedule.Calendar{Windows: r.Spec.Windows}
	for j := current + 1; j <= i && j < len(stages); j++ {
		if at, never = calendar.After(stages[j], at, 0); never != "" {
			n.NotBefore = time.Time{}
			return never
		}
		if j < i {
			at = at.Add(bake(stages[j]))
		}
	}
	if at.After(q.Now) {
		n.NotBefore = at.UTC()
	}
	return ""
}

func bake(s schedule.Stage) time.Duration { return time.Duration(s.Bake.Time) }

func gateNames(gates []gate.Gate) (out []string) {
	for _, g := range gates {
		out = append(out, g.Name)
	}
	return out
}
