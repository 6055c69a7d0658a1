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
// shows there first. Everyone that was healthy when the rollout began is a control until its admission, and a canary from when the
// next stage begins, until it fails for the first time. In between the stage's own test watches it, and it takes no part here. If the
// change does nothing, the next to fail is a canary with the probability of the canaries' share in those that are left (facts: 2.3).
// Both are counted at the same time, so a fleet that fails more by the hour looks the same in both. What it says holds the stage, for
// a person.
func (c *cohorts) lasting(check int) string {
	if c.frame.early == 0 || len(c.tally.intakes) == 0 {
		return ""
	}
	all := c.risk(check)
	var test stats.EProcess
	var got, then folded
	top, until := math.Inf(-1), int64(0)
	for rest := all.events; len(rest) > 0; {
		all.moveTo(rest[0].at)
		y1, y0 := all.y1, all.y0
		n, of, canaries := 0, 0, 0
		for n < len(rest) && rest[n].at/1000 == rest[0].at/1000 && (n == 0 || !all.moves(rest[n].at)) {
			switch all.side(rest[n].intake) {
			case asCanary:
				canaries++
				of++
			case asControl:
				of++
			}
			n++
		}
		if of > 0 {
			got.add(y1, y0, of, canaries)
		}
		if of > 0 && y1 > 0 && y0 > 0 {
			if err := test.Event(y1, y0, of, canaries); err != nil {
				return err.Error()
			}
			if e := test.LogE(); e > top {
				top, then, until = e, got, rest[n-1].at
			}
		}
		for _, e := range rest[:n] {
			all.goes(e.intake)
		}
		rest = rest[n:]
	}
	enough := -math.Log(lastingError / 2)
	exposed := max(c.tally.whole.exposed-c.tally.stage.exposed, got.canary)
	if top < enough || got.canary < 2 || (float64(got.canary)-got.expected)/float64(exposed) <= c.policy.Checks.event(check).Tolerate {
		return ""
	}
	return fmt.Sprintf("%s: %d of the %d nodes that %s for the first time since the rollout began, until %s, had the change since an earlier stage, %.2g would by chance (e-value %.2g, %.3g is enough): a person has to look",
		eventNames[check], then.canary, then.canary+then.control, eventWords[check], time.UnixMilli(until).UTC().Format(time.RFC3339), then.expected, math.Exp(top), math.Exp(enough))
}

// The parts of a node in the rollout, in their order.
const (
	asControl = iota
	asOwn     // of the stage that is judged at the time
	asCanary
)

// risk is who could still have a first event in the rollout, as time goes on.
type risk struct {
	intakes []intake
	gone    []int // by intake
	sides   []int // by intake, as what its nodes count
	steps   []turn
	y1, y0  int
	events  []firstEvent
}

// turn is when the nodes of an intake become something else.
type turn struct {
	at           int64 // ms
	intake, side int
}

type firstEvent struct {
	at       int64 // ms
	certname string
	intake   int // -1 = never admitted
}

// risk lists the first events by time, at the time at which the rollout began.
func (c *cohorts) risk(check int) risk {
	in := c.tally.intakes
	r := risk{intakes: in, gone: make([]int, len(in)), sides: make([]int, len(in)), y0: c.tally.controls}
	next, after := map[int32]int64{}, int64(0) // when the stage after each began
	begins := map[int32]int64{}
	for i := range in {
		if _, known := begins[in[i].stage]; !known {
			begins[in[i].stage] = in[i].at.milli()
		}
	}
	for stage := int32(c.evidence.StageIndex); stage >= 0; stage-- { // the nodes of the last one have none
		next[stage] = after
		if at, known := begins[stage]; known {
			after = at
		}
	}
	for i := range in {
		r.y0 += in[i].nodes
		at := in[i].at.milli()
		r.steps = append(r.steps, turn{at, i, asOwn})
		if end := next[in[i].stage]; end > 0 {
			r.steps = append(r.steps, turn{max(at, end), i, asCanary})
		}
	}
	slices.SortFunc(r.steps, func(a, b turn) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.intake, b.intake), cmp.Compare(a.side, b.side))
	})
	began := in[0].at.Time()
	back := began.Add(-c.policy.lookBack())
	for _, list := range [][]*history{c.canaries, c.controls} {
		for _, h := range list {
			if h.state.Excluded || h.Outside {
				continue
			}
			of := -1
			if h.Admitted() {
				of, _ = slices.BinarySearchFunc(in, h.admission(), intake.compare)
			}
			first, before := c.firstEvent(h, check, back, began)
			switch {
			case before:
				r.goes(of)
			case !first.IsZero():
				r.events = append(r.events, firstEvent{at: first.UnixMilli(), certname: h.Certname, intake: of})
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

// moves says whether somebody becomes something else by a time.
func (r *risk) moves(at int64) bool { return len(r.steps) > 0 && r.steps[0].at <= at }

// moveTo goes on to a time that is no earlier than the last.
func (r *risk) moveTo(at int64) {
	for ; r.moves(at); r.steps = r.steps[1:] {
		k, left := r.steps[0].intake, r.intakes[r.steps[0].intake].nodes-r.gone[r.steps[0].intake]
		if r.sides[k] = r.steps[0].side; r.sides[k] == asOwn {
			r.y0 -= left
		} else {
			r.y1 += left
		}
	}
}

func (r *risk) side(intake int) int {
	if intake < 0 {
		return asControl
	}
	return r.sides[intake]
}

// goes takes out a node that had its event.
func (r *risk) goes(intake int) {
	switch r.side(intake) {
	case asControl:
		r.y0--
	case asCanary:
		r.y1--
	}
	if intake >= 0 {
		r.gone[intake]++
	}
}
