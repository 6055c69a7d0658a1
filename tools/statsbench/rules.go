package main

import (
	"math"
	"math/rand/v2"

	"github.com/openinfrastructure/sluice/analyzer/stats"
	"github.com/openinfrastructure/sluice/tools/internal/kayenta"
)

const alpha = .01

// rule stops a stage at a time, or at more than 1 if it does not stop it.
type rule struct {
	name    string
	short   string // in pictures
	stop    func(world, stage) float64
	applies func(world) bool // nil: to every world
}

// never is later than the end of a stage.
const never = 2

var rules = []rule{
	{"ECS, a look at every event", "ECS", ecs, nil},
	{"Fisher, once at the end", "Fisher", fisher, admittedAtOnce},
	{"oracle SPRT", "SPRT", sprt, simple},
	{"Flagger style, tuned", "Flagger", flagger, nil},
	{"Kayenta, 10 looks", "Kayenta", kayentaRule, admittedAtOnce},
	{"e-process", "e-process", eprocess, admittedAtOnce},
}

// admittedAtOnce: the rules that need it would have to know every node's admission.
func admittedAtOnce(w world) bool { return !w.ramp }

// simple worlds are those whose rates an oracle can know.
func simple(w world) bool {
	return len(w.strata) == 1 && w.when == nil && w.delay == nil && w.reports <= 1 && admittedAtOnce(w)
}

func ecs(w world, st stage) float64 {
	e, err := stats.NewECS(alpha)
	must(err)
	for _, ev := range st.events {
		s := w.strata[ev.stratum]
		y1, y0 := s.canaries, s.controls
		if w.ramp {
			y1 = max(int(float64(s.canaries)*ev.at), count(ev.canary))
			y0 = s.canaries + s.controls - y1
		}
		must(e.Event(y1, y0, 1, count(ev.canary)))
		if e.Look(ev.at) {
			return ev.at
		}
	}
	if e.Look(1) {
		return 1
	}
	return never
}

// fisher ignores strata, time, and what nodes did before.
func fisher(w world, st stage) float64 {
	n1, n0 := w.sizes()
	k := 0
	for _, e := range st.nodes {
		k += count(e.canary)
	}
	p, _, err := stats.HypergeometricUpper(int64(k), int64(len(st.nodes)), int64(n1), int64(n1+n0))
	must(err)
	if p <= alpha {
		return 1
	}
	return never
}

// sprt is Wald's test of the canaries alone that knows both rates; without effect
// it takes +.5 points for the alternative. Of racks it knows the rate, not that
// their nodes fail together.
func sprt(w world, st stage) float64 {
	s := w.strata[0]
	n := float64(s.canaries)
	before, after := s.p0+w.racks, s.p1+w.racks
	if after == before {
		after += .005
	}
	hit, miss, hits := math.Log(after/before), math.Log1p(-after)-math.Log1p(-before), 0.0
	for _, e := range st.events {
		if hits += float64(count(e.canary)); e.canary && hits*hit+(n*e.at-hits)*miss >= -math.Log(alpha) {
			return e.at
		}
	}
	return never
}

// Flagger counts the checks in which the canary's share of failed reports is above a
// limit. Tuned by hand for 2,000 canaries at .1 %: 6 of 30 checks above 1 % stop
// about 1 % of the changes that do nothing there.
const (
	flaggerChecks, flaggerFailed = 30, 6
	flaggerLimit                 = .01
)

func flagger(w world, st stage) float64 {
	n1, _ := w.sizes()
	each := float64(n1*max(w.reports, 1)) / flaggerChecks
	i, breaches := 0, 0
	for c := range flaggerChecks {
		end, failed := float64(c+1)/flaggerChecks, 0
		for ; i < len(st.reports) && st.reports[i].at < end; i++ {
			failed += count(st.reports[i].canary)
		}
		reported := each
		if w.ramp {
			reported *= end
		}
		if float64(failed) > flaggerLimit*reported {
			breaches++
		}
		if breaches == flaggerFailed {
			return end
		}
	}
	return never
}

// kayentaRule looks ten times at all reports so far, 0 or 1 each.
func kayentaRule(w world, st stage) float64 {
	n1, n0 := w.sizes()
	per := max(w.reports, 1)
	i, bad1, bad0 := 0, 0, 0
	for look := 1; look <= 10; look++ {
		t := float64(look) / 10
		for ; i < len(st.reports) && st.reports[i].at <= t; i++ {
			bad1 += count(st.reports[i].canary)
			bad0 += count(!st.reports[i].canary)
		}
		seen1, seen0 := max(int(t*float64(n1*per)), bad1), max(int(t*float64(n0*per)), bad0)
		if kayentaHigh(bad1, seen1, bad0, seen0) {
			return t
		}
	}
	return never
}

func kayentaHigh(bad1, n1, bad0, n0 int) bool {
	if bad1 == 0 || n1 == 0 || n0 == 0 {
		return false
	}
	p := kayenta.Judge(kayenta.Increase)
	if bad1 == n1 && (bad0 == 0 || bad0 == n0) { // both arms are constant
		return kayenta.Classify(p, mix(bad1, 1, 0, 0), mix(bad0, 1, n0-bad0, 0), rand.New(rand.NewPCG(1, 1))).Label == kayenta.High
	}
	var x, y kayenta.Arm
	x.Add(0, float64(n1-bad1))
	x.Add(1, float64(bad1))
	y.Add(0, float64(n0-bad0))
	y.Add(1, float64(bad0))
	return kayenta.ClassifyCounts(p, x, y).Label == kayenta.High
}

func eprocess(w world, st stage) float64 {
	var e stats.EProcess
	gone := make([][2]int, len(w.strata))
	for _, ev := range st.events {
		s, g := w.strata[ev.stratum], &gone[ev.stratum]
		y1, y0 := s.canaries-g[1], s.controls-g[0]
		must(e.Event(y1, y0, 1, count(ev.canary)))
		g[count(ev.canary)]++
		if e.LogE() >= -math.Log(alpha) {
			return ev.at
		}
	}
	return never
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
