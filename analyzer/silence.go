package analyzer

import "time"

// silence fills in when the node is due, whether it is overdue, and whether it was ever
// at risk. The rule is the same in both cohorts: alive and enforcing before the change,
// which is the admission of a canary and the start of the stage for a control.
func (c *cohorts) silence(s *NodeState, h *history) {
	reference := c.evidence.StageStarted
	if h.Admitted() {
		reference = h.AdmittedAt.Time()
	}
	var habit Habit
	if sum := h.Summary; sum != nil {
		habit = sum.Habit
		if sum.Seen > 0 {
			s.LastRun = time.UnixMilli(sum.Seen).UTC()
		}
	} else {
		habit = habitOf(c.policy.Silence.past(h.before, reference))
		for _, list := range [][]observed{h.before, h.after} {
			for _, o := range list {
				s.LastRun = latest(s.LastRun, o.seen(c.evidence.Now))
			}
		}
	}
	patience := c.policy.Silence.patience(habit) + c.evidence.Sources.Lag
	s.patience, s.usual = patience, c.policy.Silence.usual(habit)
	s.Excluded, s.Why = habit.atRisk(reference, patience)
	s.leftOut, _ = habit.atRisk(c.evidence.StageStarted, patience)
	if !s.LastRun.IsZero() {
		s.Due = s.LastRun.Add(patience)
	}
	if !s.Excluded && c.evidence.Now.After(s.Due) {
		s.Silent, s.SilentSince = true, s.Due
	}
}

// past returns the runs that began in the lookback before the reference.
func (p SilencePolicy) past(runs []observed, reference time.Time) []observed {
	from := reference.Add(-time.Duration(p.Lookback))
	var out []observed
	for _, o := range runs {
		if at := o.at(); !at.Before(from) && at.Before(reference) {
			out = append(out, o)
		}
	}
	return out
}
