package analyzer

import (
	"fmt"
	"time"
)

// lacks lists what a clean pass still needs, apart from the checks: who is exposed, for
// how long, and whether the sources can be trusted. An empty list is no pass yet.
func (c *cohorts) lacks(n Counts) []string {
	var out []string
	need := func(ok bool, format string, args ...any) {
		if !ok {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	p, e := c.policy, c.evidence
	need(n.Admitted > 0, "no node is admitted")
	need(n.Admitted == 0 || n.Live > 0, "none of the %d admitted nodes was alive and enforcing before its admission", n.Admitted)
	need(n.Live == 0 || n.Exposed >= max(1, needed(p.Coverage, n.Live)), "%d of %d live admitted nodes are exposed, %d are needed; not yet: %s",
		n.Exposed, n.Live, max(1, needed(p.Coverage, n.Live)), names(n.Unexposed, n.Live-n.Exposed))
	if behind := c.behind(); len(behind) > 0 {
		need(false, "%d exposed nodes have fewer than %d runs of the candidate, the fewest %d: %s", len(behind), p.Runs, n.Runs, names(behind, len(behind)))
	}
	need(n.Silent == 0, "%d admitted nodes are silent: %s", n.Silent, names(n.SilentNodes, n.Silent))
	need(n.Excluded <= most(p.Silence.MaxExcluded, n.Admitted), "%d of %d admitted nodes are left out, not alive or not enforcing before: %s",
		n.Excluded, n.Admitted, names(n.ExcludedNodes, n.Excluded))
	controls := n.Control + n.ControlExcluded
	need(n.ControlExcluded <= most(p.Silence.MaxExcluded, controls), "%d of %d controls are left out, not alive or not enforcing before the stage",
		n.ControlExcluded, controls)
	need(c.stageHasNodes(), "stage %q has admitted no node", e.Stage)
	if end := e.StageStarted.Add(e.Bake); e.Now.Before(end) {
		need(false, "the stage bakes until %s", end.Format(time.RFC3339))
	}
	return append(out, c.staleness()...)
}

// stageHasNodes: nodes of earlier stages are no reason to go on from a stage that is empty.
func (c *cohorts) stageHasNodes() bool {
	for _, h := range c.canaries {
		if h.Stage == c.evidence.StageIndex {
			return true
		}
	}
	return false
}

// behind names the exposed nodes with too few runs.
func (c *cohorts) behind() (out []string) {
	for _, h := range c.canaries {
		if s := h.state; s.Exposed && !s.Excluded && s.Runs < c.policy.Runs {
			out = append(out, h.Certname)
		}
	}
	return out
}

func (c *cohorts) staleness() []string {
	s := c.evidence.Sources
	var out []string
	if !s.Fresh {
		out = append(out, "the sources are not fresh")
	}
	for _, r := range s.Reasons {
		out = append(out, "source: "+r)
	}
	if s.Through.IsZero() {
		out = append(out, "it is not known up to when reports are complete")
	} else if s.Through.Before(c.evidence.StageStarted) {
		out = append(out, fmt.Sprintf("reports are complete only up to %s, before the stage started", s.Through.Format(time.RFC3339)))
	}
	return out
}

// most is the largest whole number that is at most share of n.
func most(share float64, n int) int { return int(share*float64(n) + 1e-9) }

// gradeSentence says what a clean pass is worth.
func (c *cohorts) gradeSentence(n Counts, checks []Check) string {
	out := fmt.Sprintf("clean: %d of %d live admitted nodes exposed, at least %d runs each, no failure of the change", n.Exposed, n.Live, n.Runs)
	if n.Excluded > 0 {
		out += fmt.Sprintf(", %d left out", n.Excluded)
	}
	for _, check := range checks {
		if check.Name == resourceClass.String() {
			out += fmt.Sprintf("; rules out that more than %.2g %% of nodes fail (%.0f %% confidence)", 100*check.RulesOut, 100*confidence)
		}
	}
	return out
}
