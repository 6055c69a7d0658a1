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
	v := Verdict{Counts: n, Missing: c.lacks(n), Culprit: culprit(all)}

	for _, of := range []class{compileClass, resourceClass} {
		hold := c.hold(all, of, s)
		v.Checks = append(v.Checks, c.eventCheck(of, s, n, v.Culprit, hold))
		v.Missing = append(v.Missing, hold...)
	}
	v.Checks = append(v.Checks, c.silenceCheck(n))
	slis := c.slis()
	for _, r := range slis {
		v.Checks = append(v.Checks, r.Check)
		if r.required && r.Result != Pass {
			v.Missing = append(v.Missing, r.Name+": "+r.Reason)
		}
	}
	slices.SortFunc(v.Checks, func(a, b Check) int { return strings.Compare(a.Name, b.Name) })
	c.conclude(&v, s, slis)
	return v
}

// conclude sets the result: the roads to fail first, then what is missing, then a pass.
func (c *cohorts) conclude(v *Verdict, s stop, slis []sliResult) {
	failed := slices.DeleteFunc(slices.Clone(slis), func(r sliResult) bool { return r.Result != Fail })
	slices.SortFunc(failed, func(a, b sliResult) int { // limits before bounds, then by name
		return cmp.Or(-strings.Compare(a.road, b.road), strings.Compare(a.Name, b.Name))
	})
	switch {
	case s.reached:
		v.Result, v.Road, v.Missing = Fail, RoadStopRule, nil
		v.Reason = s.sentence(v.Culprit, v.Counts.Control)
	case len(failed) > 0:
		v.Result, v.Road, v.Missing = Fail, failed[0].road, nil
		v.Reason = failed[0].Name + ": " + failed[0].Reason
	case len(v.Missing) > 0:
		v.Reason = v.Missing[0]
		if more := len(v.Missing) - 1; more > 0 {
			v.Reason += fmt.Sprintf(" (and %d more)", more)
		}
	case v.Counts.Admitted > 0 && v.Counts.Live > 0 && v.Counts.Exposed > 0:
		v.Result, v.Grade = Pass, Clean
		v.Reason = c.gradeSentence(v.Counts, v.Checks)
	default:
		v.Reason = noEvidence
		v.Missing = []string{noEvidence}
	}
}

const noEvidence = "no exposed node yet"

// eventCheck counts nodes with a failure of one class in both cohorts, all of them: which
// of them count is for the stop rule and the incidents.
func (c *cohorts) eventCheck(of class, s stop, n Counts, blame *Culprit, hold []string) Check {
	check := Check{Name: of.String(), CanaryTotal: n.Admitted, ControlTotal: n.Control}
	since := c.tally.first
	for _, h := range c.canaries {
		check.Canary += oneIf(slices.ContainsFunc(h.after, of.shownBy))
	}
	for _, h := range c.controls {
		check.Control += oneIf(!h.state.Excluded && slices.ContainsFunc(h.before, func(o observed) bool {
			return of.shownBy(o) && !o.at().Before(since)
		}))
	}
	check = check.events()
	switch {
	case s.reached && s.classes[of]:
		check.Result, check.Reason = Fail, s.sentence(blame, n.Control)
	case len(hold) > 0:
		check.Reason = hold[0]
	case n.Exposed == 0:
		check.Reason = noEvidence
	default:
		check.Result = Pass
		check.Reason = fmt.Sprintf("%d of %d admitted nodes, none of it unexplained", check.Canary, check.CanaryTotal)
	}
	return check
}

func (of class) shownBy(o observed) bool {
	return o.Outcome.Failure() && (o.Outcome == Failed) == (of == resourceClass)
}

func (c *cohorts) silenceCheck(n Counts) Check {
	check := Check{Name: "silence", Canary: n.Silent, CanaryTotal: n.Live, Control: c.tally.controlSilent, ControlTotal: n.Control}
	check = check.events()
	switch {
	case n.Live == 0:
		check.Reason = "no live admitted node"
	case n.Silent > 0:
		check.Reason = fmt.Sprintf("%d of %d live admitted nodes are overdue, %d of %d controls too", n.Silent, n.Live, check.Control, n.Control)
	default:
		check.Result = Pass
		check.Reason = fmt.Sprintf("none of %d live admitted nodes is overdue", n.Live)
	}
	return check
}
