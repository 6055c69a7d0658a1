package walk

import (
	"maps"
	"math/bits"
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
func (w *world) checkCommit(snap *kv, before []entry, next *kv, a asked, gw gate.World, d gate.Decision, now time.Time, published bool) {
	if snap.core != w.kv.core {
		w.fail("one writer", "a leader wrote on what was not there any more")
	}
	fresh := map[string]mask{} // nodes that are given the change
	leaps := map[string]mask{} // nodes that are given the change by a person's order to leave a stage
	for i := range next.rollouts {
		e := &next.rollouts[i]
		was := entry{spec: e.spec}
		if i < len(before) {
			was = before[i]
		} else {
			w.checkQueued(snap, e)
		}
		if e.spec.Salt != e.spec.Name {
			w.fail("stability", "the salt of %s changed", e.spec.Name)
		}
		if w.last != nil {
			if l, ok := w.last[e.spec.Name]; ok && !reflect.DeepEqual(l.Stages, was.state.Stages) {
				w.fail("stability", "the stages of %s are not those that were written", e.spec.Name)
			}
		}
		c := w.then(&was, e.state)
		o := oracle{w: w, s: snap, e: c, has: w.admitted(c), all: next.rollouts, orders: a.orders[e.spec.Name], now: now}
		w.checkState(o, e.state)
		w.checkRevert(&was, next)
		w.checkOrders(o, e.state)
		if gets := w.admitted(e) &^ o.has & w.listed; gets != 0 && e.state.Phase.Active() {
			fresh[e.spec.Name] = gets
		}
		if o.leap(e.state) {
			leaps[e.spec.Name] = w.uncapped(e, false) // one that was pinned to the candidate included
		}
		w.last[e.spec.Name] = e.state
	}
	w.checkBlast(next, fresh, now)
	w.checkEvents(d, now)
	w.checkExplained(gw, d)
	w.checkBaseline(snap, next)
	w.checkVetoes(next)
	if published {
		w.checkDocument(snap, next, leaps, now)
	}
}

func (w *world) checkQueued(snap *kv, e *entry) {
	change := changeOf(&e.spec)
	unvetoed := slices.ContainsFunc(snap.requests, func(r request) bool { // in the same look
		of := snap.rollout(r.rollout)
		return r.kind == "unveto" && of != nil && changeOf(&of.spec) == change
	})
	if w.vetoed[change] && !unvetoed {
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
			if i < len(b.Stages)-1 && !reflect.DeepEqual(st, old) {
				w.fail("the past stays", "stage %s of %s was left and is another one now: %+v, then %+v", st.Name, name, old, st)
			}
			grew = grew || old.Threshold.Less(st.Threshold)
		}
		if st.Target.Less(st.Threshold) {
			w.fail("monotone", "stage %s of %s is beyond its target", st.Name, name)
		}
	}
	if n := len(b.Admissions); len(after.Admissions) < n || !slices.Equal(after.Admissions[:n], b.Admissions) {
		w.fail("the past stays", "the steps of %s are others now", name) // what the store has of them is written once
	}
	grew = grew || !b.Phase.Ended() && w.admitted(&entry{spec: was.spec, state: after})&^o.has != 0
	if grew {
		if why := o.mayNot(after); why != "" {
			w.fail("no growth with a closed gate", "%s moved although: %s", name, why)
		}
	}
	w.mustBackOut(o, after)
	w.checkAdmissions(o, after)
}

// mustBackOut: a person's word and a failed node take a rollout back at the first look that sees them.
func (w *world) mustBackOut(o oracle, after gate.State) {
	if o.e.state.Phase.Ended() || after.Phase.Ended() {
		return
	}
	if o.s.flags.raw[o.e.spec.Name+"/backout"] == "true" {
		w.skipped[o.e.spec.Name]++ // a look changes a few rollouts at a time, back-outs first
		if w.skipped[o.e.spec.Name] > 2 {
			w.fail("anyone can stop", "%s goes on although its backout flag is set", o.e.spec.Name)
		}
	}
}

// checkAdmissions: a node is admitted once, in the order of positions, as many at a time as may be in flight.
func (w *world) checkAdmissions(o oracle, after gate.State) {
	was, is := o.e, &entry{spec: o.e.spec, state: after}
	if steps := len(after.Admissions) - len(was.state.Admissions); steps != 0 {
		if steps != 1 {
			w.fail("in order", "%s took %d steps at once", was.spec.Name, steps)
			return
		}
		step := after.Admissions[len(after.Admissions)-1]
		inside, before := w.members[step.Set]&w.below(was.spec.Salt, step.Threshold), w.passed(was)
		if who := (w.passed(is) &^ before) ^ (inside &^ before); who != 0 {
			w.fail("in order", "%s: %v, the step ends at %s", was.spec.Name, w.names(who), step.Threshold)
		}
		for i := range w.nodes {
			at, stage := w.reachedAt(was, i)
			if newAt, newStage := w.reachedAt(is, i); !at.IsZero() && (!newAt.Equal(at) || newStage != stage) {
				w.fail("admitted once", "%s: %s was admitted by stage %d, now by %d", was.spec.Name, w.nodes[i].name, stage, newStage)
			}
		}
	}
	fresh := w.admitted(is) &^ o.has & w.listed
	if fresh == 0 || after.Phase.Ended() {
		return
	}
	f := w.factsOf(was.spec.Name)
	open := fresh // admitted, and not known to have run it
	for _, i := range w.seen {
		if has(o.has, i) && (f.runs[i] == 0 || has(f.bad, i)) {
			open |= 1 << i
		}
	}
	if flight := was.spec.Schedule.Stages[after.Current()].Ramp.InFlight.Nodes; !o.leap(after) && after.Phase == was.state.Phase || len(after.Stages) > len(was.state.Stages) {
		if n := bits.OnesCount32(fresh); n > flight {
			w.fail("ramp", "%s admits %d nodes at once, %d may be in flight", was.spec.Name, n, flight)
		}
		if n := bits.OnesCount32(open); len(after.Stages) == len(was.state.Stages) && n > flight {
			w.fail("ramp", "%s has %d nodes in flight, %d may be", was.spec.Name, n, flight)
		}
	}
	for i := range w.nodes { // what a node did before it was admitted, or before a cap took it out, does not count
		if has(fresh, i) {
			f.runs[i] = 0
		}
	}
	f.bad &^= fresh
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
		if r.State.Phase.Ended() || changed && !reflect.DeepEqual(s.Stages, r.State.Stages) || changed && s.Phase != r.State.Phase || changed && !reflect.DeepEqual(s.Caps, r.State.Caps) {
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

// checkDocument: generations grow; the document says what the states say, gives nothing to whom people keep from it or past a stop, and
// takes nobody's admission away unless somebody did.
func (w *world) checkDocument(snap, next *kv, leaps map[string]mask, now time.Time) {
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
		o := oracle{w: w, s: snap, e: e, now: now}
		was, is, at, pins := w.gives(&snap.doc, snap.doc.Rollout(r.Name)), w.gives(d, r), mask(0), segments.Document{Pins: d.Pins}
		if e.state.Phase.Active() {
			at = w.uncapped(e, false)
		}
		ahead := w.gives(&pins, &segments.Rollout{Name: r.Name})
		if who := is &^ at &^ ahead; who != 0 {
			w.fail("document", "%s admits %v, the state of %s (%s) does not", r.Name, w.names(who), r.Name, e.state.Phase)
		}
		if who := at &^ is &^ w.toBaseline(d, r.Name); who != 0 {
			w.fail("nodes keep the change", "%v: admitted by %s, and the document takes it away", w.names(who), r.Name)
		}
		w.checkPeople(o, r, &next.said, was, is)
		if gained := is &^ was; gained != 0 {
			why := o.barred()
			if gained&^leaps[r.Name] != 0 {
				why = o.stopped()
			}
			if why != "" {
				w.fail("no growth with a closed gate", "%v are given %s although: %s", w.names(gained), r.Name, why)
			}
		}
		w.checkTaken(o, &next.said, snap, was&^is)
		if w.first[r.Name] == nil {
			w.first[r.Name] = new([mostNodes]uint64)
		}
		for n, gen := range w.first[r.Name] {
			if has(is, n) && gen == 0 {
				w.first[r.Name][n] = d.Generation
			}
		}
	}
}

func (w *world) toBaseline(d *segments.Document, rollout string) (m mask) {
	for _, p := range d.Pins {
		if p.To == segments.ToBaseline && (p.Rollout == "" || p.Rollout == rollout) {
			m |= w.named(p.Certname)
		}
	}
	return m
}

// checkTaken: while a rollout is under way only a cut-out and a pin take its change from a node, and the end of a pin what that gave
// before the node's turn.
func (w *world) checkTaken(o oracle, said *said, snap *kv, lost mask) {
	if !o.e.state.Phase.Active() {
		return
	}
	ahead := w.gives(&segments.Document{Pins: snap.doc.Pins}, &segments.Rollout{Name: o.e.spec.Name}) &^ w.passed(o.e)
	if who := lost &^ said.cutOf(o.e.spec.Name) &^ o.pinned(segments.ToBaseline) &^ ahead; who != 0 {
		w.fail("nodes keep the change", "the document takes %s from %v", o.e.spec.Name, w.names(who))
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
	switch word(e.flags.raw["freeze"]) {
	case "stop":
		e.frozen = true
	case "release":
		e.frozen = false
	}
	for i := range w.started {
		name := rolloutName(i)
		backout := e.flags.raw[name+"/backout"]
		garbage := word(backout) == "stop" && backout != "true"
		if backout == "true" {
			e.backedOut[name] = true
		}
		switch pause := word(e.flags.raw[name+"/pause"]); {
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
		gives := w.gives(d, r)
		for n, node := range w.nodes {
			a, b := now[r.Name][n], segments.Admission{Limit: segments.None}
			if was[r.Name] != nil {
				b = was[r.Name][n]
			}
			own := has(gives, n) && !e.baseline && !e.backedOut[r.Name] && !backedOutBy(e, r.Name)
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

// checkKept: without a new document only a stop takes the change from a node; with one, what its document takes.
func (w *world) checkKept(e *edge, was, now map[string][]segments.Admission, prev enc.State) {
	fresh := e.state.Digest != prev.Digest
	for name, before := range was {
		r := e.state.Effective.Rollout(name)
		if e.backedOut[name] || r != nil && r.BackedOut || fresh && r == nil || e.baseline {
			continue
		}
		published := ^mask(0)
		if fresh && w.restored { // a rollout that begins again is no continuation: what stages gave before goes back, what they give now is paid for
			published = 0
		} else if fresh {
			// The end of a pin takes what it gave before the node's turn, which has not come here where the speed limit lags behind.
			published = w.gives(&e.state.Published, e.state.Published.Rollout(name)) &^ w.gives(&segments.Document{Pins: prev.Effective.Pins}, &segments.Rollout{Name: name})
		}
		for n, a := range before {
			if a.Admitted && has(published, n) && (r == nil || !now[name][n].Admitted) && !w.isBaseline(e, name, &prev) {
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
	if of := w.first[r.Name]; of != nil && of[n] != 0 && of[n] <= e.state.Published.Generation {
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
