package main

import (
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// plan is the stages of a rollout: how many nodes have the change at the end of each, and whether its pass must be certified.
type plan struct {
	targets   []int
	certified []bool
	// through: a person lets a stage that stands still go on, as long as the judge does not take the change back.
	through bool
	// deaf: the rollout goes on as if nothing had been said when the judge takes it back, to see what it would certify.
	deaf     bool
	patience time.Duration // of a stage; then a person has to look
}

// planFor follows what DESIGN says by the size of the fleet: clean passes that admit no more than four times the exposed nodes, and
// certified ones from 5,000 exposed nodes or a quarter of the fleet on: each stage that asks takes some of the error from the others,
// and early ones are too small to get what they ask for. The rungs above 5,000 nodes are this bench's own (docs/rollouts-measured.md).
func planFor(n int) plan {
	share := func(s float64) int { return max(1, int(s*float64(n)+.5)) }
	p := plan{patience: 12 * time.Hour}
	switch {
	default:
		for _, target := range []int{40, 200, 1_000, 5_000} {
			if target < share(.25) {
				p.targets, p.certified = append(p.targets, target), append(p.certified, target >= 5_000)
			}
		}
		p.targets, p.certified = append(p.targets, share(.25), share(.98)), append(p.certified, true, false)
	case n < 500:
		p.targets = []int{1, 5, 20, 80, n}
		for len(p.targets) > 1 && p.targets[len(p.targets)-2] >= n {
			p.targets = append(p.targets[:len(p.targets)-2], n)
		}
		p.certified = make([]bool, len(p.targets))
	case n < 5_000:
		p.targets, p.certified = []int{share(.01), share(.05), share(.25), n}, []bool{false, false, true, false}
	}
	return p
}

// asks are the stages up to this one that ask for a certified pass, 0 if it does not, and all that do.
func (p plan) asks(stage int) (ask, asks int) {
	for k, certified := range p.certified {
		if asks += oneIf(certified); certified && k == stage {
			ask = asks
		}
	}
	return ask, asks
}

// asking are the nodes that have the change at the end of the stages that ask.
func (p plan) asking() (out []int) {
	for k, target := range p.targets {
		if p.certified[k] {
			out = append(out, target)
		}
	}
	return out
}

// ending is how a rollout went.
type ending struct {
	backedOut bool
	by        string // what took it back: stop_rule, or a check
	held      bool   // a person had to look
	reason    string
	exposed   int  // when it was taken back, held for the first time, or done
	certified bool // a certified pass was given
	excluded  bool // a stage that asks would have had its certificate, had nothing been taken back
	took      time.Duration
}

func (e ending) alone() bool { return !e.backedOut && !e.held }

const (
	lookEvery = 10 * time.Minute
	bake      = time.Hour
	rampOver  = time.Hour // where a stage does not admit its nodes at once
	behind    = 22 * time.Second
)

// show is the evidence of a stage at a time. What it lists is good until the next call.
func (f *fleet) show(e *analyzer.Evidence, now time.Time) {
	f.see(now.Add(-behind), e.StageStarted) // what has been received by now
	e.Now, e.Sources.Through, e.Runs = now, now.Add(-time.Minute), f.runs(now)
}

func (f *fleet) stage(index int, began time.Time, planned int) analyzer.Evidence {
	return analyzer.Evidence{Rollout: "r", Stage: "s", StageIndex: index, Kind: analyzer.KindEnvironment, Candidate: "cand", Baseline: "base",
		StageStarted: began, Bake: bake, Planned: planned, Nodes: f.nodes, Sources: analyzer.Sources{Fresh: true}}
}

// roll plays one rollout through the judge, with all looks, until it is backed out, everyone has the change, or a stage stands
// still for longer than its patience.
func roll(f *fleet, p plan) (end ending) {
	policy := analyzer.DefaultPolicy()
	order := f.rng.Perm(len(f.nodes))
	now, admitted := f.start, 0
	var left map[string]analyzer.Account
	for stage, target := range p.targets {
		e := f.stage(stage, now, target-admitted)
		e.Stages, e.Accounts = len(p.targets), left
		e.Ask, e.Asks = p.asks(stage)
		waiting := order[admitted:target]
		admitted = target
		for {
			waiting = f.admitDue(waiting, &e, now)
			now = now.Add(lookEvery)
			f.draw(now.Add(-behind))
			f.show(&e, now)
			v := analyzer.Look(policy, e)
			e.Looks, left = v.Looks, v.Accounts
			end.took = now.Sub(f.start)
			if !end.held {
				end.exposed = v.Counts.Exposed
			}
			baked := now.Sub(e.StageStarted) >= bake && v.Counts.Runs >= policy.Runs
			end.excluded = end.excluded || p.certified[stage] && baked && len(v.Uncertified) == 0
			if v.Result == analyzer.Fail && !end.backedOut {
				end.backedOut, end.by, end.reason = true, cause(v), v.Reason
			}
			if end.backedOut && !p.deaf {
				return end
			}
			if v.Result == analyzer.Pass && len(waiting) == 0 && (v.Grade == analyzer.Certified || !p.certified[stage]) {
				end.certified = end.certified || v.Grade == analyzer.Certified && !end.backedOut
				break
			}
			if now.Sub(e.StageStarted) > p.patience {
				if !end.held {
					end.held, end.reason = true, v.Reason
					if v.Result == analyzer.Pass && len(v.Uncertified) > 0 {
						end.reason = v.Uncertified[0]
					}
				}
				if !p.through {
					return end
				}
				break
			}
		}
	}
	return end
}

// admitDue admits those of a stage whose time has come: all at once, or evenly over the ramp.
func (f *fleet) admitDue(waiting []int, e *analyzer.Evidence, now time.Time) (rest []int) {
	n := len(waiting)
	if f.world.ramp {
		due := min(1, float64(now.Sub(e.StageStarted)+lookEvery)/float64(rampOver))
		n = max(0, int(due*float64(e.Planned)+.5)-(e.Planned-len(waiting)))
	}
	for _, i := range waiting[:n] {
		f.admit(i, e.StageIndex, now)
	}
	return waiting[n:]
}

// cause is the road to a fail: the stop rule, or the check whose bound was crossed.
func cause(v analyzer.Verdict) string {
	if v.Road == analyzer.RoadStopRule {
		return v.Road
	}
	check, _, _ := strings.Cut(v.Reason, ":")
	return check
}
