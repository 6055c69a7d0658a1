package analyzer

import (
	"fmt"
	"slices"
	"time"
)

// scope counts the canaries of all stages, or of this one. A pass asks the same of both:
// the many nodes of earlier stages must not speak for the few that this one added.
type scope struct {
	name                              string
	admitted, live, exposed, excluded int
	silent                            int // of the live
	unproven                          int // not exposed, as no catalog shows the parameters
	unexposed, left                   []string
	// withRuns counts exposed nodes by how many runs they have, mostRuns and more together.
	withRuns [mostRuns + 1]int
}

func (s *scope) add(h *history) {
	s.admitted++
	s.silent += oneIf(h.state.Silent)
	switch {
	case h.state.Excluded:
		s.excluded++
		s.left = capped(s.left, h.Certname)
	case h.state.Exposed:
		s.live++
		s.exposed++
		s.withRuns[min(h.state.Runs, mostRuns)]++
	default:
		s.live++
		s.unexposed = capped(s.unexposed, h.Certname)
		if h.Unproven {
			s.unproven++
		}
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
		why := ""
		if s.unproven > 0 {
			why = fmt.Sprintf("; the catalogs of %d do not show the parameters (they need class sluice)", s.unproven)
		}
		out = append(out, fmt.Sprintf("%d of %d live %s are exposed, %d are needed; not yet: %s%s",
			s.exposed, s.live, s.name, need, names(s.unexposed, s.live-s.exposed), why))
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
	if behind := c.tally.behind; n.Exposed > 0 && n.Runs < c.policy.Runs {
		out = append(out, fmt.Sprintf("%s with fewer than %s of the candidate, the fewest %d: %s",
			count(behind, "exposed node"), count(c.policy.Runs, "run"), n.Runs, names(c.tally.behindNames, behind)))
	}
	if c.quiet(n) {
		out = append(out, fmt.Sprintf("%s without a sign of life for too long: %s", count(n.Silent, "admitted node"), names(n.SilentNodes, n.Silent)))
	}
	if of := n.Control + n.ControlExcluded; n.ControlExcluded > most(c.policy.Silence.MaxExcluded, of) {
		out = append(out, fmt.Sprintf("%d of %s are left out, not alive or not enforcing before the stage", n.ControlExcluded, count(of, "control")))
	}
	if end := c.evidence.StageStarted.Add(c.evidence.Bake); c.evidence.Now.Before(end) {
		out = append(out, "the stage bakes until "+end.Format(time.RFC3339))
	}
	return append(out, c.staleness()...)
}

// quiet says whether too many admitted nodes are silent for a pass: any of few; of many, by what is to be ruled out more than
// of the controls, in all stages or in this one.
func (c *cohorts) quiet(n Counts) bool {
	if n.Silent == 0 || !c.byCounts() {
		return n.Silent > 0
	}
	delta := c.policy.Checks.Silence.ruleOut(len(c.evidence.Nodes))
	controls := share(c.tally.controlSilent, n.Control)
	return slices.ContainsFunc(c.scopes(), func(s scope) bool { return share(s.silent, s.live)-controls > delta })
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

// gradeSentence says what a pass is worth.
func (c *cohorts) gradeSentence(grade Grade, n Counts, checks []Check) string {
	out := fmt.Sprintf("%s: %d of %s exposed, at least %s each, no failure of the change", grade, n.Exposed, count(n.Live, "live admitted node"), count(n.Runs, "run"))
	if c.byCounts() {
		than := "the controls"
		if ok, _ := c.compared(); !ok {
			than = "before (too few controls are left to compare with)"
		}
		out = fmt.Sprintf("%s: %d of %s exposed, %s, no check worse than %s", grade, n.Exposed, count(n.Live, "live admitted node"), count(n.Runs, "run"), than)
	}
	if n.Excluded > 0 {
		out += fmt.Sprintf(", %d left out", n.Excluded)
	}
	for _, check := range checks {
		switch {
		case check.Name == resourceClass.String() && grade == Certified:
			out += fmt.Sprintf("; rules out that %.3g points more nodes fail (%.3g %% confidence)", 100*check.Excludes, 100*check.Confidence)
		case check.Name == resourceClass.String():
			out += fmt.Sprintf("; rules out that more than %.2g %% of nodes fail (%.0f %% confidence)", 100*check.RulesOut, 100*confidence)
		}
	}
	return out
}
