package analyzer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Judge turns evidence into a verdict. It is a pure function and does not depend on the
// order of nodes, runs or SLIs.
//
// A fail needs the stop rule, an SLI beyond its limit, or an SLI significantly worse than
// tolerated. A pass needs the lack of all of these and everything that clean.go lists. All
// else, evidence or a policy that makes no sense included, is inconclusive.
func Judge(p Policy, e Evidence) Verdict {
	v := Look(p, e)
	digest, err := e.WriteCanonical(nil)
	if err != nil {
		return refused([]string{err.Error()})
	}
	v.Evidence = digest
	return v
}

// Look is Judge without the digest of the evidence, which takes longer than all the rest: for a look that moves nothing.
func Look(p Policy, e Evidence) Verdict {
	e = e.normalized()
	problems := e.problems()
	if err := p.Validate(); err != nil {
		problems = append(problems, strings.Split("policy: "+err.Error(), "\n")...)
	}
	if len(problems) > 0 {
		return refused(problems)
	}
	return newCohorts(p, e).verdict()
}

// refused is the verdict on what cannot be judged.
func refused(problems []string) Verdict {
	return Verdict{Reason: "cannot be judged: " + problems[0], Missing: problems}
}

func (c *cohorts) verdict() Verdict {
	n := c.counts()
	all := c.incidents()
	s := c.rule(all, n.Exposed)
	v := Verdict{Counts: n, Missing: c.lacks(n), Culprit: c.culprit(all)}
	var fails []crossing

	for check := range eventChecks {
		made, hold, crossed := c.eventCheck(check, all, s, n, v.Culprit)
		v.Checks = append(v.Checks, made)
		v.Missing = append(v.Missing, hold...)
		if crossed != nil {
			fails = append(fails, *crossed)
		}
	}
	for i := range magnitudes {
		made, crossed, looks := c.magnitudeCheck(i)
		v.Checks, v.Looks = append(v.Checks, made), append(v.Looks, looks...)
		if crossed != nil {
			fails = append(fails, *crossed)
		}
		if made.Result == Inconclusive && !made.Optional {
			v.Missing = append(v.Missing, made.Name+": "+made.Reason)
		}
	}
	slis := c.slis()
	for _, r := range slis {
		v.Checks, v.Looks = append(v.Checks, r.Check), append(v.Looks, r.looks...)
		if r.required && r.Result != Pass {
			v.Missing = append(v.Missing, r.Name+": "+r.Reason)
		}
	}
	if why := c.placebo(); why != "" {
		v.Missing = append(v.Missing, why)
	}
	slices.SortFunc(v.Checks, func(a, b Check) int { return strings.Compare(a.Name, b.Name) })
	v.Looks = normalLooks(v.Looks)
	v.Accounts = c.accounts(v.Checks, v.Looks)
	v.Uncertified = c.certify(v.Checks)
	c.conclude(&v, s, fails, slis)
	return v
}

// conclude sets the result: the roads to fail first, then what is missing, then a pass.
func (c *cohorts) conclude(v *Verdict, s stop, fails []crossing, slis []sliResult) {
	failed := slices.DeleteFunc(slices.Clone(slis), func(r sliResult) bool { return r.Result != Fail })
	slices.SortFunc(failed, func(a, b sliResult) int { // limits before bounds, then by name
		return cmp.Or(-strings.Compare(a.road, b.road), strings.Compare(a.Name, b.Name))
	})
	switch {
	case s.reached:
		v.Result, v.Road, v.Missing = Fail, RoadStopRule, nil
		v.Reason = s.sentence(v.Culprit, v.Counts.Control)
	case len(fails) > 0:
		v.Result, v.Road, v.Missing = Fail, RoadBound, nil
		v.Reason = fails[0].check + ": " + fails[0].reason
		if fails[0].check == eventNames[silenceEvents] {
			v.Culprit = c.silent(v.Counts)
		}
		if v.Culprit != nil {
			v.Reason += "; most often " + v.Culprit.describe()
		}
	case len(failed) > 0:
		v.Result, v.Road, v.Missing = Fail, failed[0].road, nil
		v.Reason = failed[0].Name + ": " + failed[0].Reason
	case len(v.Missing) > 0:
		v.Reason = v.Missing[0]
		if more := len(v.Missing) - 1; more > 0 {
			v.Reason += fmt.Sprintf(" (and %d more that it waits for)", more)
		}
	case v.Counts.Admitted > 0 && v.Counts.Live > 0 && v.Counts.Exposed > 0:
		v.Result, v.Grade = Pass, Clean
		if c.evidence.Ask > 0 && len(v.Uncertified) == 0 {
			v.Grade = Certified
		}
		v.Reason = c.gradeSentence(v.Grade, v.Counts, v.Checks)
	default:
		v.Reason = noEvidence
		v.Missing = []string{noEvidence}
	}
}

const noEvidence = "no exposed node yet"

func (of class) shownBy(o observed) bool {
	return o.Outcome.Failure() && (o.Outcome == Failed) == (of == resourceClass)
}
