package analyzer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// nullStage is one of a change that does nothing: half of 4,000 nodes are admitted evenly over a ramp. Every node runs each half
// hour. Catalogs and runs take a level that all nodes have in common, times noise. It is judged
// every ten minutes; what fired is by check.
func nullStage(seed uint64, ramp time.Duration, level func(time.Duration) float64) (fired map[string]string) {
	const n = 4000
	fired = map[string]string{}
	r := rand.New(rand.NewPCG(seed, 7))
	start := now.Add(-24 * time.Hour)
	type sim struct {
		m        *Measures
		phase    time.Duration
		admitted time.Duration
		runs     int32
		next     time.Duration
		recent   Recent
		typical  uint16
		cut      bool
	}
	nodes := make([]sim, n)
	e := Evidence{Kind: KindEnvironment, Candidate: "cand", Baseline: "base", StageStarted: start, Planned: n / 2, Nodes: make([]Node, n)}
	sums := make([]Summary, n)
	for i := range nodes {
		nodes[i] = sim{m: NewMeasures(start, 2*time.Hour), phase: time.Duration(r.Int64N(int64(30 * time.Minute))), admitted: -1}
		nodes[i].next = -5*time.Hour + nodes[i].phase
		if i%2 == 0 {
			nodes[i].admitted = time.Duration(float64(ramp) * float64(i) / n)
		}
		sums[i] = Summary{Habit: Habit{Reports: 8, Enforced: true, Usual: QuartersOf(30 * time.Minute), Longest: 80, Last: start.UnixMilli()}}
		e.Nodes[i] = Node{Certname: fmt.Sprintf("n%05d", i), Stage: -1, Stratum: "s", Summary: &sums[i]}
	}
	for t := time.Duration(0); t <= ramp+3*time.Hour; t += 10 * time.Minute {
		for i := range nodes {
			s := &nodes[i]
			is := s.admitted >= 0 && s.admitted <= t
			for ; s.next < t; s.next += 30 * time.Minute {
				env, num := "base", uint16(2)
				if s.admitted >= 0 && s.next >= s.admitted {
					env, num = "cand", 1
					s.runs++
				}
				run := metricRun(start.Add(s.next), env, 3*level(s.next)*math.Exp(.3*r.NormFloat64()), false)
				run.End = run.Start.Add(time.Duration(40e9 * level(s.next) * math.Exp(.15*r.NormFloat64())))
				run.Produced = run.End
				s.m.Add(run, num)
				if s.next >= 0 && !s.cut {
					s.cut = true
					sums[i].Habit = s.recent.Habit(start, 24*time.Hour, false)
				}
				if s.admitted >= 0 && s.next >= s.admitted && s.runs == 1 {
					sums[i].Habit = s.recent.Habit(start.Add(s.admitted), 24*time.Hour, true)
				}
				s.recent.Add(run, num)
				s.typical = s.recent.Typical(start, 24*time.Hour, s.typical)
			}
			ref := start
			e.Nodes[i].Stage = -1
			if is {
				ref = start.Add(s.admitted)
				e.Nodes[i].AdmittedAt, e.Nodes[i].Stage = MomentOf(ref), 0
				sums[i].Runs = s.runs
			}
			sums[i].Seen = start.Add(s.next - 30*time.Minute).UnixMilli()
			sums[i].Typical = s.typical
			sums[i].Slower = s.recent.Slower(sums[i].Habit, ref, is, 1, false)
			m := s.m.Measured(ref, is, 1, false)
			e.Nodes[i].Measured = &m
		}
		e.Now = start.Add(t)
		e.Sources = Sources{Fresh: true, Through: e.Now}
		v := Look(DefaultPolicy(), e)
		e.Looks = v.Looks
		for _, c := range v.Checks {
			if Magnitude(c.Name) && c.Result == Fail && fired[c.Name] == "" {
				fired[c.Name] = fmt.Sprintf("after %s: %s", t, c.Reason)
			}
		}
	}
	return fired
}

// TestTimesOfLateAdmissionsAreFair: within a stage nodes are admitted one after the other, so that canaries have fewer runs than
// controls and came at another time of day. Neither makes them look slower.
func TestTimesOfLateAdmissionsAreFair(t *testing.T) {
	flat := func(time.Duration) float64 { return 1 }
	falling := func(d time.Duration) float64 { return math.Exp(-.2 * d.Hours()) }
	for _, w := range []struct {
		name  string
		ramp  time.Duration
		level func(time.Duration) float64
	}{{"in an hour", time.Hour, flat}, {"in six hours, all gets faster and faster", 6 * time.Hour, falling}} {
		for seed := range uint64(3) {
			if fired := nullStage(seed, w.ramp, w.level); len(fired) > 0 {
				t.Errorf("%s, seed %d: a change that does nothing fails: %v", w.name, seed, fired)
			}
		}
	}
}
