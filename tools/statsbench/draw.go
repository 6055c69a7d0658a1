package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

type event struct {
	at      float64
	stratum int
	canary  bool
}

// stage is one drawing of a world. All lists are in the order of time.
type stage struct {
	events  []event // the first event of each clean node
	nodes   []event // first failures of all nodes, clean or not
	reports []event // failed reports
}

// draw makes one stage, reusing the memory of the last.
func (w world) draw(r *rand.Rand, st stage) stage {
	st.events, st.nodes, st.reports = st.events[:0], st.nodes[:0], st.reports[:0]
	for i, s := range w.strata {
		if w.rack > 0 {
			w.drawRacks(r, &st, i)
		}
		w.drawArm(r, &st, i, true, s.canaries, s.p1)
		w.drawArm(r, &st, i, false, s.controls, s.p0)
	}
	for _, list := range [][]event{st.events, st.nodes, st.reports} {
		slices.SortFunc(list, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	}
	return st
}

func (w world) drawArm(r *rand.Rand, st *stage, i int, canary bool, n int, p float64) {
	if w.reports > 1 {
		w.drawReports(r, st, i, canary, n, p)
		return
	}
	for range binomial(r, n, p) {
		w.add(r, st, event{at: w.time(r), stratum: i, canary: canary})
	}
	for range binomial(r, n, w.chronic) {
		e := event{at: r.Float64(), stratum: i, canary: canary}
		st.nodes, st.reports = append(st.nodes, e), append(st.reports, e)
	}
}

// add notes an event by when it shows, if that is in the stage.
func (w world) add(r *rand.Rand, st *stage, e event) {
	if w.delay != nil {
		e.at += w.delay(r)
	}
	if e.at >= 1 {
		return
	}
	if w.ramp && e.canary { // a node that is not admitted yet is control
		e.canary = r.Float64() < e.at
	}
	st.events, st.nodes = append(st.events, e), append(st.nodes, e)
	if !w.hidden {
		st.reports = append(st.reports, e)
	}
}

// drawReports gives each node a coin, and each of its reports one of its own that is
// asked when the node's is not.
func (w world) drawReports(r *rand.Rand, st *stage, i int, canary bool, n int, p float64) {
	stray := (1 - w.shared) * p
	for range binomial(r, n, p) {
		phase, first := r.Float64(), true
		for k := range w.reports {
			if r.Float64() >= w.shared+stray {
				continue
			}
			e := event{at: (float64(k) + phase) / float64(w.reports), stratum: i, canary: canary}
			st.reports = append(st.reports, e)
			if first {
				st.events, st.nodes, first = append(st.events, e), append(st.nodes, e), false
			}
		}
	}
	for range binomial(r, n, float64(w.reports)*stray) { // a node with one stray report
		e := event{at: r.Float64(), stratum: i, canary: canary}
		st.events, st.nodes, st.reports = append(st.events, e), append(st.nodes, e), append(st.reports, e)
	}
}

// drawRacks lets whole racks fail, each of whose nodes shows it at its next run, in
// the fifth of the stage after. Which nodes are canaries is drawn without replacement.
func (w world) drawRacks(r *rand.Rand, st *stage, i int) {
	s := w.strata[i]
	left1, left0 := s.canaries, s.controls
	for range binomial(r, (left1+left0)/w.rack, w.racks) {
		at := .8 * w.time(r)
		for range w.rack {
			e := event{at: at + .2*r.Float64(), stratum: i, canary: r.IntN(left1+left0) < left1}
			if e.canary {
				left1--
			} else {
				left0--
			}
			st.events, st.nodes, st.reports = append(st.events, e), append(st.nodes, e), append(st.reports, e)
		}
	}
}

func (w world) time(r *rand.Rand) float64 {
	if u := r.Float64(); w.when != nil {
		return w.when(u)
	} else {
		return u
	}
}

// binomial counts successes by the gaps between them, in time O(n·p).
func binomial(r *rand.Rand, n int, p float64) int {
	if p <= 0 {
		return 0
	}
	if p >= 1 {
		return n
	}
	log := math.Log1p(-p)
	k := 0
	for at := math.Floor(math.Log(1-r.Float64()) / log); at < float64(n); at += 1 + math.Floor(math.Log(1-r.Float64())/log) {
		k++
	}
	return k
}
