package analyzer

import (
	"math"
	"slices"
	"time"
)

// Summary is what the runs of a node amount to. At a million nodes the runs themselves cannot be kept, and only those of
// nodes with trouble say more than this.
//
// A node that has one needs Runs in the evidence only for failures, and all its runs after the first of them: they tell
// whether it repeats and whether it is over.
type Summary struct {
	Habit
	// Seen is when the node last proved to be alive, in milliseconds of Unix time; 0 = never.
	Seen int64 `json:"seen"`
	// Runs of the candidate since the admission, without a catalog of anything else after them.
	Runs int32 `json:"runs,omitempty"`
	// Slower compares its last runs with those before.
	Slower Slower `json:"slower,omitzero"`
	// Odd is nil for most nodes: nothing out of the ordinary happened.
	Odd *Odd `json:"odd,omitempty"`
}

// Habit is how a node ran before the reference: its admission, or for a control the start of the stage.
type Habit struct {
	// Reports in the lookback; Usual is the 90th percentile of the gaps between them, Longest the longest run.
	Reports int32 `json:"reports"`
	// Typical is the median length of the healthy ones before the stage, for canaries and controls alike, in quarters of a second;
	// 0 = not known. See Recent.Typical.
	Typical uint16 `json:"typical,omitempty"`
	// Enforced: one of them was no noop run.
	Enforced bool     `json:"enforced"`
	Usual    Quarters `json:"usual"`
	Longest  Quarters `json:"longest"`
	// Last is when the last one ended, in milliseconds of Unix time.
	Last int64 `json:"last"`
}

// Quarters is a length of time in quarters of a second.
type Quarters uint32

// QuartersOf rounds up.
func QuartersOf(d time.Duration) Quarters {
	return Quarters(min(max((d+quarter-1)/quarter, 0), math.MaxUint32))
}

// Duration is the same as a time.Duration.
func (q Quarters) Duration() time.Duration { return time.Duration(q) * quarter }

// habitOf sums up the runs of the past, oldest first.
func habitOf(past []observed) Habit {
	h := Habit{Reports: int32(len(past))}
	gaps := make([]time.Duration, 0, len(past))
	for i, o := range past {
		h.Longest = max(h.Longest, QuartersOf(o.length()))
		h.Enforced = h.Enforced || !o.Noop
		if i > 0 {
			gaps = append(gaps, o.at().Sub(past[i-1].at()))
		}
	}
	h.Usual = QuartersOf(percentile90(gaps))
	if len(past) > 0 {
		last := past[len(past)-1]
		h.Last = last.at().Add(last.length()).UnixMilli()
	}
	return h
}

func percentile90(gaps []time.Duration) time.Duration {
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[needed(.9, len(gaps))-1]
}

// patience is how long after a report the next one is overdue: the node's usual gap (or the configured interval with too
// few reports to know), the splay, and its longest run, since a report comes at the end of a run.
func (p SilencePolicy) patience(h Habit) time.Duration {
	return max(time.Duration(p.Floor), p.usual(h)+time.Duration(p.Splay)+h.Longest.Duration())
}

// Patience is what a node with this habit is allowed: its usual gap, and how long until it is overdue.
func (p SilencePolicy) Patience(h Habit) (usual, patience time.Duration) {
	return p.usual(h), p.patience(h)
}

// usual is the time between two runs of a node.
func (p SilencePolicy) usual(h Habit) time.Duration {
	if int(h.Reports) >= max(p.MinReports, 2) {
		return h.Usual.Duration()
	}
	return time.Duration(p.Interval)
}

// atRisk: a node that was dead, overdue or only simulating before the change cannot show what the change does; its silence
// is no event.
func (h Habit) atRisk(reference time.Time, patience time.Duration) (excluded bool, why string) {
	switch {
	case h.Reports == 0:
		return true, "no run in the lookback before"
	case !h.Enforced:
		return true, "only noop runs before"
	case time.UnixMilli(h.Last).Add(patience).Before(reference):
		return true, "overdue before"
	}
	return false, ""
}

// Recent are a node's last runs, enough to sum up its habit: eight of them in twelve bytes each. The zero value has none.
type Recent struct {
	marks [8]mark
	n     uint8
}

// mark is a run as far as it says something about a node in order. Times are quarters of a second since 2020.
type mark struct {
	at     uint32 // beginning, see Run.at
	length uint16
	skew   int16 // of the agent's clock against at
	env    uint16
	flags  uint8
}

// Flags of a mark.
const (
	isNoop = 1 << iota
	isFresh
	isFailed
	isHidden
	isUnclear // a clock is missing
	isBlind   // both are
	isChanged
	isCorrective // of a measured run alone
)

const quarter = 250 * time.Millisecond

var markEpoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// quarters counts since the epoch, down or up to a whole one.
func quarters(t time.Time, up bool) uint32 {
	d := t.Sub(markEpoch)
	if up {
		d += quarter - 1
	}
	return uint32(min(max(d/quarter, 0), 1<<32-1))
}

func fromQuarters(q uint32) time.Time { return markEpoch.Add(time.Duration(q) * quarter) }

func markOf(r *Run, env uint16) mark {
	agent, server := r.began()
	m := mark{at: quarters(r.at(), false), length: uint16(min((r.length()+quarter-1)/quarter, 1<<16-1)), env: env}
	if agent.IsZero() || server.IsZero() {
		m.flags |= isUnclear | flagIf(agent.IsZero(), isBlind)
	} else {
		m.skew = int16(min(max(agent.Sub(server)/quarter, -1<<15), 1<<15-1))
		if agent.Before(server) {
			m.skew = max(m.skew-1, -1<<15) // down, as at is
		}
	}
	m.flags |= flagIf(r.Noop, isNoop) | flagIf(r.fresh(), isFresh) | flagIf(r.failed(), isFailed) |
		flagIf(r.CachedCatalog == cacheOnFailure, isHidden) | flagIf(r.Status == statusChanged, isChanged)
	return m
}

func flagIf(is bool, flag uint8) uint8 {
	if is {
		return flag
	}
	return 0
}

// Add notes a run, also one that comes late; one older than all eight is forgotten. env is a number of the caller's for
// the run's environment. It returns false for a run that is known or too old.
func (r *Recent) Add(run *Run, env uint16) (added bool) {
	m := markOf(run, env)
	i := int(r.n)
	for i > 0 && r.marks[i-1].at > m.at {
		i--
	}
	if i > 0 && r.marks[i-1] == m {
		return false
	}
	if int(r.n) == len(r.marks) {
		if i == 0 {
			return false
		}
		copy(r.marks[:i-1], r.marks[1:i])
		r.marks[i-1] = m
		return true
	}
	copy(r.marks[i+1:r.n+1], r.marks[i:r.n])
	r.marks[i] = m
	r.n++
	return true
}

// since: one of the clocks puts the beginning at or after t, or there is none to ask; see Run.maybeSince.
func (m mark) since(t uint32) bool { return m.at >= t || m.agent() >= t || m.flags&isBlind != 0 }

func (m mark) agent() uint32 { return uint32(max(int64(m.at)+int64(m.skew), 0)) }

// Habit sums up the runs that began in the lookback before the reference, but for Typical. Of a node that is admitted, a run that
// may have begun after it is none of the past.
func (r *Recent) Habit(reference time.Time, lookback time.Duration, admitted bool) Habit {
	from, to := quarters(reference.Add(-lookback), true), quarters(reference, true)
	var h Habit
	var gaps [len(r.marks)]time.Duration
	before := uint32(0)
	for _, m := range r.marks[:r.n] {
		if m.at < from || m.at >= to || admitted && m.since(to) {
			continue
		}
		if h.Reports > 0 {
			gaps[h.Reports-1] = time.Duration(m.at-before) * quarter
		}
		before = m.at
		h.Reports++
		length := time.Duration(m.length) * quarter
		h.Longest = max(h.Longest, Quarters(m.length))
		h.Enforced = h.Enforced || m.flags&isNoop == 0
		h.Last = fromQuarters(m.at).Add(length).UnixMilli()
	}
	if h.Reports > 1 {
		h.Usual = QuartersOf(percentile90(gaps[:h.Reports-1]))
	}
	return h
}

// Progress is how far an admitted node has come. The zero value has not run.
type Progress struct {
	first, reset uint32 // quarters
	runs         uint16
}

// Since counts what is recent: for a node that was admitted by runs that are known already.
func (r *Recent) Since(admitted, now time.Time, candidate uint16, parameters bool) (p Progress) {
	for _, m := range r.marks[:r.n] {
		p.take(m, admitted, now, candidate, parameters)
	}
	return p
}

// Add counts a run of a node that was admitted at a time. A later catalog of something else takes it out again; a run
// that comes late counts if nothing took the node out after it.
func (p *Progress) Add(run *Run, env uint16, admitted, now time.Time, candidate uint16, parameters bool) {
	if run.Produced.After(now) {
		return
	}
	p.take(markOf(run, env), admitted, now, candidate, parameters)
}

func (p *Progress) take(m mark, admitted, now time.Time, candidate uint16, parameters bool) {
	a := quarters(admitted, true)
	if !m.since(a) {
		return
	}
	exposed := m.flags&isFresh != 0 && (parameters || m.env == candidate)
	switch {
	case exposed:
		if m.at < a || m.agent() < a || m.flags&isUnclear != 0 || m.at < p.reset {
			return
		}
		if p.runs == 0 || m.at < p.first {
			p.first = m.at
		}
		p.runs = min(p.runs+1, 1<<16-2)
	case m.flags&isFresh != 0:
		if m.at >= p.first { // also where some of the runs are newer: they count again when they are repeated
			p.runs, p.first = 0, 0
		}
		p.reset = max(p.reset, m.at)
	}
}

// First is when the node first ran the candidate, the zero time where it has not.
func (p Progress) First() time.Time {
	if p.runs == 0 {
		return time.Time{}
	}
	return fromQuarters(p.first)
}

// Runs is how many runs of the candidate count.
func (p Progress) Runs() int32 { return int32(p.runs) }

// Alive is when a run proves the node alive, in milliseconds; 0 where the clocks are not to be believed.
func (r *Run) Alive(now time.Time) int64 {
	if t := r.seen(now); !t.IsZero() {
		return t.UnixMilli()
	}
	return 0
}
