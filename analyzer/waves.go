package analyzer

import (
	"cmp"
	"slices"
	"sort"
	"time"
)

// intake is the nodes that a stage admitted at one time, of those between which chance decided.
type intake struct {
	admission
	nodes int
	// answers are those of them that count for a certified pass.
	answers [eventChecks]int
}

type admission struct {
	at    Moment
	stage int32
}

func (n *Node) admission() admission { return admission{n.AdmittedAt, n.Stage} }

func (in intake) compare(a admission) int {
	return cmp.Or(cmp.Compare(in.at, a.at), cmp.Compare(in.stage, a.stage))
}

// intake finds that of an admission.
func (t *tally) intake(of admission) *intake {
	i, found := slices.BinarySearchFunc(t.intakes, of, intake.compare)
	if !found {
		t.intakes = slices.Insert(t.intakes, i, intake{admission: of})
	}
	return &t.intakes[i]
}

// wave is the nodes that were admitted at about the same time. Beside them stand those that were not admitted until the first runs
// of the wave were over, in the same time: a fleet that fails more by the hour, for reasons of its own, then does so in both.
type wave struct {
	from, until int64 // ms: the first admission, and when the first runs are over
	last        int64 // the last admission
	answers     [eventChecks]int
	controls    int
	// failing are controls that failed just before the wave, so they prove nothing; events are those of the others that failed in it.
	failing, events [eventChecks]int
}

// waves puts the admissions of all stages in order, each with the controls of its time.
func (c *cohorts) waves() []wave {
	span, now := c.policy.firstRuns().Milliseconds(), c.evidence.Now.UnixMilli()
	var out []wave
	for _, in := range c.tally.intakes {
		at := in.at.milli()
		if n := len(out); n == 0 || at-out[n-1].from > span/2 {
			out = append(out, wave{from: at})
		}
		w := &out[len(out)-1]
		w.last = at
		for check, n := range in.answers {
			w.answers[check] += n
		}
	}
	for i := range out {
		w := &out[i]
		w.until = w.from + min(span, now-w.last) // no longer than any of its nodes had by now
		w.controls = c.tally.controls
		for _, in := range c.tally.intakes {
			if in.at.milli() > w.until {
				w.controls += in.nodes
			}
		}
	}
	marks := make([][eventChecks]uint8, len(out))
	for _, list := range [][]*history{c.canaries, c.controls} {
		for _, h := range list {
			c.beside(out, h, marks)
		}
	}
	return out
}

const (
	markFailing = 1 << iota
	markEvent
)

// beside counts a node that fails in the waves to which it was a control. marks are zero between two calls.
func (c *cohorts) beside(waves []wave, h *history, marks [][eventChecks]uint8) {
	if h.state.Excluded || h.Outside {
		return
	}
	back, span := c.policy.failingBack().Milliseconds(), c.policy.firstRuns().Milliseconds()
	from, to := len(waves), 0
	for _, runs := range [][]observed{h.before, h.after} {
		for i := range runs {
			o := &runs[i]
			if o.Tainted || !o.Outcome.Failure() {
				continue
			}
			at, check := o.at().UnixMilli(), o.check()
			first := sort.Search(len(waves), func(k int) bool { return waves[k].from+span >= at })
			for k := first; k < len(waves) && waves[k].from-back <= at; k++ {
				switch {
				case h.Admitted() && h.AdmittedAt.milli() <= waves[k].until:
					continue
				case at < waves[k].from:
					marks[k][check] |= markFailing
				case at <= waves[k].until:
					marks[k][check] |= markEvent
				}
				from, to = min(from, k), max(to, k+1)
			}
		}
	}
	for k := from; k < to; k++ {
		for check, mark := range marks[k] {
			waves[k].failing[check] += oneIf(mark&markFailing != 0)
			waves[k].events[check] += oneIf(mark == markEvent)
		}
		marks[k] = [eventChecks]uint8{}
	}
}

// without is the share of the controls that have an event while the admitted nodes have their first runs, each wave weighed by its
// answers.
func without(waves []wave, check int) float64 {
	sum, of := 0.0, 0
	for i := range waves {
		w := &waves[i]
		sum += float64(float64(w.answers[check]) * share(w.events[check], w.controls-w.failing[check]))
		of += w.answers[check]
	}
	if of == 0 {
		return 0
	}
	return sum / float64(of)
}

// check is the one for which a failure counts.
func (o *observed) check() int {
	if o.Outcome == Failed {
		return failureEvents
	}
	return compileEvents
}

// firstRuns is the time after its admission in which an event of a node counts as its answer to the change: two runs.
func (p Policy) firstRuns() time.Duration {
	return 2 * time.Duration(p.Silence.Interval+p.Silence.Splay)
}

// failingBack is how long before it a node must not have failed for its answer to count: four runs. One that fails anyway shows
// nothing; one that failed once yesterday does.
func (p Policy) failingBack() time.Duration {
	return max(4*time.Duration(p.Silence.Interval), p.firstRuns())
}
