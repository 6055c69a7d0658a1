package analyzer

import (
	"slices"
	"time"
)

// silence fills in when the node is due, whether it is overdue, and whether it was ever
// at risk. The rule is the same in both cohorts: alive and enforcing before the change,
// which is the admission of a canary and the start of the stage for a control.
func (c *cohorts) silence(s *NodeState, h *history) {
	reference := c.evidence.StageStarted
	if h.Admitted() {
		reference = h.AdmittedAt
	}
	past := c.policy.Silence.past(h.before, reference)
	patience := c.policy.Silence.patience(past) + c.evidence.Sources.Lag
	s.Excluded, s.Why = atRisk(past, reference, patience)

	for _, list := range [][]observed{h.before, h.after} {
		for _, o := range list {
			s.LastRun = latest(s.LastRun, o.seen(c.evidence.Now))
		}
	}
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

// patience is how long after a report the next one is overdue: the node's usual gap (its
// 90th percentile, or the configured interval with too few reports to know), the splay,
// and its longest run, since a report comes at the end of a run.
func (p SilencePolicy) patience(past []observed) time.Duration {
	usual, longest := time.Duration(p.Interval), time.Duration(0)
	var gaps []time.Duration
	for i, o := range past {
		longest = max(longest, o.length())
		if i > 0 {
			gaps = append(gaps, o.at().Sub(past[i-1].at()))
		}
	}
	if len(gaps) > 0 && len(past) >= p.MinReports {
		slices.Sort(gaps)
		usual = gaps[needed(.9, len(gaps))-1]
	}
	return max(time.Duration(p.Floor), usual+time.Duration(p.Splay)+longest)
}

// atRisk: a node that was dead, overdue or only simulating before the change cannot show
// what the change does; its silence is no event.
func atRisk(past []observed, reference time.Time, patience time.Duration) (excluded bool, why string) {
	if len(past) == 0 {
		return true, "no run in the lookback before"
	}
	if !slices.ContainsFunc(past, func(o observed) bool { return !o.Noop }) {
		return true, "only noop runs before"
	}
	if last := past[len(past)-1]; last.at().Add(last.length() + patience).Before(reference) {
		return true, "overdue before"
	}
	return false, ""
}
