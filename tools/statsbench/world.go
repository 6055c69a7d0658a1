package main

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// world is a fleet in one stage, of one time unit, whose nodes each have at most one
// first event.
type world struct {
	name   string
	strata []stratum
	// when maps a uniform number in [0,1) to the time of an event; nil is uniform.
	when func(u float64) float64
	rack int  // nodes of a rack fail together; 0: each on its own
	ramp bool // canaries are admitted evenly over the stage, else all at its start
}

// stratum has its own size and event rates.
type stratum struct {
	canaries, controls int
	p0, p1             float64 // share of the nodes with an event; p1: of canaries
}

type event struct {
	at      float64
	stratum int
	canary  bool
}

const p0 = .001

func one(n1, n0 int, p0, p1 float64) []stratum { return []stratum{{n1, n0, p0, p1}} }

// worlds are those in which the change does nothing.
func worlds() []world {
	mixed := []stratum{}
	for i, p := range []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02} {
		mixed = append(mixed, stratum{60 + 380*(i%2), 12_000, p, p})
	}
	small := slices.Repeat(one(20, 180, .02, .02), 100)
	return []world{
		{name: "independent nodes, 2,000 v 98,000, .1 %", strata: one(2000, 98_000, p0, p0)},
		{name: "sparse, 1,000 v 99,000, .01 %", strata: one(1000, 99_000, .0001, .0001)},
		{name: "common, 2,000 v 98,000, 2 %", strata: one(2000, 98_000, .02, .02)},
		{name: "events at one time of day", strata: one(2000, 98_000, p0, p0), when: func(u float64) float64 { return .4 + .1*u }},
		{name: "early events", strata: one(2000, 98_000, p0, p0), when: func(u float64) float64 { return u * u * u }},
		{name: "racks of 20 fail together, .2 %", strata: one(2000, 98_000, .002, .002), rack: 20},
		{name: "8 strata of other rates and shares", strata: mixed},
		{name: "100 strata of 20 v 180, 2 %", strata: small},
		{name: "ramp: admitted evenly over the stage", strata: one(2000, 98_000, p0, p0), ramp: true},
	}
}

func effects() []world {
	return []world{
		{name: "+.5 points, 2,000 v 98,000", strata: one(2000, 98_000, p0, p0+.005)},
		{name: "+5 points, 2,000 v 98,000", strata: one(2000, 98_000, p0, p0+.05)},
		{name: "+.2 points, 2,000 v 98,000", strata: one(2000, 98_000, p0, p0+.002)},
		{name: "+1 point on 1 %, 2,000 v 98,000", strata: one(2000, 98_000, .01, .02)},
		{name: "+.5 points, 2,000 v 2,000", strata: one(2000, 2000, p0, p0+.005)},
		{name: "+5 points, 50 v 950", strata: one(50, 950, p0, p0+.05)},
	}
}

// draw makes the events of one stage in the order of time.
func (w world) draw(r *rand.Rand, events []event) []event {
	events = events[:0]
	for i, s := range w.strata {
		if w.rack > 0 {
			events = w.drawRacks(r, events, i)
			continue
		}
		for range binomial(r, s.canaries, s.p1) {
			e := event{at: w.time(r), stratum: i, canary: true}
			if w.ramp { // a node that is not admitted yet is control
				e.canary = r.Float64() < e.at
			}
			events = append(events, e)
		}
		for range binomial(r, s.controls, s.p0) {
			events = append(events, event{at: w.time(r), stratum: i})
		}
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return events
}

// drawRacks lets whole racks fail, each of whose nodes shows it at its next run, in
// the fifth of the stage after. Which nodes are canaries is drawn without replacement.
func (w world) drawRacks(r *rand.Rand, events []event, i int) []event {
	s := w.strata[i]
	left1, left0 := s.canaries, s.controls
	for range binomial(r, (left1+left0)/w.rack, s.p0) {
		at := .8 * w.time(r)
		for range w.rack {
			e := event{at: at + .2*r.Float64(), stratum: i, canary: r.IntN(left1+left0) < left1}
			if e.canary {
				left1--
			} else {
				left0--
			}
			events = append(events, e)
		}
	}
	return events
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
	log := math.Log1p(-p)
	k := 0
	for at := math.Log(1-r.Float64()) / log; at < float64(n); at += 1 + math.Floor(math.Log(1-r.Float64())/log) {
		k++
	}
	return k
}
