package walk

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/segments"
)

var phases = map[gate.Phase][]gate.Phase{
	gate.Waiting:  {gate.Running, gate.BackedOut, gate.Superseded},
	gate.Running:  {gate.Settling, gate.BackedOut},
	gate.Settling: {gate.Completed, gate.BackedOut},
}

// checkCommit asks what must hold of a leader's transaction that is about to be installed.
func (w *world) checkCommit(k int, snap *kv, before []entry, next *kv, gw gate.World, d gate.Decision, now time.Time, published bool) {
	if snap.core != w.kv.core {
		w.fail("one writer", "a leader wrote on what was not there any more")
	}
	for i := range next.rollouts {
		e := &next.rollouts[i]
		was := entry{spec: e.spec}
		if i < len(before) {
			was = before[i]
		} else {
			w.checkQueued(e)
		}
		if e.spec.Salt != e.spec.Name {
			w.fail("stability", "the salt of %s changed", e.spec.Name)
		}
		if w.last != nil {
			if l, ok := w.last[e.spec.Name]; ok && !reflect.DeepEqual(l.Stages, was.state.Stages) {
				w.fail("stability", "the stages of %s are not those that were written", e.spec.Name)
			}
		}
		w.checkState(oracle{w: w, s: snap, e: &was, all: next.rollouts, now: now}, e.state)
		w.last[e.spec.Name] = e.state
	}
	w.checkEvents(d, now)
	w.checkExplained(gw, d)
	w.checkBaseline(snap, next)
	w.checkVetoes(next)
	if published {
		w.checkDocument(snap, next)
	}
}

func (w *world) checkQueued(e *entry) {
	if change := changeOf(&e.spec); w.vetoed[change] {
		w.fail("a backed-out change stays out", "%s starts %s, which was backed out", e.spec.Name, change)
	}
}

func (w *world) checkVetoes(next *kv) {
	vetoed := map[string]bool{}
	for i := range next.rollouts {
		if e := &next.rollouts[i]; e.state.Phase == gate.BackedOut && !e.state.Unvetoed {
			vetoed[changeOf(&e.spec)] = true
		}
	}
	w.vetoed = vetoed
}

func (w *world) checkState(o oracle, after gate.State) {
	was := o.e
	name, b := was.spec.Name, &was.state
	if after.Phase != b.Phase && !slices.Contains(phases[b.Phase], after.Phase) {
		w.fail("phases", "%s went from %s to %s", name, b.Phase, after.Phase)
	}
	if b.Phase.Ended() && !reflect.DeepEqual(b.Stages, after.Stages) {
		w.fail("phases", "%s has ended and moved", name)
	}
	if len(after.Stages) < len(b.Stages) || len(after.Stages) > len(b.Stages)+1 {
		w.fail("stages in order", "%s went from %d to %d stages", name, len(b.Stages), len(after.Stages))
		return
	}
	grew := len(after.Stages) > len(b.Stages) || after.Phase == gate.Settling && b.Phase == gate.Running || after.Phase == gate.Completed && b.Phase != gate.Completed
	for i, st := range after.Stages {
		if st.Name != was.spec.Schedule.Stages[i].Name {
			w.fail("stages in order", "%s has stage %s in place of %s", name, st.Name, was.spec.Schedule.Stages[i].Name)
		}
		if i < len(b.Stages) {
			old := b.Stages[i]
			if st.Threshold.Less(old.Threshold) || st.Set != old.Set || !st.Since.Equal(old.Since) {
				w.fail("monotone", "stage %s of %s went back or changed its nodes", st.Name, name)
			}
			grew = grew || old.Threshold.Less(st.Threshold)
		}
		if st.Target.Less(st.Threshold) {
			w.fail("monotone", "stage %s of %s is beyond its target", st.Name, name)
		}
	}
	if grew {
		if why := o.mayNot(after); why != "" {
			w.fail("no growth with a closed gate", "%s moved although: %s", name, why)
		}
	}
	w.mustBackOut(o, after)
	w.checkAdmissions(was, after)
}

// mustBackOut: a person's word and a failed node take a rollout back at the first look that sees them.
func (w *world) mustBackOut(o oracle, after gate.State) {
	if o.e.state.Phase.Ended() || after.Phase.Ended() {
		return
	}
	if o.s.flags[o.e.spec.Name+"/backout"] == "true" {
		w.skipped[o.e.spec.Name]++ // a look changes a few rollouts at a time, back-outs first
		if w.skipped[o.e.spec.Name] > 2 {
			w.fail("anyone can stop", "%s goes on although its backout flag is set", o.e.spec.Name)
		}
	}
}

// checkAdmissions: a node is admitted once, in the order of positions, as many at a time as may be in flight.
func (w *world) checkAdmissions(was *entry, after gate.State) {
	if reflect.DeepEqual(was.state.Admissions, after.Admissions) {
		return
	}
	is := &entry{spec: was.spec, state: after}
	step := after.Admissions[len(after.Admissions)-1]
	fresh, population := 0, 0
	for i := range w.nodes {
		at, stage := w.admittedAt(was, i)
		newAt, newStage := w.admittedAt(is, i)
		if !at.IsZero() && (!newAt.Equal(at) || newStage != stage) {
			w.fail("admitted once", "%s: %s was admitted by stage %d, now by %d", was.spec.Name, w.nodes[i].name, stage, newStage)
		}
		u := w.u(was.spec.Name)[i]
		inside := w.in(step.Set, i) && (step.Threshold == segments.All || u < string(step.Threshold))
		if at.IsZero() && inside != !newAt.IsZero() {
			w.fail("in order", "%s: %s at %s, the step ends at %s", was.spec.Name, w.nodes[i].name, u, step.Threshold)
		}
		if w.seen != nil && w.listed(i) && w.in(step.Set, i) {
			population++
			if at.IsZero() && !newAt.IsZero() {
				fresh++
			}
		}
	}
	flight := was.spec.Schedule.Stages[step.Stage].Ramp.InFlight.Of(population)
	if after.Phase == gate.Running && fresh > flight {
		w.fail("ramp", "%s admits %d nodes at once, %d may be in flight", was.spec.Name, fresh, flight)
	}
}

var once = []string{gate.EventStarted, gate.EventStage, gate.EventStageEnded, gate.EventSettling, gate.EventCompleted, gate.EventBackedOut, gate.EventSuperseded}

func (w *world) checkEvents(d gate.Decision, now time.Time) {
	moved := map[string]bool{}
	for _, e := range d.Events {
		moved[e.Rollout] = true
		if e.By == "" || e.Text == "" {
			w.fail("every step is explained", "%s of %s says neither who nor why", e.Kind, e.Rollout)
		}
		if !slices.Contains(once, e.Kind) {
			continue
		}
		key := e.Rollout + " " + e.Kind + " " + e.Stage
		if w.happened[key]++; w.happened[key] > 1 {
			w.fail("no transition twice", "%s", key)
		}
	}
	for name, s := range d.States {
		if l := w.last[name]; len(s.Admissions) > 0 && !moved[name] && w.kv.rollout(name) != nil && len(s.Admissions) != len(w.kv.rollout(name).state.Admissions) {
			w.fail("every step is explained", "%s moved without a word (phase %s)", name, l.Phase)
		}
	}
}

// checkExplained: what stands still says why.
func (w *world) checkExplained(gw gate.World, d gate.Decision) {
	for i := range gw.Rollouts {
		r := &gw.Rollouts[i]
		s, changed := d.States[r.Spec.Name]
		if r.State.Phase.Ended() || changed && !reflect.DeepEqual(s.Stages, r.State.Stages) || changed && s.Phase != r.State.Phase {
			continue
		}
		closed := slices.ContainsFunc(d.Gates[r.Spec.Name], func(g gate.Gate) bool { return !g.Open && g.Reason != "" && g.Source != "" })
		if !closed {
			w.fail("every standstill is explained", "%s stands still and every gate is open: %v", r.Spec.Name, d.Gates[r.Spec.Name])
		}
	}
}

// checkBaseline: a baseline moves only to the candidate of a rollout that completes.
func (w *world) checkBaseline(snap, next *kv) {
	a, b := snap.tracks[0], next.tracks[0]
	for i := range next.rollouts {
		e := &next.rollouts[i]
		was := gate.Waiting
		if i < len(snap.rollouts) {
			was = snap.rollouts[i].state.Phase
		}
		if e.state.Phase == gate.Completed && was != gate.Completed {
			if e.spec.Candidate != "" {
				a.Baseline = e.spec.Candidate
			} else {
				a.Parameters = maps.Clone(a.Parameters)
				if a.Parameters == nil {
					a.Parameters = map[string]any{}
				}
				maps.Copy(a.Parameters, e.spec.Parameters)
			}
		}
	}
	if a.Baseline != b.Baseline || len(a.Parameters)+len(b.Parameters) > 0 && !reflect.DeepEqual(a.Parameters, b.Parameters) {
		w.fail("baseline", "it is %s %v, expected %s %v", b.Baseline, b.Parameters, a.Baseline, a.Parameters)
	}
}

// checkDocument: generations grow; the document says what the states say, and takes nobody's admission away unless somebody did.
func (w *world) checkDocument(snap, next *kv) {
	d := &next.doc
	if d.Generation <= w.maxGen {
		w.fail("generations", "generation %d after %d", d.Generation, w.maxGen)
	}
	w.maxGen = max(w.maxGen, d.Generation)
	for i := range d.Rollouts {
		r := &d.Rollouts[i]
		e := next.rollout(r.Name)
		if e == nil {
			w.fail("document", "%s is in the document and nowhere else", r.Name)
			continue
		}
		for n, node := range w.nodes {
			admits := w.admits(d, r, n)
			at, _ := w.admittedAt(e, n)
			pinned := slices.ContainsFunc(d.Pins, func(p segments.Pin) bool {
				return p.Certname == node.name && p.To == segments.ToCandidate && (p.Rollout == "" || p.Rollout == r.Name)
			})
			if admits && (at.IsZero() && !pinned || !e.state.Phase.Active() && !pinned) {
				w.fail("document", "%s admits %s, the state of %s (%s) does not", r.Name, node.name, r.Name, e.state.Phase)
			}
			if admits {
				if w.admitted[r.Name] == nil {
					w.admitted[r.Name] = map[int]uint64{}
				}
				if _, ok := w.admitted[r.Name][n]; !ok {
					w.admitted[r.Name][n] = d.Generation
				}
			} else if len(r.Caps) == 0 && len(d.Pins) == 0 && !at.IsZero() && e.state.Phase.Active() {
				w.fail("nodes keep the change", "%s was admitted by %s and the document takes it away", node.name, r.Name)
			}
		}
	}
}

// checkAccept asks what must hold of an edge after it looked at what was rendered.
func (w *world) checkAccept(e *edge, prev enc.State, in enc.Input, out enc.Outcome) {
	s := e.state
	if e.kind != "good" && e.kind != "older" && s.Digest != prev.Digest {
		w.fail("bad documents change nothing", "%s took a document that is %s", e.host, e.kind)
	}
	if s.Published.Generation < prev.Published.Generation {
		w.fail("bad documents change nothing", "%s went from generation %d to %d", e.host, prev.Published.Generation, s.Published.Generation)
	}
	e.accrue(in.Now, &prev)
	w.hear(e)
	for name := range e.backedOut {
		if !s.Stops.BackedOut(name) {
			w.fail("latched stops stay", "%s forgot that %s is backed out", e.host, name)
		}
	}
	for name := range e.paused {
		if !s.Stops.Paused(name) {
			w.fail("latched stops stay", "%s forgot that %s is paused", e.host, name)
		}
	}
	was := e.answers
	answers := was
	if was == nil || !reflect.DeepEqual(prev.Effective, s.Effective) || len(prev.Stops.BackOut) != len(s.Stops.BackOut) {
		answers = w.ask(e)
	}
	e.answers = answers
	w.checkAnswers(e, was, answers, prev, in)
}

// hear is the oracle's own latch of pauses and freezes at an edge.
func (w *world) hear(e *edge) {
	switch word(e.flags["freeze"]) {
	case "stop":
		e.frozen = true
	case "release":
		e.frozen = false
	}
	for i := range w.started {
		name := rolloutName(i)
		backout := e.flags[name+"/backout"]
		garbage := word(backout) == "stop" && backout != "true"
		if backout == "true" {
			e.backedOut[name] = true
		}
		switch pause := word(e.flags[name+"/pause"]); {
		case pause == "stop" || garbage:
			e.paused[name] = true
		case pause == "release":
			delete(e.paused, name)
		}
	}
}

func (w *world) checkAnswers(e *edge, was, now map[string][]segments.Admission, prev enc.State, in enc.Input) {
	d := &e.state.Effective
	cost := 0.0
	for i := range d.Rollouts {
		r := &d.Rollouts[i]
		held := in.Stop || e.frozen || e.paused[r.Name]
		for n, node := range w.nodes {
			a, b := now[r.Name][n], segments.Admission{Limit: segments.None}
			if was[r.Name] != nil {
				b = was[r.Name][n]
			}
			own := w.admits(d, r, n) && !e.baseline && !e.backedOut[r.Name] && !backedOutBy(e, r.Name)
			if a.Admitted != own {
				w.fail("one admission function", "%s says %v for %s of %s, the document %v", e.host, a.Admitted, node.name, r.Name, own)
			}
			if a.Admitted && !w.mayHave(e, r, n) {
				w.fail("a document admits", "%s gives %s to %s, no accepted document admitted it", e.host, r.Name, node.name)
			}
			if a.Admitted && e.backedOut[r.Name] {
				w.fail("a backed-out change stays out", "%s gives %s to %s", e.host, r.Name, node.name)
			}
			for _, c := range r.Caps {
				if a.Admitted && w.in(c.Set, n) && c.Limit != segments.All && w.u(r.SaltOf())[n] >= string(c.Limit) {
					w.fail("caps win", "%s gives %s to %s beyond cap %s", e.host, r.Name, node.name, c.ID)
				}
			}
			if !node.alive {
				continue
			}
			if gain := a.Limit.Share() - b.Limit.Share(); gain > 0 {
				cost += gain
				if held && a.Admitted && !b.Admitted && !e.baseline && b.Reason != segments.ReasonLocalBaseline {
					w.fail("stops act at once", "%s lets %s have %s although it is stopped", e.host, node.name, r.Name)
				}
			}
		}
	}
	w.checkCaps(e)
	w.checkKept(e, was, now, prev)
	if free := in.Flags.Force != 0 && in.Flags.Force == e.state.Published.Generation; !free && was != nil && !w.exempt(e, prev) {
		if cost > e.bucket+.01 {
			w.fail("speed limit", "%s moved %.2f nodes forward, %.2f may", e.host, cost, e.bucket)
		}
		e.bucket = max(0, e.bucket-cost)
	}
}

func backedOutBy(e *edge, name string) bool { _, ok := e.state.Stops.BackOut[name]; return ok }

// exempt: the local baseline file hides limits, so that the oracle's price of the next answers is not the edge's.
func (w *world) exempt(e *edge, prev enc.State) bool { return e.baseline || e.dirty }

// checkCaps: every cap of the document in force here is in what lookups read, or a lower one.
func (w *world) checkCaps(e *edge) {
	for i := range e.state.Published.Rollouts {
		p := &e.state.Published.Rollouts[i]
		r := e.state.Effective.Rollout(p.Name)
		if r == nil || p.BackedOut || r.BackedOut {
			continue
		}
		for _, c := range p.Caps {
			if !slices.ContainsFunc(r.Caps, func(x segments.Cap) bool { return x.ID == c.ID && x.Set == c.Set && !c.Limit.Less(x.Limit) }) {
				w.fail("caps win", "%s dropped cap %s of %s", e.host, c.ID, p.Name)
			}
		}
	}
}

// checkKept: without a new document only a stop takes the change from a node; with one, a person's cap or pin as well.
func (w *world) checkKept(e *edge, was, now map[string][]segments.Admission, prev enc.State) {
	fresh := e.state.Digest != prev.Digest
	for name, before := range was {
		r := e.state.Effective.Rollout(name)
		if e.backedOut[name] || r != nil && (r.BackedOut || len(r.Caps) > 0) || fresh && (w.restored || r == nil || len(e.state.Effective.Pins)+len(prev.Effective.Pins) > 0) {
			continue
		}
		for n, a := range before {
			if a.Admitted && (r == nil || !now[name][n].Admitted) && !w.isBaseline(e, name, &prev) {
				w.fail("nodes keep the change", "%s takes %s from %s", e.host, name, w.nodes[n].name)
			}
		}
	}
}

// isBaseline: the rollout is gone because its change became the baseline here.
func (w *world) isBaseline(e *edge, name string, prev *enc.State) bool {
	r := prev.Effective.Rollout(name)
	return r != nil && e.state.Effective.Rollout(name) == nil && w.mayHaveBaseline(e.state.Effective.Track(track), r)
}

// mayHave: the node was admitted by a document that this edge may have accepted, or the change became the baseline.
func (w *world) mayHave(e *edge, r *segments.Rollout, n int) bool {
	if gen, ok := w.admitted[r.Name][n]; ok && gen <= e.state.Published.Generation {
		return true
	}
	return w.mayHaveBaseline(e.state.Published.Track(track), r)
}

func (w *world) mayHaveBaseline(t *segments.Track, r *segments.Rollout) bool {
	if r.Candidate != "" {
		return t.Baseline == r.Candidate
	}
	for k, v := range r.Parameters {
		if !reflect.DeepEqual(t.Parameters[k], v) {
			return false
		}
	}
	return true
}
