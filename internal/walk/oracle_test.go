package walk

import (
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// oracle tells what must be closed, from what people wrote, what edges said and what nodes did. It asks neither gate nor
// flags.
type oracle struct {
	w      *world
	s      *kv       // what the leader read, before it decided
	all    []entry   // with the states after
	orders []request // of people, that the leader takes up now
	e      *entry    // before, with the caps that people wish now
	has    mask      // the nodes that it had admitted
	now    time.Time
}

// stopped is what keeps a rollout from any step forward that nobody orders.
func (o oracle) stopped() string {
	switch why := o.barred(); {
	case why != "":
		return why
	case !o.w.fresh:
		return "no fresh data"
	}
	return o.delayed()
}

// barred is what keeps a rollout from any step forward.
func (o oracle) barred() string {
	name := o.e.spec.Name
	f := o.s.flags.raw
	ahead := uint64(0)
	live, latchedPause, latchedFreeze := 0, false, false
	for _, r := range o.s.edges {
		ahead = max(ahead, r.edge.Generation)
		latchedFreeze = latchedFreeze || r.stops.Freeze != nil
		if _, ok := r.stops.Pause[name]; ok {
			latchedPause = true
		}
		if o.now.Sub(r.edge.At) > edgeRule.Live {
			continue
		}
		live++
		switch {
		case len(r.edge.Local) > 0:
			return "a local file on " + r.edge.Host
		case !r.edge.Ready:
			return r.edge.Host + " is not ready"
		case r.edge.Generation+1 < o.s.doc.Generation:
			return r.edge.Host + " is behind"
		}
	}
	switch freeze := word(f["freeze"]); {
	case live == 0:
		return "no live edge"
	case ahead > o.s.doc.Generation && !o.confirmed():
		return "the store was restored"
	case freeze == "stop" || freeze == "" && (o.s.said.frozen || latchedFreeze):
		return "frozen"
	}
	if pause := word(f[name+"/pause"]); pause == "stop" || pause == "" && (o.s.said.paused[name] || latchedPause) {
		return "paused"
	}
	if word(f[name+"/backout"]) == "stop" {
		return "backed out or unreadable"
	}
	for _, h := range o.s.holds {
		if h.Err != "" {
			return "hold " + h.ID + " cannot be read"
		}
	}
	return ""
}

func (o oracle) confirmed() bool {
	for _, r := range o.s.requests {
		if r.kind == "confirm" {
			return true
		}
	}
	return false
}

func (o oracle) delayed() string {
	name := o.e.spec.Name
	raw, seen := o.s.flags.raw[name+"/delay"], o.s.said.delay[name]
	if word(raw) == "release" {
		return ""
	}
	if raw != "" && raw != seen.Raw {
		seen = gate.DelaySeen{Raw: raw, At: o.now}
	}
	switch {
	case seen.Raw == "":
		return ""
	case seen.Raw == "2h":
		if o.now.Before(seen.At.Add(2 * time.Hour)) {
			return "delayed"
		}
		return ""
	}
	until, err := time.Parse(time.RFC3339, seen.Raw)
	if err != nil || o.now.Before(until) {
		return "delayed"
	}
	return ""
}

// entry is what must be true for stage i to begin, or to grow.
func (o oracle) stage(i int, begins bool) string {
	stage, name := o.e.spec.Schedule.Stages[i], o.e.spec.Name
	hour := o.now.UTC().Hour()
	approve := o.s.flags.raw[name+"/approve/"+stage.Name]
	switch {
	case len(stage.Windows) > 0 && (hour < 6 || hour >= 22):
		return "outside the window"
	case !begins:
		return ""
	case approve == "true":
		return ""
	case approve != "":
		return "denied, or not to be read"
	case o.s.said.denied[name+"/"+stage.Name]:
		return "denied before"
	case stage.Approval:
		return "not approved"
	}
	return ""
}

// proven is whether the nodes of the stages so far have shown the change.
func (o oracle) proven() string {
	f := o.w.factsOf(o.e.spec.Name)
	admitted, ran := 0, 0
	for _, i := range o.w.seen {
		if !has(o.has, i) {
			continue
		}
		admitted++
		switch {
		case has(f.bad, i):
			return o.w.nodes[i].name + " failed"
		case f.runs[i] >= 2:
			ran++
		}
	}
	if admitted == 0 || float64(ran) < .95*float64(admitted) {
		return "not enough nodes have run it twice"
	}
	return ""
}

// late is a deadline that has passed; an approval given since lets a rollout go on.
func (o oracle) late() string {
	st := o.e.state
	i := st.Current()
	if i < 0 || st.Phase != gate.Running {
		return ""
	}
	stage := o.e.spec.Schedule.Stages[i]
	if d := time.Duration(stage.Deadline.After); d > 0 && o.now.After(st.Stages[i].Since.Add(d)) && o.s.flags.raw[o.e.spec.Name+"/approve/"+stage.Name] != "true" {
		return "deadline"
	}
	return ""
}

// mayNot says why the step from the state before to the one after must not have been taken, "" where it may.
func (o oracle) mayNot(after gate.State) string {
	before := o.e.state
	i := before.Current()
	first := func(reasons ...string) string {
		for _, r := range reasons {
			if r != "" {
				return r
			}
		}
		return ""
	}
	switch {
	case o.leap(after):
		return o.mayLeap(after)
	case after.Phase == gate.Completed:
		missing := ""
		f := o.w.factsOf(o.e.spec.Name)
		for _, n := range o.w.seen {
			if f.runs[n] == 0 {
				missing = o.w.nodes[n].name + " has not run it"
			}
		}
		if before.Phase == gate.Settling && o.promoted() { // a person overruled what has not been shown
			return first(o.stopped(), o.kept(after), missing, o.departed())
		}
		return first(o.stopped(), o.kept(after), o.proven(), missing, o.departed())
	case after.Phase == gate.Settling && before.Phase == gate.Running:
		return first(o.stopped(), o.proven(), o.stage(i, false), o.late(), o.baked(), o.departed())
	case i < 0:
		start := ""
		if s := o.e.spec.Schedule.Start; s != nil && o.now.Before(s.NotBefore) {
			start = "before its start"
		}
		return first(start, o.stopped(), o.stage(0, true), o.ahead(), o.empty(0))
	case len(after.Stages) > len(before.Stages) && o.skips(i+1):
		return first(o.stopped(), o.proven(), o.late(), o.baked(), o.departed())
	case len(after.Stages) > len(before.Stages):
		return first(o.stopped(), o.proven(), o.stage(i+1, true), o.late(), o.baked(), o.departed(), o.empty(i+1))
	}
	bad := ""
	if who := o.w.factsOf(o.e.spec.Name).bad & o.has & o.w.listed; who != 0 {
		bad = o.w.names(who)[0] + " failed"
	}
	if before.Phase == gate.Settling && len(after.Admissions) > len(before.Admissions) { // the holdback, within the limit on unproven change
		return first(o.stopped(), bad, o.stage(i, false), o.departed())
	}
	if before.Phase == gate.Settling { // caps that were lifted give their nodes back
		return first(o.stopped(), bad, o.departed())
	}
	return first(o.stopped(), bad, o.stage(i, false), o.late(), o.departed())
}

func (o oracle) baked() string {
	i := o.e.state.Current()
	st := o.e.state.Stages[i]
	if !st.Skipped && (st.Full.IsZero() || o.now.Before(st.Full.Add(time.Duration(o.e.spec.Schedule.Stages[i].Bake.Time)))) {
		return "not baked"
	}
	return ""
}

// ahead is a rollout of the same kind of change that is under way, the one that is backed out just now to make room left out.
func (o oracle) ahead() string {
	for i := range o.all {
		other := &o.all[i]
		if other.spec.Name == o.e.spec.Name || !other.state.Phase.Active() {
			continue
		}
		if (other.spec.Candidate != "") == (o.e.spec.Candidate != "") && (o.e.spec.Candidate != "" || changeOf(&other.spec) == changeOf(&o.e.spec)) {
			return other.spec.Name + " is under way"
		}
	}
	return ""
}

// empty: nobody of the stage is there; of the first one, nobody who is not kept from the change.
func (o oracle) empty(i int) string {
	name, there := o.e.spec.Schedule.Stages[i].Segment, o.w.listed
	if name != "" {
		ref, ok := o.e.state.Snapshots[name]
		set := ref.Digest
		if !ok {
			set = o.w.resolve(o.e, name).Digest
		}
		there &= o.w.members[set]
	}
	if i == 0 {
		for k := range o.e.state.Caps {
			there &^= o.w.ofCap(o.e, &o.e.state.Caps[k])
		}
	}
	if there == 0 {
		return "nobody is in " + name
	}
	return ""
}

// gives works out which nodes have the change by a document, without package segments' admission.
func (w *world) gives(d *segments.Document, r *segments.Rollout) mask {
	if r == nil || r.BackedOut {
		return 0
	}
	m, off := mask(0), mask(0)
	for _, s := range r.Stages {
		m |= w.members[s.Set] & w.below(r.SaltOf(), s.Threshold)
	}
	for _, p := range d.Pins {
		switch {
		case p.Rollout != "" && p.Rollout != r.Name:
		case p.To == segments.ToBaseline:
			off |= w.named(p.Certname)
		default:
			m |= w.named(p.Certname)
		}
	}
	for _, c := range r.Caps {
		off |= w.members[c.Set] &^ w.below(r.SaltOf(), c.Limit)
	}
	return m &^ off
}
