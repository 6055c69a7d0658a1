package analyzer

import (
	"fmt"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// placebo judges the day before the stage, at the same level, as if the nodes had had the change then. A judge that would
// have fired has cohorts that differ already, so nothing it says about the change means anything.
func (c *cohorts) placebo() string {
	from := c.evidence.StageStarted
	back := from.Add(-c.policy.lookBack())
	for _, of := range []class{compileClass, resourceClass} {
		test, err := stats.NewECS(c.level(of.String(), float64(c.policy.Alpha*budgetShares[of.check()])))
		if err != nil {
			return err.Error()
		}
		if why := c.placeboOf(of, &test, back, from); why != "" {
			return fmt.Sprintf("the cohorts differed before the change: in the %s before the stage %s (%s): look at which nodes are in it", from.Sub(back).Round(time.Hour), why, of)
		}
	}
	return ""
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
