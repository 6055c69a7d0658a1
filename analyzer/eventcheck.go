package analyzer

import (
	"fmt"
	"slices"
)

// eventCheck makes one of the event checks. hold is what keeps the stage from a pass, crossed a bound that fails it.
func (c *cohorts) eventCheck(check int, all []incident, s stop, n Counts, blame *Culprit) (made Check, hold []string, crossed *crossing) {
	switch check {
	case compileEvents:
		made, hold = c.failureCheck(compileClass, all, s, n, blame)
	case failureEvents:
		made, hold = c.failureCheck(resourceClass, all, s, n, blame)
	case silenceEvents:
		made = c.silenceCheck(n)
	default:
		made = c.softCheck(check, n)
	}
	b, crossed, err := c.bound(check)
	switch {
	case err != nil:
		made.Result, made.Reason = Inconclusive, "the comparison failed: "+err.Error()
		hold = append(hold, made.Name+": "+made.Reason)
	case crossed != nil:
		made.Result, made.Reason = Fail, crossed.reason
	}
	made.Bound = b
	return made, hold, crossed
}

// failureCheck counts nodes with a failure of one class in both cohorts, all of them: which
// of them count is for the stop rule and the incidents.
func (c *cohorts) failureCheck(of class, all []incident, s stop, n Counts, blame *Culprit) (Check, []string) {
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
	hold := c.hold(all, of, s)
	for _, why := range []string{c.worseThanBefore(of), c.lasting(of.check())} {
		if why != "" {
			hold = append(hold, why)
		}
	}
	switch {
	case s.reached && s.classes[of]:
		check.Result, check.Reason = Fail, s.sentence(blame, n.Control)
	case len(hold) > 0:
		check.Reason = hold[0]
	case n.Exposed == 0:
		check.Reason = noEvidence
	case c.byCounts() && n.Control == 0:
		check.Result = Pass
		check.Reason = fmt.Sprintf("%d of %s, nothing new and certain on more of them than is tolerated; no control is left to compare with", check.Canary, count(check.CanaryTotal, "admitted node"))
	case c.byCounts():
		check.Result = Pass
		check.Reason = fmt.Sprintf("%d of %s, no more than their controls let expect", check.Canary, count(check.CanaryTotal, "admitted node"))
	default:
		check.Result = Pass
		check.Reason = fmt.Sprintf("%d of %s, none of it unexplained", check.Canary, count(check.CanaryTotal, "admitted node"))
	}
	return check, hold
}

func (c *cohorts) silenceCheck(n Counts) Check {
	check := Check{Name: eventNames[silenceEvents], Canary: n.Silent, CanaryTotal: n.Live, Control: c.tally.controlSilent, ControlTotal: n.Control}
	check = check.events()
	switch {
	case n.Live == 0:
		check.Reason = "no live admitted node"
	case c.quiet(n):
		check.Reason = fmt.Sprintf("%d of %s overdue, %d of %s too", n.Silent, count(n.Live, "live admitted node"), check.Control, count(n.Control, "control"))
	case n.Silent > 0:
		check.Result = Pass
		check.Reason = fmt.Sprintf("%d of %s overdue, no more than the %d of %s let expect", n.Silent, count(n.Live, "live admitted node"), check.Control, count(n.Control, "control"))
	default:
		check.Result = Pass
		check.Reason = fmt.Sprintf("none of %s is overdue", count(n.Live, "live admitted node"))
	}
	return check
}

// softCheck is one that only its bound can fail.
func (c *cohorts) softCheck(check int, n Counts) Check {
	out := Check{Name: eventNames[check], Optional: true, CanaryTotal: c.tally.stage.live, ControlTotal: n.Control}
	measured := [2]int{}
	for _, s := range c.frame.strata {
		measured[0], measured[1] = measured[0]+s.measured[0], measured[1]+s.measured[1]
		for _, e := range s.events[check] {
			out.Canary += oneIf(e.canary)
			out.Control += oneIf(!e.canary)
		}
	}
	if check == correctiveEvents {
		out.ControlTotal, out.CanaryTotal = measured[0], measured[1]
	}
	out = out.events()
	ok, why := c.compared()
	switch {
	case check == correctiveEvents && measured[0]+measured[1] == 0:
		out.Reason = notMeasured
	case !ok:
		out.Reason = why
	case n.Exposed == 0:
		out.Reason = noEvidence
	default:
		out.Result = Pass
		out.Reason = fmt.Sprintf("%d of %s of this stage, %d of %s", out.Canary, count(out.CanaryTotal, "admitted node"), out.Control, count(out.ControlTotal, "control"))
	}
	return out
}
