package walk

import (
	"maps"
	"reflect"
	"slices"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// before is what a completed rollout took the place of, as the oracle saw it happen.
type before struct {
	baseline   string
	parameters map[string]any // nil for one that there was not
}

// order leaves an order for the leader, as `sluice promote` and `sluice skip` do.
func (w *world) order(kind, rollout, stage string) {
	w.kv.requests = append(slices.Clip(w.kv.requests), request{kind: kind, rollout: rollout, stage: stage})
}

// promote asks for the stage that the rollout is in, or was a moment ago.
func (w *world) promote(a, b int) {
	name := w.under(a)
	e := w.kv.rollout(name)
	if e == nil || e.state.Current() < 0 {
		return
	}
	stages := e.state.Stages
	w.order("promote", name, stages[max(0, len(stages)-1-b%5/4)].Name)
}

// revert asks for a rollout in reverse of one that is completed, as `sluice revert` does.
func (w *world) revert(a, b int) {
	var done []*entry
	for i := range w.kv.rollouts {
		if e := &w.kv.rollouts[i]; e.state.Phase == gate.Completed {
			done = append(done, e)
		}
	}
	if len(done) == 0 {
		return
	}
	e := done[max(0, len(done)-1-b%3)]
	environment, parameters, why := e.state.Reverse(&e.spec, &w.kv.tracks[0])
	if why != "" {
		return
	}
	was := w.kv.said.before[e.spec.Name]
	w.did["reverts"]++
	if environment != was.baseline || !sameParameters(parameters, was.parameters) {
		w.fail("a revert gives back", "%s came after %q %v, its revert brings %q %v", e.spec.Name, was.baseline, was.parameters, environment, parameters)
	}
	spec := w.spec(a, b)
	spec.Candidate, spec.Parameters, spec.Reverts = environment, parameters, e.spec.Name
	w.kv.requests = append(slices.Clip(w.kv.requests), request{kind: "start", rollout: spec.Name, spec: spec})
}

// checkRevert: a rollout in reverse begins only while what it undoes is in force, and gives back what was there before.
func (w *world) checkRevert(was *entry, next *kv) {
	spec := &was.spec
	e := next.rollout(spec.Name)
	if spec.Reverts == "" || was.state.Phase != gate.Waiting || e.state.Phase != gate.Running {
		return
	}
	of, before, t := next.rollout(spec.Reverts), next.said.before[spec.Reverts], &next.tracks[0]
	there := t.Baseline == of.spec.Candidate
	if of.spec.Candidate == "" {
		there = true
		for name, value := range of.spec.Parameters {
			there = there && reflect.DeepEqual(t.Parameters[name], value)
		}
	}
	if w.did["reverts begun"]++; !there || spec.Candidate != before.baseline || !sameParameters(spec.Parameters, before.parameters) {
		w.fail("a revert undoes one rollout", "%s begins with %q %v: %s brought %q %v, in force is %s %v", spec.Name, spec.Candidate, spec.Parameters, spec.Reverts, of.spec.Candidate, of.spec.Parameters, t.Baseline, t.Parameters)
	}
}

func sameParameters(a, b map[string]any) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.DeepEqual(a, b))
}

// noteBefore writes down what was there before a rollout completed.
func noteBefore(s *kv, was, is *entry, said *said) {
	if is.state.Phase != gate.Completed || was.state.Phase == gate.Completed {
		return
	}
	b := before{}
	if is.spec.Candidate != "" {
		b.baseline = s.tracks[0].Baseline
	} else {
		b.parameters = map[string]any{}
		for name := range is.spec.Parameters {
			b.parameters[name] = s.tracks[0].Parameters[name]
		}
	}
	said.before[is.spec.Name] = b
}

// noteOrders writes down what people ordered: a promotion counts for the stage that it names, until that is left.
func (w *world) noteOrders(snap, s *kv, a asked, d gate.Decision, said *said) {
	for i := range s.rollouts {
		e := &s.rollouts[i]
		name := e.spec.Name
		was := entry{spec: e.spec}
		if i < len(snap.rollouts) {
			was = snap.rollouts[i]
		}
		noteBefore(snap, &was, e, said)
		o := oracle{w: w, s: snap, e: &was, orders: a.orders[name]}
		w.noteHad(&was, e, o, said)
		if o.leap(e.state) {
			said.left[name+"/"+was.state.Stages[was.state.Current()].Name] = true
		}
		if _, changed := d.States[name]; changed {
			for _, r := range a.orders[name] {
				if r.kind == "promote" {
					said.promoted[name] = r.stage
				} else {
					said.skips[name+"/"+r.stage] = true
				}
			}
		}
		if k := e.state.Current(); !e.state.Phase.Active() || e.state.Stages[k].Name != said.promoted[name] {
			delete(said.promoted, name)
		}
	}
}

// promoted says whether a person ordered the stage to be left that the rollout is in.
func (o oracle) promoted() bool {
	i := o.e.state.Current()
	return i >= 0 && o.e.state.Phase.Active() && o.ordered("promote", o.e.state.Stages[i].Name)
}

// skips says whether a person ordered stage i to admit nobody.
func (o oracle) skips(i int) bool { return o.ordered("skip", o.e.spec.Schedule.Stages[i].Name) }

func (o oracle) ordered(kind, stage string) bool {
	name := o.e.spec.Name
	if kind == "promote" && o.s.said.promoted[name] == stage || kind == "skip" && o.s.said.skips[name+"/"+stage] {
		return true
	}
	return slices.ContainsFunc(o.orders, func(r request) bool { return r.kind == kind && r.stage == stage })
}

// checkOrders: an order to leave a stage is used once, and is for the stage that it names; a stage that is skipped admits nobody of its own.
func (w *world) checkOrders(o oracle, after gate.State) {
	name, stages := o.e.spec.Name, o.e.spec.Schedule.Stages
	if p := after.Promoted; p != nil && after.Phase.Active() {
		if current := after.Stages[after.Current()].Name; p.Stage != current || len(after.Stages) > len(o.e.state.Stages) || !o.promoted() {
			w.fail("an order is for one stage", "%s is in stage %s and has an order to leave %s", name, current, p.Stage)
		}
	}
	for i := len(o.e.state.Stages); i < len(after.Stages); i++ {
		if o.skips(i) {
			w.did["skipped"]++
		}
		if st := after.Stages[i]; o.skips(i) && (st.Threshold != segments.None || !st.Skipped) {
			w.fail("a skipped stage admits nobody", "stage %s of %s, which is to be skipped, begins at %s", st.Name, name, st.Threshold)
		}
	}
	for _, a := range after.Admissions[min(len(after.Admissions), len(o.e.state.Admissions)):] {
		if o.skips(a.Stage) && stages[a.Stage].Name != stages[len(stages)-1].Name {
			w.fail("a skipped stage admits nobody", "stage %s of %s, which is to be skipped, admits", stages[a.Stage].Name, name)
		}
	}
}

// leap says whether the rollout went on by an order: that is asked less. In the last stage it may take several steps.
func (o oracle) leap(after gate.State) bool {
	was, last := &o.e.state, len(o.e.spec.Schedule.Stages)-1
	hastens := was.Current() == last && len(after.Admissions) > len(was.Admissions)
	return o.promoted() && was.Phase == gate.Running && !after.Phase.Ended() && (len(after.Stages) > len(was.Stages) || after.Phase == gate.Settling || hastens)
}

// mayLeap says why an order to leave the stage must not be carried out yet.
func (o oracle) mayLeap(after gate.State) string {
	if o.w.did["promoted"]++; after.Phase == gate.Settling {
		o.w.did["promoted, settling"]++
	}
	if why := o.barred(); why != "" {
		return why
	}
	if o.w.seen == nil {
		return "nobody knows who is there, or who is held"
	}
	if i := after.Current(); i > o.e.state.Current() && !o.skips(i) {
		return o.empty(i)
	}
	return ""
}

// clone keeps what was said from what is said later.
func (s said) clone() said {
	return said{s.frozen, maps.Clone(s.paused), maps.Clone(s.denied), maps.Clone(s.delay), maps.Clone(s.cut), maps.Clone(s.promoted), maps.Clone(s.skips), maps.Clone(s.left), maps.Clone(s.before), maps.Clone(s.had)}
}
