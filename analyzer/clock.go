package analyzer

import "time"

// Three clocks stamp a report. The agent's own says when the run began, but it is the
// least kept of all. The puppetserver's says when the report came in; less the run's
// length, which no wrong offset can touch, that is the beginning on a kept clock. A
// report that was slow to arrive makes that estimate late, so neither is right alone.

// began returns the beginning of the run on both clocks, zero where not known.
func (r Run) began() (agent, server time.Time) {
	length := r.End.Sub(r.Start)
	if !r.Produced.IsZero() && !r.Start.IsZero() && !r.End.IsZero() && length >= 0 {
		server = r.Produced.Add(-length)
	}
	return r.Start, server
}

// surelySince: every clock puts the beginning at or after t, and the report is not from
// the future. Proof for the change (exposure) asks this, so a skewed clock can only delay it.
func (r Run) surelySince(t, now time.Time) bool {
	agent, server := r.began()
	return !agent.IsZero() && !server.IsZero() && !agent.Before(t) && !server.Before(t) && !r.Produced.After(now)
}

// maybeSince: at least one clock puts the beginning at or after t, or there is none to
// ask. Events against the change ask this, so a skewed clock cannot hide one.
func (r Run) maybeSince(t time.Time) bool {
	agent, server := r.began()
	if agent.IsZero() && server.IsZero() {
		return true
	}
	return !agent.IsZero() && !agent.Before(t) || !server.IsZero() && !server.Before(t)
}

// at is the one time by which runs are ordered.
func (r Run) at() time.Time {
	agent, server := r.began()
	for _, t := range []time.Time{server, agent, r.Produced, r.Received} {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// Began is the one time by which runs are ordered.
func (r *Run) Began() time.Time { return r.at() }

// seen is when the run proved the node alive: the earlier of the two server clocks,
// zero when that lies after now, so that no clock from the future keeps a dead node alive.
func (r Run) seen(now time.Time) time.Time {
	t := r.Produced
	if t.IsZero() || !r.Received.IsZero() && r.Received.Before(t) {
		t = r.Received
	}
	if t.After(now) {
		return time.Time{}
	}
	return t
}

// length is how long the run took, 0 where the clocks make no sense.
func (r Run) length() time.Duration {
	if r.Start.IsZero() || r.End.IsZero() {
		return 0
	}
	return max(0, r.End.Sub(r.Start))
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
