package walk

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/segment"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/compose"
	"github.com/openinfrastructure/sluice/segments/selector"
)

var edgeRule = gate.EdgeRule{Live: 2 * time.Hour, MaxAge: 30 * time.Minute}

func (w *world) read(k int) {
	s := w.kv
	w.leaders[k].snap = &s
}

// commit takes the step of one leader on what it read, as internal/daemon does: decide, then one transaction that fails
// without the lease, or if anything that leaders write is not as it was read.
func (w *world) commit(k int) {
	l := &w.leaders[k]
	if l.snap == nil {
		return
	}
	snap := l.snap
	l.snap = nil
	now := w.now.Add(l.offset)
	w.deciding, w.coming = l, map[string]gate.Coming{}
	maps.Copy(w.coming, l.coming)
	ahead := uint64(0)
	for _, r := range snap.edges {
		ahead = max(ahead, r.edge.Generation)
	}
	if l.last.Epoch != "" {
		ahead = max(ahead, l.last.Generation)
	}
	halt, floor := "", uint64(0)
	if ahead > snap.doc.Generation && w.mutation != "restore accepted" {
		halt, floor = "the store was restored from before", ahead
	}
	reading := snap.flags.read()
	latched := w.latch(snap, reading)
	next := *snap
	next.rollouts = slices.Clone(snap.rollouts)
	halt, repair, a := w.take(&next, halt, now)
	if w.mutation == "thresholds reset" && l.fresh {
		for i := range next.rollouts {
			if s := &next.rollouts[i].state; s.Phase == gate.Running {
				s.Stages = slices.Clone(s.Stages)
				s.Stages[s.Current()].Threshold, s.Stages[s.Current()].Full = segments.None, time.Time{}
			}
		}
	}
	l.fresh = false
	gw := w.gather(k, &next, a, reading, latched, halt, now)
	d := gate.Decide(gw)
	if w.looks++; w.looks%64 == 0 {
		w.checkSame(d, gate.Decide(gw))
	}
	before := snap.rollouts
	for name, s := range d.States {
		next.rollout(name).state = s
	}
	next.tracks, next.stops, next.core = d.Tracks, latched, snap.core+1
	next.requests = a.left(d)
	w.note(snap, &next, a, d, now)
	published := w.publish(&next, snap, d, halt != "", repair, floor, now)
	if w.lease != k || w.kv.core != snap.core && w.mutation != "no cas" {
		return // the transaction fails
	}
	w.checkCommit(snap, before, &next, a, gw, d, now, published)
	w.install(snap, next)
	l.coming = w.coming
	w.gates, w.moved = d.Gates, map[string]bool{}
	for _, e := range d.Events {
		w.moved[e.Rollout] = true
	}
	if published {
		w.manifests = append(w.manifests, next.manifest)
		if len(w.manifests) > 12 {
			w.manifests = w.manifests[1:]
		}
		l.last = next.doc
	} else if halt == "" {
		l.last = snap.doc
	}
}

// install writes what leaders write, and nothing that people or edges wrote meanwhile.
func (w *world) install(snap *kv, next kv) {
	w.kv.core, w.kv.doc, w.kv.manifest, w.kv.tracks, w.kv.rollouts = w.kv.core+1, next.doc, next.manifest, next.tracks, next.rollouts
	w.kv.stops, w.kv.said = next.stops, next.said
	w.kv.requests = slices.Concat(next.requests, w.kv.requests[min(len(snap.requests), len(w.kv.requests)):])
}

// latch is what internal/daemon makes of flags, its own record and the edges' reports.
func (w *world) latch(snap *kv, r flags.Reading) flags.Latched {
	prev := snap.stops
	if w.mutation == "no latch" {
		prev = flags.Latched{}
	}
	l := flags.Latch(prev, r, snap.doc.Generation, func(string) uint64 { return 0 })
	for _, host := range slices.Sorted(maps.Keys(snap.edges)) {
		if w.mutation != "no latch" {
			l = l.Join(snap.edges[host].stops, r)
		}
	}
	return l
}

// asked is what people want that is not a flag.
type asked struct {
	lifts  map[string]bool      // cut-outs that are taken back, ROLLOUT/veto/ID
	orders map[string][]request // by rollout
	wait   []request            // to stay until the rollout's state says so
	halted bool                 // nothing may be published
}

// take reads people's requests. What is refused, or done at once, is gone.
func (w *world) take(next *kv, halted string, now time.Time) (halt string, repair bool, a asked) {
	a.lifts, a.orders = map[string]bool{}, map[string][]request{}
	for _, r := range next.requests {
		e := next.rollout(r.rollout)
		switch {
		case r.kind == "start" && halted == "":
			w.queue(next, r.spec, now)
		case r.kind == "unveto" && e != nil && e.state.Phase == gate.BackedOut:
			e.state.Unvetoed = true
		case r.kind == "confirm" && halted != "":
			halted, repair = "", true
		case (r.kind == "promote" || r.kind == "skip") && e != nil && (e.state.Refuse(r.order(), &e.spec.Schedule) == "" || w.mutation == "orders for any stage"):
			if a.wait = append(a.wait, r); a.orders[r.rollout] == nil { // one at a look
				a.orders[r.rollout] = []request{r}
			}
		case r.kind == "lift" && e != nil && w.mayLift(next, e, r.id):
			a.lifts[r.rollout+"/"+gate.CapCutOut+"/"+r.id], a.wait = halted == "", append(a.wait, r)
		}
	}
	a.halted = halted != ""
	return halted, repair, a
}

func (w *world) mayLift(s *kv, e *entry, id string) bool {
	stands := slices.ContainsFunc(e.state.Caps, func(c gate.Cap) bool { return c.Standing() && c.Source() == gate.CapCutOut+"/"+id })
	return !e.state.Phase.Ended() && stands && !slices.ContainsFunc(s.vetoes, func(v gate.Veto) bool { return v.ID == id })
}

// left are the requests that a decision has not taken up.
func (a asked) left(d gate.Decision) []request {
	return slices.DeleteFunc(slices.Clone(a.wait), func(r request) bool {
		_, changed := d.States[r.rollout]
		return changed && (r.kind == "lift" && a.lifts[r.rollout+"/"+gate.CapCutOut+"/"+r.id] || r.kind != "lift" && a.orders[r.rollout][0].same(r))
	})
}

func (r request) same(o request) bool {
	return r.kind == o.kind && r.rollout == o.rollout && r.stage == o.stage
}

// order is what gate is told of a person's order.
func (r request) order() gate.Order {
	if r.kind == "promote" {
		return gate.Order{Promote: &gate.Promotion{Stage: r.stage, By: "walker", Reason: "incident"}, By: "walker", Reason: "incident"}
	}
	return gate.Order{Skip: r.stage, By: "walker", Reason: "network"}
}

func changeOf(s *gate.Spec) string {
	if s.Candidate != "" {
		return s.Candidate
	}
	return fmt.Sprint(s.Parameters)
}

// queue takes a start request, unless the change is vetoed or under way.
func (w *world) queue(next *kv, spec gate.Spec, now time.Time) {
	if next.rollout(spec.Name) != nil || spec.Candidate != "" && spec.Candidate == next.tracks[0].Baseline {
		return
	}
	for i := range next.rollouts {
		o := &next.rollouts[i]
		if changeOf(&o.spec) != changeOf(&spec) {
			continue
		}
		vetoed := o.state.Phase == gate.BackedOut && !o.state.Unvetoed
		if vetoed && w.mutation != "veto forgotten" || !o.state.Phase.Ended() {
			return
		}
	}
	spec.Baseline, spec.Created = next.tracks[0].Baseline, now
	next.rollouts = append(next.rollouts, entry{spec: spec})
}

// gather is the world as gate is to see it.
func (w *world) gather(k int, s *kv, a asked, reading flags.Reading, latched flags.Latched, halt string, now time.Time) gate.World {
	g := gate.World{Now: now, Document: s.doc, Flags: reading, Stops: latched, Holds: s.holds, Sets: map[string]int{}, EdgeRule: edgeRule, Halt: halt,
		Sources: analyzer.Sources{Fresh: w.fresh || w.mutation == "stale is fresh", Through: now}}
	g.Pins = standing(s.pins, now)
	for digest, set := range w.sets {
		g.Sets[digest] = set.Count
	}
	for _, host := range slices.Sorted(maps.Keys(s.edges)) {
		g.Edges = append(g.Edges, s.edges[host].edge)
	}
	t := s.tracks[0]
	if w.seen != nil {
		t.Nodes = len(w.seen)
	}
	g.Tracks = []segments.Track{t}
	for i := range s.rollouts {
		g.Rollouts = append(g.Rollouts, w.rollout(k, s, a, &s.rollouts[i], now))
	}
	w.unproven(&g, now)
	return g
}

func (w *world) rollout(k int, s *kv, a asked, e *entry, now time.Time) gate.Rollout {
	r := gate.Rollout{Spec: e.spec, State: e.state}
	if w.mutation == "reverts begin as asked" {
		r.Spec.Reverts = ""
	}
	if w.mutation == "skips forgotten" {
		r.State.Skips = nil
	}
	for _, q := range a.orders[e.spec.Name] {
		if i := e.state.Current(); w.mutation == "orders for any stage" && i >= 0 && q.kind == "promote" {
			q.stage = e.state.Stages[i].Name
		}
		r.Orders = append(r.Orders, q.order())
	}
	if e.state.Phase.Ended() {
		return r
	}
	if w.mutation == "salt by leader" && k == 1 {
		salted := *e
		salted.spec.Salt = "other"
		e = &salted
		r.Spec.Salt = "other"
	}
	if w.mutation == "departures ignored" {
		r.Spec.Policy.MaxDeparted = 1
	}
	if w.mutation == "window ignored" {
		r.Spec.Windows = maps.Clone(r.Spec.Windows)
		r.Spec.Windows["office"] = always
	}
	if w.mutation == "ramp ignored" {
		r.Spec.Schedule.Stages = slices.Clone(r.Spec.Schedule.Stages)
		for i := range r.Spec.Schedule.Stages {
			r.Spec.Schedule.Stages[i].Ramp.InFlight.Nodes = mostNodes
		}
	}
	if w.seen == nil {
		const unread = "the inventory has not been read yet"
		r.Current.Err, r.Next.Err, r.Back.Err = unread, unread, unread
		return r
	}
	w.caps(s, a, e, now, &r)
	capped := *e // from here on it is looked at as it will be with these caps
	capped.state.Caps = r.Caps
	e = &capped
	r.Back = w.back(e)
	i := e.state.Current()
	if i >= 0 {
		r.Current = w.population(e, e.state.Stages[i].Set, i)
	}
	if n := i + 1; n < len(e.spec.Schedule.Stages) {
		name := e.spec.Schedule.Stages[n].Segment
		digest := ""
		if ref, ok := e.state.Snapshots[name]; ok {
			digest = ref.Digest
		} else if name != "" {
			digest = w.resolve(e, name).Digest
		}
		r.Next = w.population(e, digest, n)
		r.Next.Count = w.sets[digest].Count
	}
	if i < 0 {
		for _, stage := range e.spec.Schedule.Stages {
			if e.spec.Segments[stage.Segment].Membership == gate.Snapshot {
				set := w.resolve(e, stage.Segment)
				r.Snapshots = map[string]gate.SetRef{stage.Segment: {Digest: set.Digest, Count: set.Count}}
			}
		}
	}
	if e.state.Phase.Active() {
		r.Verdict = w.verdict(e, now)
	}
	var there []segments.Point
	for _, i := range w.seen {
		there = append(there, w.points(e.spec.Salt)[i])
	}
	slices.Sort(there)
	coming := w.leaders[k].coming[e.spec.Name] // a copy: it counts when the look is written
	r.Came = coming.Look(&r.State, there)
	w.coming[e.spec.Name] = coming
	return r
}

// attributes of a node in the last inventory.
func (w *world) attributes(i int) selector.Attributes {
	key := where{i, w.seenDC[i]}
	a, ok := w.known[key]
	if !ok {
		a = selector.Of(w.nodes[i].name, map[string]any{"dc": w.seenDC[i]}, nil, nil)
		w.known[key] = a
	}
	return a
}

func (w *world) population(e *entry, set string, before int) gate.Population {
	p := gate.Population{Set: set}
	pos := w.points(e.spec.Salt)
	for _, i := range w.seen {
		switch {
		case !w.in(set, i):
			continue
		case w.capped(e.state.Caps, e.spec.Salt, i) != nil:
			p.Kept = append(p.Kept, pos[i])
			continue
		}
		p.Positions = append(p.Positions, pos[i])
		if at, stage := w.state(e, i); !at.IsZero() && stage < before {
			p.Earlier = append(p.Earlier, pos[i])
		}
	}
	slices.Sort(p.Positions)
	slices.Sort(p.Earlier)
	slices.Sort(p.Kept)
	return p
}

// resolve gives the set of a segment, as the inventory is now.
func (w *world) resolve(e *entry, name string) segments.Set {
	key := e.spec.Name + "/" + name
	if r, ok := w.resolved[key]; ok && r.version == w.version {
		return r.set
	}
	match, err := compose.Compile(segment.Definitions(e.spec.Segments), name, nil)
	if err != nil {
		panic(err)
	}
	m := mask(0)
	for _, i := range w.seen {
		if match(w.nodes[i].name, w.attributes(i)) {
			m |= 1 << i
		}
	}
	set := w.setOf(m)
	w.resolved[key] = resolution{w.version, set}
	return set
}

// verdict is what the judge would say of what the nodes did.
func (w *world) verdict(e *entry, now time.Time) analyzer.Verdict {
	f := w.factsOf(e.spec.Name)
	v := analyzer.Verdict{Reason: "not enough yet", Evidence: "d", Checks: []analyzer.Check{{Name: "compile", Result: analyzer.Pass}, {Name: "new_failures", Result: analyzer.Pass}}}
	if !w.fresh && w.mutation != "stale is fresh" {
		return analyzer.Verdict{Reason: "no data"}
	}
	c := &v.Counts
	c.Runs = 1 << 20
	for _, i := range w.seen {
		at, _ := w.state(e, i)
		if at.IsZero() {
			if w.capped(e.state.Caps, e.spec.Salt, i) == nil {
				c.Control++
			}
			continue
		}
		c.Admitted++
		c.Live++
		runs := f.runs[i]
		if w.mutation == "absent passes" {
			runs = 2
		}
		switch {
		case has(f.bad, i) && w.mutation != "bad is not seen":
			v.Result, v.Reason = analyzer.Fail, w.nodes[i].name+" failed"
		case runs > 0:
			c.Exposed++
			c.Runs = min(c.Runs, runs)
		case now.Sub(at) > 6*time.Hour:
			c.Silent++
			c.SilentNodes = append(c.SilentNodes, w.nodes[i].name)
		}
	}
	if c.Exposed == 0 {
		c.Runs = 0
	}
	if v.Result == analyzer.Inconclusive && c.Live > 0 && float64(c.Exposed) >= .95*float64(c.Live) && c.Runs >= 2 && c.Silent == 0 {
		v.Result, v.Grade, v.Reason = analyzer.Pass, analyzer.Clean, "clean"
	}
	return v
}

// note writes down what people said, by the oracle's own reading of it.
func (w *world) note(snap, s *kv, a asked, d gate.Decision, now time.Time) {
	said := s.said.clone()
	w.noteCut(snap, s, a, d, &said)
	w.noteOrders(snap, s, a, d, &said)
	raw := s.flags.raw
	switch word(raw["freeze"]) {
	case "stop":
		said.frozen = true
	case "release":
		said.frozen = false
	}
	for key, value := range raw {
		name, flag, nested := strings.Cut(key, "/")
		if !nested {
			continue
		}
		stage, approval := strings.CutPrefix(flag, "approve/")
		switch {
		case flag == "pause" && word(value) == "stop":
			said.paused[name] = true
		case flag == "pause" && word(value) == "release":
			delete(said.paused, name)
		case flag == "delay" && word(value) == "release":
			delete(said.delay, name)
		case flag == "delay" && value != "" && said.delay[name].Raw != value:
			if e := s.rollout(name); e != nil && !e.state.Phase.Ended() {
				said.delay[name] = gate.DelaySeen{Raw: value, At: now}
			}
		case approval && word(value) == "release":
			if e := s.rollout(name); e != nil && !late(d, name) { // nobody remembers it of a rollout that is yet to be asked for
				said.denied[name+"/"+stage] = true
			}
		case approval && value == "true":
			delete(said.denied, name+"/"+stage)
		}
	}
	s.said = said
}

// word reads a toggle the way the handbook puts it: what is neither yes nor no stops.
func word(value string) string {
	switch value {
	case "":
		return ""
	case "false":
		return "release"
	}
	return "stop"
}

func (w *world) publish(next, snap *kv, d gate.Decision, halted, repair bool, floor uint64, now time.Time) bool {
	doc := d.Document
	same := func(a, b segments.Document) bool {
		a.Generation, b.Generation, a.Written, b.Written = 0, 0, time.Time{}, time.Time{}
		if len(a.Sets) == 0 && len(b.Sets) == 0 {
			a.Sets, b.Sets = nil, nil
		}
		return reflect.DeepEqual(a, b)
	}
	if halted || same(doc, snap.doc) && !repair && now.Sub(snap.doc.Written) < gate.KeepAlive {
		return false
	}
	doc.Epoch, doc.Written, doc.Generation = epoch, now, max(snap.doc.Generation, floor)+1
	manifest, err := enc.Encode(doc)
	if err != nil {
		w.fail("document", "the leader's document is refused: %v", err)
		return false
	}
	next.doc, next.manifest = doc, manifest
	return true
}

func (w *world) checkSame(a, b gate.Decision) {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	if errX != nil || errY != nil || string(x) != string(y) {
		w.fail("same answer", "the same world gives two decisions")
	}
}
