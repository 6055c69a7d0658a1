package analyzer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// lastingError is the probability with which a change that does nothing is held by what follows, in a whole rollout: half of it
// for new failures, half for compile failures. It takes no change back, so it is no part of the budget.
const lastingError = .01

// lasting watches the nodes of earlier stages, which are in neither arm of this one: a change that breaks a node only after hours
// shows there first. Everyone that was healthy when the rollout began is a control until its admission and a canary from then on,
// until it fails for the first time; if the change does nothing, the next to fail is a canary with the probability of the canaries'
// share in those that are left (facts: 2.3). Both are counted at the same time, so a fleet that fails more by the hour looks the
// same in both. What it says holds the stage, for a person.
func (c *cohorts) lasting(check int) string {
	if c.frame.early == 0 || len(c.tally.intakes) == 0 {
		return ""
	}
	all := c.risk(check)
	var test stats.EProcess
	var got, then folded
	top, until := math.Inf(-1), int64(0)
	for rest := all.events; len(rest) > 0; {
		y1, y0 := all.left(rest[0].at)
		n, canaries := 0, 0
		for n < len(rest) && rest[n].at/1000 == rest[0].at/1000 && (n == 0 || !all.joins(rest[n].at)) {
			canaries += oneIf(rest[n].canary)
			n++
		}
		got.add(y1, y0, n, canaries)
		if y1 > 0 && y0 > 0 {
			if err := test.Event(y1, y0, n, canaries); err != nil {
				return err.Error()
			}
			if e := test.LogE(); e > top {
				top, then, until = e, got, rest[n-1].at
			}
		}
		for _, e := range rest[:n] {
			all.goes(e.admitted)
		}
		rest = rest[n:]
	}
	enough := -math.Log(lastingError / 2)
	exposed := max(c.tally.whole.exposed, got.canary)
	if top < enough || got.canary < 2 || (float64(got.canary)-got.expected)/float64(exposed) <= c.policy.Checks.event(check).Tolerate {
		return ""
	}
	return fmt.Sprintf("%s: %d of the %d nodes that %s for the first time since the rollout began, until %s, had the change by then, those of earlier stages included; %.2g would by chance (e-value %.2g, %.3g is enough): a person has to look",
		eventNames[check], then.canary, then.canary+then.control, eventWords[check], time.UnixMilli(until).UTC().Format(time.RFC3339), then.expected, math.Exp(top), math.Exp(enough))
}

// risk is who could still have a first event in the rollout, as time goes on.
type risk struct {
	intakes []intake
	gone    []int // by intake, of those that are not admitted yet
	next    int   // the first intake that is not admitted yet
	y1, y0  int
	events  []firstEvent
}

type firstEvent struct {
	at       int64 // ms
	certname string
	admitted Moment // 0 = never
	canary   bool
}

// risk lists the first events by time, at the time at which the rollout began.
func (c *cohorts) risk(check int) risk {
	r := risk{intakes: c.tally.intakes, gone: make([]int, len(c.tally.intakes)), y0: c.tally.controls}
	for _, in := range r.intakes {
		r.y0 += in.nodes
	}
	began := r.intakes[0].at.Time()
	back := began.Add(-c.policy.lookBack())
	for _, list := range [][]*history{c.canaries, c.controls} {
		for _, h := range list {
			if h.state.Excluded || h.Outside {
				continue
			}
			first, before := c.firstEvent(h, check, back, began)
			switch {
			case before:
				r.goes(h.AdmittedAt)
			case !first.IsZero():
				at := first.UnixMilli()
				r.events = append(r.events, firstEvent{at: at, certname: h.Certname, admitted: h.AdmittedAt, canary: h.Admitted() && h.AdmittedAt.milli() <= at})
			}
		}
	}
	slices.SortFunc(r.events, func(a, b firstEvent) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.certname, b.certname))
	})
	return r
}

// firstEvent of a node since the rollout began, the zero time where there is none, and whether it had one just before.
func (c *cohorts) firstEvent(h *history, check int, back, began time.Time) (first time.Time, before bool) {
	for _, runs := range [][]observed{h.before, h.after} {
		for i := range runs {
			o := &runs[i]
			switch at := o.at(); {
			case o.Tainted || !o.Outcome.Failure() || o.check() != check || at.Before(back):
			case at.Before(began):
				before = true
			default:
				first = earliest(first, at)
			}
		}
	}
	return first, before
}

// joins says whether somebody is admitted by a time who is not yet.
func (r *risk) joins(at int64) bool {
	return r.next < len(r.intakes) && r.intakes[r.next].at.milli() <= at
}

// left are the canaries and controls without an event at a time that is no earlier than the last.
func (r *risk) left(at int64) (y1, y0 int) {
	for ; r.joins(at); r.next++ {
		n := r.intakes[r.next].nodes - r.gone[r.next]
		r.y1, r.y0 = r.y1+n, r.y0-n
	}
	return r.y1, r.y0
}

// goes takes out a node that had its event.
func (r *risk) goes(admitted Moment) {
	k, joins := slices.BinarySearchFunc(r.intakes, admitted, func(in intake, at Moment) int { return cmp.Compare(in.at, at) })
	switch {
	case !joins:
		r.y0--
	case k < r.next:
		r.y1--
	default:
		r.y0--
		r.gone[k]++
	}
}
