package main

import (
	"math"
	"math/rand/v2"
	"slices"
)

// world is a fleet in one stage, of one time unit, whose nodes each have at most one
// first event.
type world struct {
	name   string
	strata []stratum
	// when maps a uniform number in [0,1) to the time of what causes an event; nil is
	// uniform. It shows by delay later, or not at all in this stage.
	when  func(u float64) float64
	delay func(*rand.Rand) float64
	rack  int     // nodes of a rack fail together; 0: each on its own
	racks float64 // share of the racks that fail
	ramp  bool    // canaries are admitted evenly over the stage, else all at its start
	// reports of each node in the stage, one by default. They are correlated: with the
	// probability shared one says what the node's own coin says.
	reports int
	shared  float64
	// chronic is the share of nodes that failed before and go on: they are not clean.
	chronic float64
	hidden  bool // the reports' status says nothing of the events
	kind    kind
}

// kind of a world, for what its rows are about.
type kind int

const (
	failures kind = iota
	silence
)

// stratum has its own size and event rates.
type stratum struct {
	canaries, controls int
	p0, p1             float64 // share of the nodes with an event; p1: of canaries
}

const p0 = .001

func one(n1, n0 int, p0, p1 float64) []stratum { return []stratum{{n1, n0, p0, p1}} }

// sine is a rate that triples and falls to nothing over the stage.
func sine(u float64) float64 { // the inverse of t − sin(2πt)/2π by bisection
	low, high := 0., 1.
	for range 30 {
		if mid := (low + high) / 2; mid-math.Sin(2*math.Pi*mid)/(2*math.Pi) < u {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}

// nextRun: a stage of two run intervals with some splay; a node shows at its next run.
func nextRun(r *rand.Rand) float64 { return .5*r.Float64() + .1*r.Float64() }

// overdue: a missing run, its splay, and grace.
func overdue(r *rand.Rand) float64 { return .25 + .1*r.Float64() }

// mixed roles have other rates and other shares of canaries each.
func mixed() []stratum {
	var out []stratum
	for i, p := range []float64{.0001, .0002, .0005, .001, .002, .005, .01, .02} {
		out = append(out, stratum{60 + 380*(i%2), 12_000, p, p})
	}
	return out
}

// worlds are those in which the change does nothing.
func worlds() []world {
	wide := one(2000, 98_000, p0, p0)
	return []world{
		{name: "independent nodes, 2,000 v 98,000, .1 %", strata: wide},
		{name: "1:99 sparse, 1,000 v 99,000, .01 %", strata: one(1000, 99_000, .0001, .0001)},
		{name: "common, 2,000 v 98,000, 2 %", strata: one(2000, 98_000, .02, .02)},
		{name: "16 reports a node, correlation .8", strata: wide, reports: 16, shared: math.Sqrt(.8)},
		{name: "diurnal drift", strata: wide, when: sine},
		{name: "all events at one time of day", strata: wide, when: func(u float64) float64 { return .4 + .1*u }},
		{name: "early events", strata: wide, when: func(u float64) float64 { return u * u * u }},
		{name: "racks of 20 fail together, .2 %", strata: one(2000, 98_000, 0, 0), rack: 20, racks: .002},
		{name: "role mix shift: 8 strata of other rates and shares", strata: mixed()},
		{name: "100 strata of 20 v 180, 2 %", strata: slices.Repeat(one(20, 180, .02, .02), 100)},
		{name: "splay: shown by the next run", strata: wide, delay: nextRun},
		{name: "silent nodes, .2 %, and racks that go dark, .1 %", strata: one(2000, 98_000, .002, .002), delay: overdue, rack: 20, racks: .001, kind: silence},
		{name: "ramp: admitted evenly over the stage", strata: wide, ramp: true},
		{name: "identical code under a new name, 1 % fail anyway", strata: wide, chronic: .01},
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
		{name: "+.5 points, and 1 % fail anyway", strata: one(2000, 98_000, p0, p0+.005), chronic: .01},
		{name: "+.5 points in racks that fail, .2 %", strata: one(2000, 98_000, 0, .005), rack: 20, racks: .002},
		{name: "+2 points silent, on .2 %", strata: one(2000, 98_000, .002, .022), delay: overdue, kind: silence},
		{name: "hidden compile failures, +.5 points on .01 %", strata: one(2000, 98_000, .0001, .0051), hidden: true},
	}
}

// fleet is a size with the canaries of a usual first stage.
type fleet struct{ nodes, canaries int }

var fleets = []fleet{{16, 4}, {50, 5}, {200, 20}, {1000, 50}, {20_000, 400}, {100_000, 2000}}

// at is the fleet with an effect on its canaries.
func (f fleet) at(effect float64) world {
	return world{strata: one(f.canaries, f.nodes-f.canaries, p0, min(1, p0+effect))}
}

func (w world) sizes() (canaries, controls int) {
	for _, s := range w.strata {
		canaries, controls = canaries+s.canaries, controls+s.controls
	}
	return canaries, controls
}
