package analyzer

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mathext"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// CertifiedError is the probability with which a rollout may be given a certified pass, in any of its stages, though the change does
// as much as is to be ruled out.
const CertifiedError = .01

// leastAnswers is the share of the live nodes that must be exposed: what it costs to look again while the rest answer is known
// (stats.LooksCost).
const leastAnswers = .95

// answer counts, for a certified pass, who had an event in the first runs after the change.
type answer struct {
	nodes, events     int // admitted, of all stages
	controls, without int // controls, and those of them with an event since the start of the stage
	// of are the nodes that this stage admitted, after those with an event in the first runs since, before in as long a time
	// before.
	of, after, before int
}

// askError is what the ask-th of asks stages that ask for a certificate may spend. The first, which has the fewest nodes, has half of
// it, and the others share the rest: they sum up to what one alone may, so that a union bound is all it takes. Stages that do not ask
// have no certificate, since they would spend, too.
func askError(ask, asks int) float64 {
	switch {
	case asks <= 1:
		return CertifiedError
	case ask == 1:
		return CertifiedError / 2
	}
	return CertifiedError / 2 / float64(asks-1)
}

// NodesToCertify is how many nodes it takes to rule out what this policy asks for if none has an event, in the ask-th of asks
// stages that ask for it, in a fleet of which so many are controls.
func (p Policy) NodesToCertify(fleet, controls, ask, asks int) int {
	most := 0
	for check := range eventNames {
		if c := p.Checks.event(check); c.Required {
			most = max(most, stats.NodesToExclude(0, 0, controls, c.ruleOut(fleet), askError(ask, asks)))
		}
	}
	return most
}

// certify says for every check what a certified pass still lacks (facts: 2.7). Evidence of all stages counts: the upper limit of
// the difference between the admitted nodes' share and the controls' must lie below what is to be ruled out. Of a stage that does
// not ask for one nothing is missing, and its pass is clean.
func (c *cohorts) certify(checks []Check) []string {
	if c.evidence.Ask == 0 {
		return nil
	}
	if ok, why := c.compared(); !ok {
		return []string{why}
	}
	var out []string
	for _, s := range c.scopes() {
		if need := needed(leastAnswers, s.live); s.exposed < need {
			out = append(out, fmt.Sprintf("%d of %d live %s are exposed, %d are needed, whatever coverage asks for", s.exposed, s.live, s.name, need))
		}
	}
	spends := askError(c.evidence.Ask, c.evidence.Asks)
	waves := c.waves()
	for check, name := range eventNames {
		p := c.policy.Checks.event(check)
		if !p.Required {
			continue
		}
		delta := p.ruleOut(len(c.evidence.Nodes))
		a := c.tally.answers[check]
		if check != silenceEvents {
			a.events += c.tally.quiet // would it still pass if every silent one had failed?
		}
		events, failed := min(a.events, a.nodes), min(a.without, a.controls)
		if check != silenceEvents {
			failed = most(without(waves, check), a.controls)
		}
		if stats.DifferenceExcludes(events, a.nodes, failed, a.controls, delta, spends) {
			for i := range checks {
				if checks[i].Name == name {
					checks[i].Excludes, checks[i].Confidence = delta, 1-CertifiedError
				}
			}
			continue
		}
		missing := fmt.Sprintf("%s: to rule out +%.3g points with %.3g %% confidence", name, 100*delta, 100*(1-CertifiedError))
		if need := stats.NodesToExclude(events, failed, a.controls, delta, spends); need != math.MaxInt && need > a.nodes {
			missing += fmt.Sprintf(", %d more exposed nodes are needed (%d of %d had it so far)", need-a.nodes, a.events, a.nodes)
		}
		out = append(out, missing)
	}
	for i := range magnitudes {
		out = append(out, c.certifyMagnitude(i, checks, spends)...)
	}
	return out
}

// certifyMagnitude: where it is required, the upper limit of the shift must lie below what is to be ruled out.
func (c *cohorts) certifyMagnitude(i int, checks []Check, spends float64) []string {
	name, p := magnitudeNames[i], c.policy.Checks.magnitude(i)
	if !p.Required {
		return nil
	}
	delta := p.RuleOut
	if delta == 0 {
		delta = defaultChecks().magnitude(i).RuleOut
	}
	for _, check := range checks {
		if check.Name != name {
			continue
		}
		if check.Result != Pass {
			return []string{name + ": " + check.Reason}
		}
		strata, _, _, _ := c.valuesByStratum(i)
		if most := shiftBelow(strata, mathext.NormalQuantile(1-spends/stats.LooksCost(check.Canary))); most >= delta {
			return []string{fmt.Sprintf("%s: to rule out %+.3g %%: it may be up to %.2g %% longer so far", name, 100*delta, 100*most)}
		}
		return nil
	}
	return []string{name + ": was not looked at"}
}

// answered counts a node.
func (t *tally) answered(c *cohorts, h *history) {
	s := &h.state
	if s.Excluded || h.Outside {
		return
	}
	span := c.policy.firstRuns()
	reference := c.evidence.StageStarted
	var in *intake
	if s.Admitted {
		reference = h.AdmittedAt.Time()
		t.quiet += oneIf(s.Silent)
		in = t.intake(h.admission())
		in.nodes++
	} else {
		t.controls++
	}
	until := reference.Add(span)
	var had, before, lately [eventChecks]bool
	for _, runs := range [][]observed{h.before, h.after} {
		for i := range runs {
			o := &runs[i]
			check := o.check()
			switch at := o.at(); {
			case o.Tainted || !o.Outcome.Failure() || at.Before(reference.Add(-c.policy.failingBack())) || at.After(until):
			case at.Before(reference):
				before[check] = true // it fails anyway
				lately[check] = lately[check] || !at.Before(reference.Add(-span))
			default:
				had[check] = true
			}
		}
	}
	had[silenceEvents] = s.Silent
	if s.Admitted && (!s.Exposed || s.Runs < c.policy.Runs) && had == ([eventChecks]bool{}) {
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
			in.answers[check]++
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
	check := of.check()
	a := c.tally.answers[check]
	delta := c.policy.Checks.event(check).ruleOut(len(c.evidence.Nodes))
	if share(a.after-a.before, a.of) <= delta {
		return ""
	}
	return fmt.Sprintf("%s: %d of %d nodes of this stage in their first runs with the change, %d in as long a time before it, and no control is left to compare with", eventNames[check], a.after, a.of, a.before)
}
