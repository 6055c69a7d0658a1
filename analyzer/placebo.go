package analyzer

import (
	"fmt"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// placebo judges the time before the stage as if the nodes had had the change then. A judge that would have fired has cohorts that
// differ already, so nothing it says about the change means anything.
func (c *cohorts) placebo() string {
	from := c.evidence.StageStarted
	back := from.Add(-c.policy.lookBack())
	for _, of := range []class{compileClass, resourceClass} {
		test, err := stats.NewECS(c.placeboLevel(of.String(), float64(c.policy.Alpha*budgetShares[of.check()])))
		if err != nil {
			return err.Error()
		}
		if why := c.placeboOf(of, &test, back, from); why != "" {
			return fmt.Sprintf("the cohorts differed before the change: in the %s before the stage %s (%s): look at which nodes are in it", from.Sub(back).Round(time.Hour), why, of)
		}
	}
	for _, check := range []int{convergenceEvents, correctiveEvents, silenceEvents} {
		why, err := c.divided(check)
		if err != nil {
			return err.Error()
		}
		if why != "" {
			return fmt.Sprintf("the cohorts differed before the change: %s (%s): look at which nodes are in it", why, eventNames[check])
		}
	}
	return ""
}

// placeboLevel is the stage's own part of a check's level. What the stages before left would be spent again in each: the placebo writes
// up nothing, and of twenty stages of good changes it would hold up to a twelfth.
func (c *cohorts) placeboLevel(check string, budget float64) float64 {
	return c.levelAfter(check, budget, planned(c.evidence.StageIndex, c.stages()))
}

// divided is the placebo of checks of which only is known which nodes take no part, since they had the event before the stage: chance
// gives the canaries their share of these. Run times and times until the catalog came need none, since each node is compared with its
// own past.
func (c *cohorts) divided(check int) (why string, err error) {
	test, err := stats.NewECS(c.placeboLevel(eventNames[check], float64(c.policy.Alpha*budgetShares[check])))
	if err != nil {
		return "", err
	}
	var got folded
	for _, s := range c.frame.sorted() {
		had, all := s.before(check)
		if d := had[0] + had[1]; d > 0 {
			got.add(all[1], all[0], d, had[1])
			if err := test.Event(all[1], all[0], d, had[1]); err != nil {
				return "", err
			}
		}
	}
	if !test.Look(1) || got.canary < 2 {
		return "", nil
	}
	return fmt.Sprintf("%d of the %d nodes that %s are those that have the change now, %.2g would by chance", got.canary, got.canary+got.control, beforeWords[check], got.expected), nil
}

var beforeWords = map[int]string{
	convergenceEvents: "went on changing before the stage", correctiveEvents: "were put right before the stage",
	silenceEvents: "were dead or only simulating when the stage began",
}

// before are the nodes that take no part in a check since they had the event before the stage, and all: controls, canaries.
func (s *stratum) before(check int) (had, all [2]int) {
	all, had = [2]int{s.allControls, 0}, [2]int{-s.controls[check], 0}
	for _, j := range s.canaries {
		all[1] += j.all
		had[1] -= j.n[check]
	}
	switch check {
	case silenceEvents:
		return s.leftOut, [2]int{all[0] + s.leftOut[0], all[1] + s.leftOut[1]}
	case correctiveEvents:
		all = s.measured
	}
	return [2]int{had[0] + all[0], had[1] + all[1]}, all
}

func (c *cohorts) placeboOf(of class, test *stats.ECS, back, from time.Time) string {
	f := frame{}
	for _, list := range [][]*history{c.canaries, c.controls} {
		for _, h := range list {
			if h.Admitted() && int(h.Stage) != c.evidence.StageIndex || h.state.leftOut || h.Outside {
				continue
			}
			var first Onset
			for _, o := range h.before {
				if !o.Tainted && of.shownBy(o) && o.at().Before(from) {
					first.note(o.at(), o.known(), back, back)
				}
			}
			if first.At != 0 {
				s := f.stratum(h.Stratum)
				s.events[0] = append(s.events[0], event{at: first.At, seen: first.Seen, certname: h.Certname, canary: h.Admitted(), of: s})
			}
		}
	}
	for _, s := range c.frame.sorted() { // everyone was at risk, those too that are not since they failed
		t := f.stratum(s.name)
		for _, j := range s.canaries {
			t.canaries = append(t.canaries, joined{n: [eventChecks]int{0: j.all}})
		}
		t.controls[0] = s.allControls
	}
	span := float64(from.Sub(back).Milliseconds())
	got, err := f.fold(0, test, func(ms int64) float64 { return within(float64(ms-back.UnixMilli()) / span) }, from.UnixMilli())
	if err != nil {
		return err.Error()
	}
	if !test.Rejected {
		return ""
	}
	return fmt.Sprintf("%d of the %d nodes that failed were those that have the change now, %.2g would by chance", test.J, got.canary+got.control, got.expected)
}
