package analyzer

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// frame is who is compared with whom in this stage. Every eligible node that no earlier stage admitted takes part: it is a
// control until its own admission, and a canary from then on, whether it has run the change or not (intention to treat).
type frame struct {
	strata map[string]*stratum
	last   *stratum
	starts []admissions // of the canaries of this stage, by time
	// early are the admitted nodes of earlier stages, which are in neither arm.
	early int
}

// admissions are how many nodes were admitted at one time.
type admissions struct {
	at    time.Time
	nodes int
}

// stratum counts the nodes of one stratum that could have an event, per check.
type stratum struct {
	name     string
	controls [eventChecks]int // never admitted so far
	// allControls are all of them, whatever they had before.
	allControls int
	canaries    []joined
	admitted    [][eventChecks]int // how many the first so many canaries are together; empty until it is asked for
	// events in the order in which they could be known, once sorted.
	events [eventChecks][]event
	values [magnitudes][2]histogram // against the nodes' own past: controls, canaries
	// measured are the nodes whose metrics are read, leftOut those that were dead or only simulating: controls, canaries.
	measured, leftOut [2]int
}

// joined are the canaries that were admitted at one time.
type joined struct {
	at  int64 // ms
	n   [eventChecks]int
	all int
}

// event is the first one of a node.
type event struct {
	at, seen int64 // ms
	since    int64 // ms, from the admission on; of a canary
	certname string
	canary   bool
	of       *stratum
}

func (f *frame) stratum(name string) *stratum {
	if f.last != nil && f.last.name == name {
		return f.last
	}
	s := f.strata[name]
	if s == nil {
		s = &stratum{name: name}
		if f.strata == nil {
			f.strata = map[string]*stratum{}
		}
		f.strata[name] = s
	}
	f.last = s
	return s
}

// add takes a node in.
func (f *frame) add(c *cohorts, h *history) {
	switch {
	case h.Admitted() && int(h.Stage) != c.evidence.StageIndex:
		f.early++
		return
	case h.state.leftOut || h.Outside:
		if !h.Outside {
			f.stratum(h.Stratum).leftOut[oneIf(h.Admitted())]++
		}
		if h.Admitted() {
			f.started(h.AdmittedAt.Time(), 1) // it was planned, and its share of the plan is due like any other
		}
		return // by what was when the stage began: a control that fell silent since had its event, and admission does not undo it
	}
	s := f.stratum(h.Stratum)
	var metrics *Measured
	if m, ok := c.measured(h); ok {
		metrics = &m
		s.measured[oneIf(h.Admitted())]++
	}
	from := [eventChecks]bool{correctiveEvents: metrics == nil}
	if metrics != nil && metrics.Corrective != (Onset{}) || h.Summary == nil || h.Summary.Odd != nil || len(h.before)+len(h.after) > 0 || h.state.Silent || h.state.Excluded {
		for check, o := range c.onsets(h, metrics) {
			from[check] = from[check] || o.Before
			if o.At != 0 && !o.Before {
				canary := h.Admitted() && o.At >= h.AdmittedAt.milli()
				s.events[check] = append(s.events[check], event{at: o.At, seen: o.Seen, since: o.At - h.AdmittedAt.milli(), certname: h.Certname, canary: canary, of: s})
			}
		}
	}
	arm, all := &s.controls, &s.allControls
	if h.Admitted() {
		j := s.joined(h.AdmittedAt.milli())
		arm, all = &j.n, &j.all
		f.started(h.AdmittedAt.Time(), 1)
	}
	*all++
	for check := range arm {
		arm[check] += 1 - oneIf(from[check])
	}
	bins, ok := c.magnitudes(h, metrics)
	for i, x := range bins {
		if ok[i] {
			s.values[i][oneIf(h.Admitted())].add(x)
		}
	}
}

// joined finds the canaries of one admission; most nodes come with one that was there lately.
func (s *stratum) joined(at int64) *joined {
	s.admitted = nil
	i, found := slices.BinarySearchFunc(s.canaries, at, func(j joined, at int64) int { return cmp.Compare(j.at, at) })
	if !found {
		s.canaries = slices.Insert(s.canaries, i, joined{at: at})
	}
	return &s.canaries[i]
}

func (f *frame) started(at time.Time, nodes int) {
	i, found := slices.BinarySearchFunc(f.starts, at, func(a admissions, at time.Time) int { return a.at.Compare(at) })
	if !found {
		f.starts = slices.Insert(f.starts, i, admissions{at: at})
	}
	f.starts[i].nodes += nodes
}

// atRisk are the canaries and controls that could have had the event at a time, those who had theirs included.
func (s *stratum) atRisk(check int, at int64) (y1, y0 int) {
	y1 = s.admittedBy(check, at)
	return y1, s.controls[check] + s.admitted[len(s.canaries)][check] - y1
}

// lately are the canaries that were admitted no longer than a window before a time, in ms, and the controls, of those that could
// have had the event.
func (s *stratum) lately(check int, at, window int64) (y1, y0 int) {
	y1, y0 = s.atRisk(check, at)
	return y1 - s.admittedBy(check, at-window), y0
}

// admittedBy counts the canaries that were admitted by a time. A ramp has thousands of admissions and a troubled stage tens of
// thousands of events, so they are added up once.
func (s *stratum) admittedBy(check int, at int64) int {
	if len(s.admitted) != len(s.canaries)+1 {
		s.admitted = make([][eventChecks]int, len(s.canaries)+1)
		for i, j := range s.canaries {
			s.admitted[i+1] = s.admitted[i]
			for k, n := range j.n {
				s.admitted[i+1][k] += n
			}
		}
	}
	first := sort.Search(len(s.canaries), func(i int) bool { return s.canaries[i].at > at })
	return s.admitted[first][check]
}

// sorted are the strata by name: whatever is summed over them is summed in this order.
func (f *frame) sorted() []*stratum {
	out := make([]*stratum, 0, len(f.strata))
	for _, s := range f.strata {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *stratum) int { return strings.Compare(a.name, b.name) })
	return out
}

// log is all events of a check in the order in which they could be known. It is a function of the reports alone, so that
// it is the same for every leader that has read them.
func (f *frame) log(check int) []event {
	var out []event
	for _, s := range f.strata {
		out = append(out, s.events[check]...)
	}
	slices.SortFunc(out, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.seen/1000, b.seen/1000), cmp.Compare(a.at/1000, b.at/1000), strings.Compare(a.of.name, b.of.name), cmp.Compare(a.at, b.at), strings.Compare(a.certname, b.certname))
	})
	return out
}

// batch is the events of one stratum in one second: together, since none of them was the first. A node that is admitted in that
// second ends it, so that all of a batch had the same canaries beside them.
func batch(log []event, check int) (of, rest []event, y1, y0 int) {
	y1, y0 = log[0].of.atRisk(check, log[0].at)
	n := 1
	for n < len(log) && log[n].of == log[0].of && log[n].at/1000 == log[0].at/1000 {
		if log[n].at != log[n-1].at {
			if now, _ := log[n].of.atRisk(check, log[n].at); now != y1 {
				break
			}
		}
		n++
	}
	return log[:n], log[n:], y1, y0
}

// fold runs an exact sequential test over the log, with a look at every event and one at the end.
func (f *frame) fold(check int, test *stats.ECS, info func(ms int64) float64, end int64) (folded, error) {
	var out folded
	for rest := f.log(check); len(rest) > 0; {
		var of []event
		var y1, y0 int
		of, rest, y1, y0 = batch(rest, check)
		seen, canaries := int64(0), 0
		for _, e := range of {
			seen = max(seen, e.seen)
			canaries += oneIf(e.canary)
		}
		out.add(y1, y0, len(of), canaries)
		if y1 == 0 || y0 == 0 {
			continue // nothing to compare with
		}
		if err := test.Event(y1, y0, len(of), canaries); err != nil {
			return out, err
		}
		test.Look(info(min(seen, end)))
	}
	test.Look(info(end))
	return out, nil
}

// folded is what all events up to now amount to, those after a crossing too.
type folded struct {
	// canary and control had one where both were at risk.
	canary, control int
	// expected is how many canaries would have had the event without an effect, by the controls beside them.
	expected float64
	// alone are events where only one of the two was.
	alone int
}

func (f *folded) add(y1, y0, d, c int) {
	if y1 == 0 || y0 == 0 {
		f.alone += d
		return
	}
	f.canary += c
	f.control += d - c
	f.expected += float64(float64(d-c) * float64(y1) / float64(y0))
}
