package analyzer

import (
	"fmt"
	"math"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// firstRuns is the time after its admission, in usual intervals, in which an event of a node counts as its answer to the
// change: two runs. For controls it counts from the start of the stage.
const firstRuns = 2

// answer counts, for a certified pass, who had an event in the first runs after the change.
type answer struct {
	nodes, events     int // admitted, of all stages
	controls, without int // controls, and those of them with an event at the start of the stage
	// of are the nodes that this stage admitted, after those with an event in the first runs since, before in as long a time
	// before.
	of, after, before int
}

// certify says for every check what a certified pass still lacks (facts: 2.7). Evidence of all stages counts: the upper limit
// of the admitted nodes' share less the lower limit of the controls' must lie below what is to be ruled out.
func (c *cohorts) certify(checks []Check) []string {
	if ok, why := c.compared(); !ok {
		return []string{why}
	}
	var out []string
	for check, name := range eventNames {
		p := c.policy.Checks.event(check)
		if !p.Required {
			continue
		}
		delta, confidence := p.ruleOut(len(c.evidence.Nodes))
		a := c.tally.answers[check]
		if check != silenceEvents {
			a.events += c.tally.quiet // would it still pass if every silent one had failed?
		}
		level := 1 - confidence
		upper := stats.ClopperPearsonUpper(min(a.events, a.nodes), a.nodes, 1-.9*level)
		lower := stats.ClopperPearsonLower(min(a.without, a.controls), a.controls, 1-.1*level)
		if a.nodes > 0 && upper-lower < delta {
			for i := range checks {
				if checks[i].Name == name {
					checks[i].Excludes, checks[i].Confidence = delta, confidence
				}
			}
			continue
		}
		missing := fmt.Sprintf("%s: to rule out +%.3g points with %.3g %% confidence", name, 100*delta, 100*confidence)
		if need := stats.NodesToRuleOut(a.events, math.Min(1, delta+lower), 1-.9*level); need != math.MaxInt && need > a.nodes {
			missing += fmt.Sprintf(", %d more exposed nodes are needed (%d of %d had it so far)", need-a.nodes, a.events, a.nodes)
		}
		out = append(out, missing)
	}
	for i := range magnitudes {
		out = append(out, c.certifyMagnitude(i, checks)...)
	}
	return out
}

// certifyMagnitude: where it is required, the upper limit of the shift must lie below what is to be ruled out.
func (c *cohorts) certifyMagnitude(i int, checks []Check) []string {
	name, p := magnitudeNames[i], c.policy.Checks.magnitude(i)
	if !p.Required {
		return nil
	}
	delta := p.RuleOut
	if delta == 0 {
		delta = defaultChecks().magnitude(i).RuleOut
	}
	for _, check := range checks {
		switch {
		case check.Name != name:
		case check.Result != Pass:
			return []string{name + ": " + check.Reason}
		case check.High < delta:
			return nil
		default:
			return []string{fmt.Sprintf("%s: to rule out %+.3g %%: it may be up to %.2g %% longer so far", name, 100*delta, 100*check.High)}
		}
	}
	return []string{name + ": was not looked at"}
}

// answered counts a node.
func (t *tally) answered(c *cohorts, h *history) {
	s := &h.state
	if s.Excluded || h.Outside {
		return
	}
	span := firstRuns * time.Duration(c.policy.Silence.Interval+c.policy.Silence.Splay)
	reference := c.evidence.StageStarted
	if s.Admitted {
		reference = h.AdmittedAt.Time()
		t.quiet += oneIf(s.Silent)
	}
	until := reference.Add(span)
	var had, before, lately [eventChecks]bool
	for _, runs := range [][]observed{h.before, h.after} {
		for i := range runs {
			o := &runs[i]
			check := failureEvents
			if o.Outcome != Failed {
				check = compileEvents
			}
			switch at := o.at(); {
			case o.Tainted || !o.Outcome.Failure() || at.Before(reference.Add(-c.policy.lookBack())) || at.After(until):
			case at.Before(reference):
				before[check] = true // it fails anyway
				lately[check] = lately[check] || !at.Before(reference.Add(-span))
			default:
				had[check] = true
			}
		}
	}
	had[silenceEvents] = s.Silent
	if s.Admitted && !s.Exposed && had == ([eventChecks]bool{}) {
		return // has not answered yet, whatever else it ran
	}
	for check := range had {
		a := &t.answers[check]
		if s.Admitted && int(h.Stage) == c.evidence.StageIndex {
			a.of++
			a.after += oneIf(had[check])
			a.before += oneIf(lately[check])
		}
		switch {
		case before[check]:
		case s.Admitted:
			a.nodes++
			a.events += oneIf(had[check])
		default:
			a.controls++
			a.without += oneIf(had[check])
		}
	}
}

// worseThanBefore holds a stage that has nobody to compare with, if more of its nodes fail than in as long a time before they
// had the change, by what is to be ruled out. The time of day can do that too, so it is no reason to take the change back.
func (c *cohorts) worseThanBefore(of class) string {
	if ok, _ := c.compared(); ok || !c.byCounts() {
		return ""
	}
	check := failureEvents
	if of == compileClass {
		check = compileEvents
	}
	a := c.tally.answers[check]
	delta, _ := c.policy.Checks.event(check).ruleOut(len(c.evidence.Nodes))
	if share(a.after-a.before, a.of) <= delta {
		return ""
	}
	return fmt.Sprintf("%s: %d of %d nodes of this stage in their first runs with the change, %d in as long a time before it, and no control is left to compare with", eventNames[check], a.after, a.of, a.before)
}
