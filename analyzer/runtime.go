package analyzer

import (
	"math"
	"time"
)

// Slower is how the length of a node's last runs compares with what is typical of it.
type Slower struct {
	// Bins is the logarithm of the ratio in steps of half a percent.
	Bins int16 `json:"bins"`
	// Runs is how many runs it rests on, 0 to 3; with 0 it says nothing.
	Runs uint8 `json:"runs"`
}

const (
	binWidth = .005
	mostBins = 800 // 55 times slower, or faster
	lastRuns = 3
)

func slower(typical uint16, last lengths) Slower {
	if typical == 0 || last.n == 0 || last.median() == 0 {
		return Slower{}
	}
	return slowerBy(float64(last.median())/float64(typical), last.n)
}

func slowerBy(ratio float64, runs int) Slower {
	bins := math.Round(math.Log(ratio) / binWidth)
	return Slower{Bins: int16(min(max(bins, -mostBins), mostBins)), Runs: uint8(runs)}
}

// healthy runs enforced a fresh catalog and did not fail: their length can be compared.
func (m mark) healthy() bool { return m.flags&isFresh != 0 && m.flags&(isFailed|isHidden) == 0 }

// lengths of a few runs, in quarters of a second.
type lengths struct {
	of [len(Recent{}.marks)]uint16
	n  int
}

func (l *lengths) add(length uint16) {
	if l.n == len(l.of) {
		copy(l.of[:], l.of[1:])
		l.n--
	}
	l.of[l.n] = length
	l.n++
}

// median is that of an odd number of them, the last ones, 0 of none.
func (l lengths) median() uint16 {
	if l.n == 0 {
		return 0
	}
	return oddMedian(l.of[:l.n])
}

// Typical is the median length of the healthy runs in the lookback before a stage, 0 where there is none. The past of a canary ends
// where that of a control does: had it gone on until the admission, then in a stage that admits its nodes over hours a fleet that
// gets faster by itself would have canaries that look slower than controls. A node that joined since has no past in either cohort.
//
// known is what it was before the last run came, of the same stage (0 in a new one): it stands as soon as runs of the stage have
// displaced some of those before it.
func (r *Recent) Typical(started time.Time, lookback time.Duration, known uint16) uint16 {
	from, to := quarters(started.Add(-lookback), true), quarters(started, true)
	if known != 0 && int(r.n) == len(r.marks) && r.marks[r.n-1].at >= to {
		return known
	}
	var past lengths
	for _, m := range r.marks[:r.n] {
		if m.at >= from && m.at < to && m.healthy() {
			past.add(m.length)
		}
	}
	return past.median()
}

// Slower compares the last healthy runs since the reference with what is typical of the node: of an admitted one those of
// the candidate, of a control all. The first does not count: it costs a second catalog and the plugins of a new environment.
func (r *Recent) Slower(h Habit, reference time.Time, admitted bool, candidate uint16, parameters bool) Slower {
	from := quarters(reference, true)
	var last lengths
	first := true
	for _, m := range r.marks[:r.n] {
		if m.at < from || admitted && m.agent() < from || !m.healthy() || admitted && !parameters && m.env != candidate {
			continue
		}
		if first {
			first = false
			continue
		}
		if last.n == lastRuns {
			copy(last.of[:], last.of[1:lastRuns])
			last.n--
		}
		last.add(m.length)
	}
	return slower(h.Typical, last)
}

// magnitudes are a node's values for the checks that compare it with its own past; ok where it has one.
func (c *cohorts) magnitudes(h *history, m *Measured) (bins [magnitudes]int, ok [magnitudes]bool) {
	if h.Admitted() && !h.state.Exposed {
		return bins, ok
	}
	bins[runTime], ok[runTime] = c.runTime(h)
	if m != nil {
		bins[retrieval], ok[retrieval] = int(m.Retrieval.Bins), m.Retrieval.Runs > 0
	}
	return bins, ok
}

func (c *cohorts) runTime(h *history) (bins int, ok bool) {
	if h.Summary != nil {
		return int(h.Summary.Slower.Bins), h.Summary.Slower.Runs > 0
	}
	s := c.slowerOf(h)
	return int(s.Bins), s.Runs > 0
}

// slowerOf works it out from the runs.
func (c *cohorts) slowerOf(h *history) Slower {
	reference := c.evidence.StageStarted
	if h.Admitted() {
		reference = h.AdmittedAt.Time()
	}
	var recent Recent
	typical := uint16(0)
	for _, runs := range [][]observed{h.before, h.after} {
		for i := range runs {
			if r := &runs[i].Run; !r.Produced.After(c.evidence.Now) {
				recent.Add(r, uint16(1+oneIf(r.Environment != c.evidence.Candidate)))
				typical = recent.Typical(c.evidence.StageStarted, time.Duration(c.policy.Silence.Lookback), typical)
			}
		}
	}
	return recent.Slower(Habit{Typical: typical}, reference, h.Admitted(), 1, c.evidence.Kind == KindParameters)
}

// histogram counts nodes by bins. The zero value has none.
type histogram []int64

func (h *histogram) add(bins int) {
	if *h == nil {
		*h = make(histogram, 2*mostBins+1)
	}
	(*h)[bins+mostBins]++
}
