package analyzer

import "time"

// The event checks, in the order of their names.
const (
	compileEvents = iota
	convergenceEvents
	correctiveEvents
	failureEvents
	silenceEvents
	eventChecks // how many there are
)

// eventNames are what the checks are called everywhere.
var eventNames = [eventChecks]string{"compile", "convergence", "corrective", "new_failures", "silence"}

// eventWords say what a node did.
var eventWords = [eventChecks]string{"got no catalog", "went on changing", "were put right again", "failed", "fell silent"}

// Onset is the first event of a kind that a node has in a stage: whether as a canary or as a control depends on its time.
type Onset struct {
	// At is when it happened: the beginning of the run that shows it, or the time at which a missing run should have
	// begun. In milliseconds of Unix time; 0 = it did not happen.
	At int64 `json:"at,omitempty"`
	// Seen is when it could be known: the receipt of the report, or the time from which the node was overdue.
	Seen int64 `json:"seen,omitempty"`
	// Before: the node had the event in the look-back before the stage too, so it takes no part in the check.
	Before bool `json:"before,omitempty"`
}

// Odd are the onsets of a node whose runs are summed up. Failures are not here: nodes that have them keep their runs.
type Odd struct {
	Convergence Onset `json:"convergence,omitzero"`
	Silence     Onset `json:"silence,omitzero"`
}

// note takes an event at a time, seen later or at once; from is the start of the stage, back that of the look-back.
func (o *Onset) note(at, seen, back, from time.Time) {
	switch ms := at.UnixMilli(); {
	case at.Before(back):
	case at.Before(from):
		o.Before = true
	case o.At == 0 || ms < o.At:
		o.At, o.Seen = ms, max(ms, seen.UnixMilli())
	}
}

// onsets are the events of one node in this stage; m is nil where it is not measured.
func (c *cohorts) onsets(h *history, m *Measured) (out [eventChecks]Onset) {
	from := c.evidence.StageStarted
	back := from.Add(-c.policy.lookBack())
	var odd Odd
	if sum := h.Summary; sum == nil {
		odd = c.odd(h)
	} else if sum.Odd != nil {
		odd = *sum.Odd
	}
	out[convergenceEvents], out[silenceEvents] = odd.Convergence, odd.Silence
	if m != nil {
		out[correctiveEvents] = m.Corrective
	}
	for _, runs := range [][]observed{h.before, h.after} {
		for i := range runs {
			o := &runs[i]
			if o.Tainted {
				continue
			}
			switch {
			case o.Outcome == Failed:
				out[failureEvents].note(o.at(), o.known(), back, from)
			case o.Outcome.Failure():
				out[compileEvents].note(o.at(), o.known(), back, from)
			}
		}
	}
	c.missed(h, &out[silenceEvents])
	return out
}

// odd is what the runs themselves say, of a node that is not summed up.
func (c *cohorts) odd(h *history) (o Odd) {
	var recent Recent
	for _, runs := range [][]observed{h.before, h.after} {
		for i := range runs {
			if r := &runs[i].Run; !r.Produced.After(c.evidence.Now) && recent.Add(r, 0) {
				recent.Odd(h.state.usual, h.state.patience, c.evidence.StageStarted, h.state.FirstExposed, &o)
			}
		}
	}
	return o
}

// Odd notes what is out of the ordinary in the runs that are remembered, after one was added, in whatever order they come:
// what was found among them before is found again or was not so. first is when the node first ran the change, the zero time
// where it has not.
func (r *Recent) Odd(usual, patience time.Duration, started, first time.Time, o *Odd) {
	marks := r.marks[:r.n]
	if len(marks) == 0 {
		return
	}
	if o.Convergence.At > fromQuarters(marks[0].at).UnixMilli() {
		o.Convergence.At, o.Convergence.Seen = 0, 0
	}
	if o.Silence.At >= marks[0].ended().Add(usual).UnixMilli() {
		o.Silence = Onset{}
	}
	r.unsettled(started.Add(-unsettledRuns*usual), started, first, &o.Convergence)
	for i := 1; i < len(marks); i++ {
		if last := marks[i-1].ended(); marks[i].ended().Sub(last) > patience {
			o.Silence.missed(last, usual, patience, started)
		}
	}
}

// unsettledRuns is how many runs before the stage say whether a node goes on changing anyway: no more than are remembered when
// it begins, so that a leader that reads a whole day again knows no more.
const unsettledRuns = 4

func (m mark) ended() time.Time { return fromQuarters(m.at).Add(time.Duration(m.length) * quarter) }

// unsettled notes the second run in a row that changed something. The run that makes the change does not count, so that a node
// with it has no more reason to show this than one without.
func (r *Recent) unsettled(back, started, first time.Time, o *Onset) {
	changed := false
	for _, m := range r.marks[:r.n] {
		if !m.healthy() {
			continue
		}
		if !first.IsZero() && m.at == quarters(first, false) {
			changed = false
			continue
		}
		if changed && m.flags&isChanged != 0 {
			o.note(fromQuarters(m.at), m.ended(), back, started)
		}
		changed = m.flags&isChanged != 0
	}
}

func (o *Onset) missed(last time.Time, usual, patience time.Duration, started time.Time) {
	if at := last.Add(usual); !at.Before(started) {
		o.note(at, last.Add(patience), started, started)
	}
}

// lookBack is how long before a stage a node must have been without an event to take part in its check: a day, or four
// run intervals.
func (p Policy) lookBack() time.Duration {
	return max(lookbackElsewhere, 4*time.Duration(p.Silence.Interval))
}

// known is when a report could be known.
func (r *Run) known() time.Time {
	for _, t := range []time.Time{r.Received, r.Produced} {
		if !t.IsZero() {
			return t
		}
	}
	return r.at()
}

// missed notes a node that is overdue now.
func (c *cohorts) missed(h *history, o *Onset) {
	s, started := &h.state, c.evidence.StageStarted
	if s.leftOut || s.Due.IsZero() {
		return
	}
	// A report that is on its way makes nobody silent: only what is complete counts.
	if s.Due.Before(c.evidence.Sources.Through) {
		o.missed(s.LastRun, s.usual, s.patience, started)
	}
}
