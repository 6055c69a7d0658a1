package main

import (
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// plan is the stages of a rollout: shares of the fleet, and whether the pass must be certified.
type plan struct {
	shares    []float64
	certified []bool
	holdback  float64
}

// planFor is DESIGN's default by the size of the fleet.
func planFor(n int) plan {
	switch {
	case n < 500:
		return plan{shares: []float64{1 / float64(n), 5 / float64(n), 20 / float64(n), .8, 1}, certified: make([]bool, 5)}
	case n < 5_000:
		return plan{shares: []float64{.01, .05, .25, 1}, certified: []bool{false, false, true, false}}
	}
	return plan{shares: []float64{.001, .01, .05, .25, .98}, certified: []bool{false, true, true, true, false}, holdback: .02}
}

// ending is how a rollout went.
type ending struct {
	backedOut bool
	stopRule  bool
	held      bool // a person has to look
	reason    string
	exposed   int
	certified bool // a certified pass was given
	took      time.Duration
}

const (
	lookEvery = 10 * time.Minute
	patience  = 12 * time.Hour // of a stage; then a person has to look
	bake      = time.Hour
)

// roll plays one rollout through the judge, with all looks, until it is backed out, everyone has the change, or a stage stands
// still for longer than its patience.
func roll(f *fleet, p plan) (end ending) {
	policy := analyzer.DefaultPolicy()
	n := len(f.nodes)
	order := f.rng.Perm(n)
	now, admitted := f.start, 0
	for stage, share := range p.shares {
		began, target := now, max(1, int(share*float64(n)+.5))
		for _, i := range order[admitted:target] {
			f.nodes[i].Stage, f.nodes[i].AdmittedAt = stage, now
		}
		e := analyzer.Evidence{Rollout: "r", Stage: "s", StageIndex: stage, Kind: analyzer.KindEnvironment, Candidate: "cand", Baseline: "base",
			StageStarted: began, Bake: bake, Planned: target - admitted, Nodes: f.nodes, Sources: analyzer.Sources{Fresh: true}}
		admitted = target
		for {
			now = now.Add(lookEvery)
			f.draw(now.Add(-22 * time.Second)) // what has been received by now
			f.see(now.Add(-22*time.Second), began)
			e.Now, e.Sources.Through, e.Runs = now, now.Add(-time.Minute), slices.Concat(f.kept...)
			v := analyzer.Look(policy, e)
			e.Looks = v.Looks
			end.exposed, end.took = v.Counts.Exposed, now.Sub(f.start)
			if v.Result == analyzer.Fail {
				end.backedOut, end.stopRule, end.reason = true, v.Road == analyzer.RoadStopRule, v.Reason
				return end
			}
			if v.Result == analyzer.Pass && (v.Grade == analyzer.Certified || !p.certified[stage]) {
				end.certified = end.certified || v.Grade == analyzer.Certified
				break
			}
			if now.Sub(began) > patience {
				end.held, end.reason = true, v.Reason
				if v.Result == analyzer.Pass {
					end.reason = v.Uncertified[0]
				}
				return end
			}
		}
	}
	return end
}
