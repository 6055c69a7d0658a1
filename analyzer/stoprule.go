package analyzer

import (
	"fmt"
	"slices"
)

// stop is what the deterministic stop rule says.
type stop struct {
	reached bool
	// nodes with a decisive incident; of and need are the scope that was compared.
	nodes, of, need int
	scope           string
	classes         map[class]bool
}

// rule counts admitted nodes with a decisive incident, in all stages together and in this
// stage alone: a bad last stage must not drown in the good ones before it.
func (c *cohorts) rule(all []incident, exposed int) stop {
	p := c.policy.Stop
	whole := stopOf(p, all, "the admitted nodes", c.tally.whole.admitted, func(incident) bool { return true })
	index := c.evidence.StageIndex
	stage := stopOf(p, all, "the nodes of this stage", c.tally.stage.admitted, func(i incident) bool { return i.stage == index })
	out := whole
	if stage.reached && !whole.reached {
		out = stage
	}
	if p.Below > 0 && exposed >= p.Below {
		out.reached = false
	}
	return out
}

func stopOf(p StopPolicy, all []incident, scope string, of int, in func(incident) bool) stop {
	s := stop{scope: scope, of: of, need: max(p.Min, needed(p.Share, of)), classes: map[class]bool{}}
	nodes := map[string]bool{}
	for _, i := range all {
		if i.decisive() && in(i) {
			nodes[i.node] = true
			s.classes[i.class] = true
		}
	}
	s.nodes = len(nodes)
	s.reached = s.nodes > 0 && s.nodes >= s.need
	return s
}

// sentence explains a fail by the stop rule.
func (s stop) sentence(blame *Culprit, controls int) string {
	out := fmt.Sprintf("stop rule: %d of %d of %s failed to compile or failed again, with what no other node shows (%d is enough)",
		s.nodes, s.of, s.scope, s.need)
	if controls == 0 {
		out += "; there is no control node to compare with"
	}
	if blame != nil {
		out += "; most often " + blame.describe()
	}
	return out
}

// hold is why the pending incidents of one class keep the stage, most nodes first. Among many nodes something always fails:
// there only what is new, certain and on more nodes than tolerated does.
func (c *cohorts) hold(all []incident, of class, s stop) []string {
	counts := c.byCounts()
	check := of.check()
	tolerated := most(c.policy.Checks.event(check).Tolerate, c.tally.whole.admitted)
	var out []string
	for _, g := range grouped(all, func(i incident) bool { return i.class == of && i.pending() && (!counts || i.decisive()) }) {
		if !counts || len(g.nodes) > tolerated {
			out = append(out, g.sentence(s, c.policy.Runs))
		}
	}
	return out
}

// sentence says what the failure is and what would decide.
func (g group) sentence(s stop, runs int) string {
	who := fmt.Sprintf("%d admitted nodes (%s)", len(g.nodes), names(g.nodes, len(g.nodes)))
	if len(g.nodes) == 1 {
		who = g.nodes[0]
	}
	what := g.incidents[0].describe()
	clean := count(runs, "clean run") + " of the candidate on each of these nodes"
	some := func(f func(incident) bool) bool { return slices.ContainsFunc(g.incidents, f) }
	switch {
	case some(func(i incident) bool { return i.origin == shared }):
		return fmt.Sprintf("%s: %s, but nodes without the change show it too, or a report there has no detail; %s would clear it", who, what, clean)
	case some(func(i incident) bool { return i.decisive() }):
		return fmt.Sprintf("%s: %s, which no other node shows; %d of %d nodes that the stop rule needs; %s would clear it", who, what, s.nodes, s.need, clean)
	case some(func(i incident) bool { return i.refresh && i.cleared }):
		return fmt.Sprintf("%s: %s did not restart, and puppet does not try again, so clean runs prove nothing; a person has to look", who, what)
	}
	return fmt.Sprintf("%s: %s, once so far; the next run decides, and %s would clear it", who, what, clean)
}
