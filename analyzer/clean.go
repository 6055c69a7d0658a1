package analyzer

import (
	"fmt"
	"time"
)

// scope counts the canaries of all stages, or of this one. A pass asks the same of both:
// the many nodes of earlier stages must not speak for the few that this one added.
type scope struct {
	name                              string
	admitted, live, exposed, excluded int
	unexposed, left                   []string
}

func (s *scope) add(h *history) {
	s.admitted++
	switch {
	case h.state.Excluded:
		s.excluded++
		s.left = capped(s.left, h.Certname)
	case h.state.Exposed:
		s.live++
		s.exposed++
	default:
		s.live++
		s.unexposed = capped(s.unexposed, h.Certname)
	}
}

// scopes returns all stages and, where that is not the same, this stage alone.
func (c *cohorts) scopes() []scope {
	whole, stage := c.tally.whole, c.tally.stage
	if stage.admitted == whole.admitted {
		return []scope{whole}
	}
	return []scope{whole, stage}
}

func (s scope) lacks(p Policy) []string {
	if s.admitted == 0 {
		return []string{"there are no " + s.name}
	}
	var out []string
	if s.live == 0 {
		out = append(out, fmt.Sprintf("none of the %d %s was alive and enforcing before its admission", s.admitted, s.name))
	} else if need := max(1, needed(p.Coverage, s.live)); s.exposed < need {
		out = append(out, fmt.Sprintf("%d of %d live %s are exposed, %d are needed; not yet: %s",
			s.exposed, s.live, s.name, need, names(s.unexposed, s.live-s.exposed)))
	}
	if s.excluded > most(p.Silence.MaxExcluded, s.admitted) {
		out = append(out, fmt.Sprintf("%d of %d %s are left out, not alive or not enforcing before: %s",
			s.excluded, s.admitted, s.name, names(s.left, s.excluded)))
	}
	return out
}

// lacks lists what a clean pass still needs, apart from the checks: who is exposed, for
// how long, and whether the sources can be trusted. An empty list is no pass yet.
func (c *cohorts) lacks(n Counts) []string {
	var out []string
	for _, s := range c.scopes() {
		out = append(out, s.lacks(c.policy)...)
	}
	if behind := c.tally.behind; behind > 0 {
		out = append(out, fmt.Sprintf("%d exposed nodes have fewer than %d runs of the candidate, the fewest %d: %s",
			behind, c.policy.Runs, n.Runs, names(c.tally.behindNames, behind)))
	}
	if n.Silent > 0 {
		out = append(out, fmt.Sprintf("%d admitted nodes are silent: %s", n.Silent, names(n.SilentNodes, n.Silent)))
	}
	if of := n.Control + n.ControlExcluded; n.ControlExcluded > most(c.policy.Silence.MaxExcluded, of) {
		out = append(out, fmt.Sprintf("%d of %d controls are left out, not alive or not enforcing before the stage", n.ControlExcluded, of))
	}
	if end := c.evidence.StageStarted.Add(c.evidence.Bake); c.evidence.Now.Before(end) {
		out = append(out, "the stage bakes until "+end.Format(time.RFC3339))
	}
	return append(out, c.staleness()...)
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
