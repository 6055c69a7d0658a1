package analyzer

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Measured is what the metrics of a node's reports say. They are most of a report, so of a large fleet only some nodes are
// measured, drawn before the stage by their place in the hash order; the checks that rest on metrics compare those alone.
type Measured struct {
	// Retrieval compares how long the node's last runs waited for their catalog with the runs before.
	Retrieval Slower `json:"retrieval,omitzero"`
	// Corrective is the first run of the stage in which Puppet put something back.
	Corrective Onset `json:"corrective,omitzero"`
}

// Measures are the measured runs of one node in one stage. What they amount to depends neither on their order nor on how
// often one is added.
type Measures struct {
	back, from time.Time
	corrective Onset
	gap        uint32    // quarters: when the last run was of which the metrics are not known, 0 = there was none
	runs       []measure // by time
}

// measure is one run. retrieval is in seconds, 0 where the run got no fresh catalog.
type measure struct {
	mark
	retrieval float32
}

// MeasuredPast is how long before a stage its measured nodes are measured: enough for a few runs of each.
func (p Policy) MeasuredPast() time.Duration {
	return max(2*time.Hour, 4*time.Duration(p.Silence.Interval))
}

// NewMeasures are of a stage that started at a time.
func NewMeasures(started time.Time, past time.Duration) *Measures {
	return &Measures{back: started.Add(-past), from: started}
}

// Again are the measures of the same node for a later stage: a leader that reads the past again knows no more.
func (m *Measures) Again(started time.Time, past time.Duration) *Measures {
	out := NewMeasures(started, past)
	out.gap = m.gap
	for _, r := range m.runs {
		out.note(r)
	}
	return out
}

// Gaps says whether nobody knows what the node did in one of its runs since the measures began. Such a node is not measured: that
// it put nothing back would be a guess, and for a canary a kind one.
func (m *Measures) Gaps() bool { return m.gap > 0 && m.gap >= quarters(m.back, true) }

// Of a node that is measured for very long the first runs and the last ones are kept.
const (
	firstMeasures = 16
	mostMeasures  = 256
)

// Add notes a run whose Detail has its metrics. env is a number of the caller's for the run's environment.
func (m *Measures) Add(run *Run, env uint16) {
	if d := run.Detail; d != nil {
		back, known := d.Metrics[metricCorrective]
		m.Note(run, env, d.Metrics[metricRetrieval], back > 0, known)
	}
}

// Note is Add where the metrics are known without a Detail: the seconds until the catalog came, and whether anything was put back. A
// run of which that is not known leaves a gap, unless it failed, as runs without a catalog have no such metric.
func (m *Measures) Note(run *Run, env uint16, seconds float64, corrective, known bool) {
	r := measure{mark: markOf(run, env)}
	if !known && !run.failed() {
		m.gap = max(m.gap, r.at)
		return
	}
	if r.healthy() && seconds > 0 && seconds < math.MaxFloat32 {
		r.retrieval = float32(seconds)
	}
	r.flags |= flagIf(corrective, isCorrective)
	m.note(r)
}

func (m *Measures) note(r measure) {
	if r.at < quarters(m.back, true) {
		return
	}
	at, known := slices.BinarySearchFunc(m.runs, r, func(a, b measure) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.length, b.length), cmp.Compare(a.env, b.env), cmp.Compare(a.flags, b.flags), cmp.Compare(a.retrieval, b.retrieval))
	})
	if known {
		return
	}
	if r.flags&(isCorrective|isNoop) == isCorrective { // a noop run only says what it would put back
		m.corrective.note(fromQuarters(r.at), r.ended(), m.back, m.from)
	}
	m.runs = slices.Insert(m.runs, at, r)
	if len(m.runs) > mostMeasures {
		m.runs = slices.Delete(m.runs, firstMeasures, firstMeasures+1)
	}
}

// Measured sums up. reference is the node's admission, or for a control the start of the stage. As with run times the first run
// after it does not count, because a new environment brings its plugins along. The past of both ends when the stage begins: a
// time of day when catalogs come faster must not make those look slower that are admitted later.
func (m *Measures) Measured(reference time.Time, admitted bool, candidate uint16, parameters bool) Measured {
	from, began := quarters(reference, true), quarters(m.from, true)
	var before, last []float64
	first := true
	for _, r := range m.runs {
		switch {
		case r.retrieval == 0:
		case r.at < began:
			before = append(before, float64(r.retrieval))
		case r.at < from || admitted && (r.agent() < from || !parameters && r.env != candidate):
		case first:
			first = false
		default:
			last = append(last, float64(r.retrieval))
		}
	}
	return Measured{Retrieval: longer(tail(before, len(Recent{}.marks)), tail(last, lastRuns)), Corrective: m.corrective}
}

func tail(values []float64, n int) []float64 { return values[max(0, len(values)-n):] }

// longer compares two medians.
func longer(before, last []float64) Slower {
	if len(before) == 0 || len(last) == 0 {
		return Slower{}
	}
	return slowerBy(oddMedian(last)/oddMedian(before), len(last))
}

// oddMedian leaves out the first value of an even number, and sorts the others. Half of all such medians are above that of what
// the values come from, however many there are and whatever their distribution; of the lower of two in the middle fewer are, so
// that nodes with two runs would look faster than nodes with one or three.
func oddMedian[T cmp.Ordered](values []T) T {
	values = values[1-len(values)%2:]
	slices.Sort(values)
	return values[len(values)/2]
}

// measured is what is known of a node: told by whoever summed it up, or read off its runs if they all have their metrics.
func (c *cohorts) measured(h *history) (Measured, bool) {
	if h.Measured != nil || h.Summary != nil {
		if h.Measured == nil {
			return Measured{}, false
		}
		return *h.Measured, true
	}
	reference := c.evidence.StageStarted
	if h.Admitted() {
		reference = h.AdmittedAt.Time()
	}
	m := NewMeasures(c.evidence.StageStarted, c.policy.MeasuredPast())
	any := false
	for _, runs := range [][]observed{h.before, h.after} {
		for i := range runs {
			r := &runs[i].Run
			if r.Detail == nil && !r.failed() {
				return Measured{}, false
			}
			any = any || r.Detail != nil
			if !r.Produced.After(c.evidence.Now) {
				m.Add(r, uint16(1+oneIf(r.Environment != c.evidence.Candidate)))
			}
		}
	}
	return m.Measured(reference, h.Admitted(), 1, c.evidence.Kind == KindParameters), any && !m.Gaps()
}
