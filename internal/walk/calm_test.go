package walk

import (
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
)

const (
	mostRounds = 900
	patience   = 60 // rounds that a rollout may stand before somebody asks why
)

// calm lets go of everything that anybody stops, and nothing fails any more: then every rollout must come to its end. It says how many
// steps that took.
func (w *world) calm() (steps int) {
	w.release()
	stood := map[string]int{}
	for round := 0; w.failed == "" && round < mostRounds; round++ {
		steps += w.round()
		open := 0
		for i := range w.kv.rollouts {
			e := &w.kv.rollouts[i]
			if e.state.Phase.Ended() {
				continue
			}
			open++
			if stood[e.spec.Name]++; w.moved[e.spec.Name] || e.state.Phase == gate.Waiting && !w.ownTurn(i) {
				stood[e.spec.Name] = 0
			}
			if stood[e.spec.Name] == patience {
				stood[e.spec.Name] = 0
				w.urge(e)
			}
		}
		if open == 0 {
			w.did["calm"]++
			return steps
		}
	}
	for i := range w.kv.rollouts {
		if e := &w.kv.rollouts[i]; !e.state.Phase.Ended() {
			w.fail("rollouts end", "%s is %s in stage %d after %d quiet rounds; closed: %s", e.spec.Name, e.state.Phase, e.state.Current(), mostRounds, w.closed(e.spec.Name))
		}
	}
	return steps
}

// release is what people do when the trouble is over.
func (w *world) release() {
	for i := range w.started {
		name := rolloutName(i)
		w.flag(name+"/pause", "false")
		w.flag(name+"/delay", "false")
		if v := w.kv.flags.raw[name+"/backout"]; v != "true" {
			w.flag(name+"/backout", "gone")
		}
		for _, stage := range stageNames {
			w.flag(name+"/approve/"+stage, "true")
		}
	}
	w.flag("freeze", "false")
	w.kv.holds, w.kv.pins, w.fresh = nil, nil, true
	for len(w.kv.vetoes) > 0 {
		w.dropVeto(0)
	}
	w.kv.requests = append(without(w.kv.requests, func(r request) bool { return r.kind == "start" }), request{kind: "confirm"})
	for i := range w.leaders {
		w.leaders[i].offset = 0
	}
	for _, e := range w.edges {
		e.stop, e.baseline, e.setsGone, e.offset = false, false, false, 0
		e.answers, e.dirty = w.ask(e), false
	}
	for i := range w.kv.rollouts {
		e := &w.kv.rollouts[i]
		for k := range e.state.Caps {
			if id, cut := strings.CutPrefix(e.state.Caps[k].Source(), gate.CapCutOut+"/"); cut && e.state.Caps[k].Standing() {
				w.kv.requests = append(slices.Clip(w.kv.requests), request{kind: "lift", rollout: e.spec.Name, id: id})
			}
		}
	}
}

// round is half an hour of a site where all goes well.
func (w *world) round() int {
	w.now = w.now.Add(30 * time.Minute)
	w.readInventory()
	for _, e := range w.edges {
		w.render(e, 0)
		w.accept(e)
		w.report(e)
	}
	for i := range w.nodes {
		w.run(w.edges[i%edges], i, 0)
	}
	for range 2 {
		w.read(w.lease)
		w.commit(w.lease)
	}
	return 5
}

// urge is what the closed gates ask a person for: a stage that is empty is skipped, one whose nodes have left, all of them
// or many, or that is late, is left.
func (w *world) urge(e *entry) {
	i := e.state.Current()
	closed := w.closed(e.spec.Name)
	by := func(gate string) bool { return strings.Contains("; "+closed, "; "+gate+": ") }
	switch {
	case by(gate.GateSegment) && i < 0:
		w.flag(e.spec.Name+"/backout", "true")
	case by(gate.GateSegment):
		w.order("skip", e.spec.Name, e.spec.Schedule.Stages[i+1].Name)
	case by(gate.GateDeadline), strings.Contains(closed, "have left"), strings.Contains(closed, "no live admitted node"):
		w.order("promote", e.spec.Name, e.state.Stages[i].Name)
	}
}

func (w *world) closed(rollout string) string {
	var out []string
	for _, g := range w.gates[rollout] {
		if !g.Open {
			out = append(out, g.Name+": "+g.Reason)
		}
	}
	return strings.Join(out, "; ")
}

// ownTurn says whether rollout i waits for no other.
func (w *world) ownTurn(i int) bool {
	return !strings.Contains(w.closed(w.kv.rollouts[i].spec.Name), gate.GateStart+": ")
}
