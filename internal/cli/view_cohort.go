package cli

import (
	"strings"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// cohortView is a group of nodes that are compared.
type cohortView struct {
	Name    string `json:"name"` // canary, control or holdback
	Nodes   int    `json:"nodes"`
	Exposed int    `json:"exposed,omitempty"`
	Silent  int    `json:"silent,omitempty"`
	Failed  int    `json:"failed,omitempty"`
	Left    int    `json:"left_out,omitempty"` // not alive or not enforcing before, so nothing can be said about them
}

const (
	cohortCanary   = "canary"
	cohortControl  = "control"
	cohortHoldback = "holdback"
)

// cohortsOf are the cohorts as the leader counted them last; none where it has not.
func cohortsOf(r *tree.Rollout, v *rolloutView) []cohortView {
	if !v.Counts.Known || r.State.Current() < 0 {
		return nil
	}
	c := verdictOf(r).Counts
	out := []cohortView{
		{Name: cohortCanary, Nodes: c.Admitted, Exposed: c.Exposed, Silent: c.Silent, Failed: c.Failed + c.CompileFailed + c.Hidden, Left: c.Excluded},
		{Name: cohortControl, Nodes: c.Control, Failed: c.ControlFailed, Left: c.ControlExcluded},
	}
	if h := r.Spec.Schedule.HoldbackFor(v.Nodes); h > 0 && v.Nodes > 0 && v.Status != settling {
		out = append(out, cohortView{Name: cohortHoldback, Nodes: schedule.Percent(h).Of(v.Nodes)})
	}
	return out
}

func (c cohortView) word() string {
	switch c.Name {
	case cohortCanary:
		return "admitted"
	case cohortControl:
		return "compared"
	}
	return "kept back"
}

// text is what there is to say of a cohort; counted adds its size, where no column shows that.
func (c cohortView) text(counted bool) string {
	said := c.said()
	if counted {
		return plural(c.Nodes, "node") + ", " + said
	}
	return said
}

func (c cohortView) said() string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, number(n)+" "+what)
		}
	}
	if c.Name == cohortCanary {
		parts = append(parts, number(c.Exposed)+" exposed")
	}
	add(c.Failed, "failed")
	add(c.Silent, "silent")
	add(c.Left, "left out")
	switch {
	case c.Name == cohortHoldback:
		return "gets the change last"
	case c.Name == cohortControl && c.Nodes == 0:
		return "nobody is left to compare with"
	case len(parts) == 0:
		return "none failed"
	}
	return strings.Join(parts, ", ")
}
