package walk

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// op is one thing that happens; a and b choose among what is there, so that a part of a walk is a walk.
type op struct {
	kind int
	a, b int
}

var sites = []string{"fra1", "ams1", "nyc1"}

// kinds of op, with how often each comes.
var kinds = []struct {
	name   string
	weight int
	do     func(w *world, a, b int)
}{
	{"look", 170, func(w *world, a, _ int) { w.read(w.lease); w.commit(w.lease) }},
	{"sync", 170, func(w *world, a, _ int) {
		e := w.edges[a%edges]
		w.render(e, 0)
		w.accept(e)
		w.report(e)
	}},
	{"everyone runs", 90, func(w *world, a, _ int) {
		for i := range w.nodes {
			w.run(w.edges[(i+a)%edges], i, 0)
		}
	}},
	{"time passes", 120, func(w *world, a, _ int) {
		w.now = w.now.Add([]time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 20 * time.Minute, time.Hour, time.Hour, 5 * time.Hour}[a%8])
	}},
	{"run", 30, func(w *world, a, b int) { w.run(w.edges[b%edges], a%mostNodes, 2*(b%4/3)) }},
	{"a run fails", 3, func(w *world, a, b int) { w.run(w.edges[b%edges], a%mostNodes, 1) }},
	{"read", 12, func(w *world, a, _ int) { w.read(a % leaders) }},
	{"read stale", 6, func(w *world, a, b int) {
		if len(w.marks) > 0 {
			s := w.marks[b%len(w.marks)]
			w.leaders[a%leaders].snap = &s
		}
	}},
	{"commit", 18, func(w *world, a, _ int) { w.commit(a % leaders) }},
	{"failover", 10, func(w *world, a, _ int) {
		if w.lease != a%leaders {
			w.lease = a % leaders
			w.leaders[w.lease].coming = nil
			w.leaders[w.lease].life++
		}
	}},
	{"leader restarts", 8, func(w *world, a, _ int) {
		w.leaders[a%leaders] = leader{fresh: true, life: w.leaders[a%leaders].life + 1}
		if a%3 == 0 {
			w.forgetInventory()
		}
	}},
	{"mark", 10, func(w *world, a, _ int) {
		if w.marks = append(w.marks, w.kv); len(w.marks) > 4 {
			w.marks = w.marks[1:]
		}
	}},
	{"restore", 1, func(w *world, a, _ int) { w.restore(a) }},
	{"confirm restore", 6, func(w *world, a, _ int) { w.kv.requests = append(slices.Clip(w.kv.requests), request{kind: "confirm"}) }},
	{"render badly", 30, func(w *world, a, b int) { w.render(w.edges[a%edges], 1+b%7) }},
	{"accept", 40, func(w *world, a, _ int) { w.accept(w.edges[a%edges]) }},
	{"report", 8, func(w *world, a, _ int) { w.report(w.edges[a%edges]) }},
	{"edge restarts", 4, func(w *world, a, _ int) { w.restart(w.edges[a%edges]) }},
	{"local stop", 3, func(w *world, a, b int) { w.edges[a%edges].stop = b%3 == 0 }},
	{"local baseline", 2, func(w *world, a, b int) {
		e := w.edges[a%edges]
		e.baseline = b%4 == 0
		e.answers, e.dirty = w.ask(e), false
	}},
	{"edge clock", 4, func(w *world, a, b int) {
		w.edges[a%edges].offset = time.Duration(b%7-3) * 20 * time.Minute
	}},
	{"leader clock", 3, func(w *world, a, b int) { w.leaders[a%leaders].offset = time.Duration(b%5-2) * 7 * time.Minute }},
	{"sets gone", 3, func(w *world, a, b int) { w.edges[a%edges].setsGone = b%3 == 0 }},
	{"sources", 10, func(w *world, a, _ int) { w.fresh = a%4 != 0 }},
	{"inventory", 30, func(w *world, _, _ int) { w.readInventory() }},
	{"join or leave", 6, func(w *world, a, _ int) { w.nodes[a%mostNodes].alive = !w.nodes[a%mostNodes].alive }},
	{"leave", 3, func(w *world, a, b int) { w.leave(a, b) }},
	{"rebuild", 5, func(w *world, a, _ int) { w.rebuild(a % mostNodes) }},
	{"move", 6, func(w *world, a, b int) { w.nodes[a%mostNodes].dc = sites[b%3] }},
	{"reload", 3, func(w *world, a, _ int) { w.reload = a }},
	{"start", 30, func(w *world, a, b int) { w.start(a, b) }},
	{"promote", 5, func(w *world, a, b int) { w.promote(a, b) }},
	{"skip", 4, func(w *world, a, b int) { w.order("skip", w.under(a), stageNames[1+b%2]) }},
	{"revert", 8, func(w *world, a, b int) { w.revert(a, b) }},
	{"unveto", 6, func(w *world, a, _ int) { w.ask2("unveto", w.pick(a)) }},
	{"pause", 8, func(w *world, a, b int) { w.flag(w.pick(a)+"/pause", []string{"true", "yes please?", "gone"}[b%3]) }},
	{"resume", 14, func(w *world, a, _ int) { w.flag(w.pick(a)+"/pause", "false") }},
	{"backout", 2, func(w *world, a, _ int) { w.flag(w.pick(a)+"/backout", "true") }},
	{"backout garbled", 1, func(w *world, a, b int) { w.flag(w.pick(a)+"/backout", []string{"ture", "gone"}[b%2]) }},
	{"delay", 4, func(w *world, a, b int) {
		w.flag(w.pick(a)+"/delay", []string{"2h", w.now.Add(3 * time.Hour).UTC().Format(time.RFC3339), "tomorrow"}[b%3])
	}},
	{"no delay", 10, func(w *world, a, b int) { w.flag(w.pick(a)+"/delay", []string{"false", "gone"}[b%2]) }},
	{"approve", 30, func(w *world, a, b int) { w.flag(w.pick(a)+"/approve/"+stageNames[b%4], "true") }},
	{"deny", 2, func(w *world, a, b int) { w.flag(w.pick(a)+"/approve/"+stageNames[b%4], "false") }},
	{"approval gone", 6, func(w *world, a, b int) {
		w.flag(w.pick(a)+"/approve/"+stageNames[b%4], []string{"gone", "perhaps"}[b/4%2])
	}},
	{"denial gone", 2, func(w *world, a, _ int) { w.denialGone(a) }},
	{"freeze", 3, func(w *world, a, b int) { w.flag("freeze", []string{"true", "gone", "friday"}[b%3]) }},
	{"no freeze", 14, func(w *world, _, _ int) { w.flag("freeze", "false") }},
	{"force", 1, func(w *world, a, _ int) { w.flag("force", fmt.Sprint(w.kv.doc.Generation+uint64(a%2))) }},
	{"hold", 6, func(w *world, a, b int) { w.hold(a, b) }},
	{"end hold", 8, func(w *world, a, b int) { w.endHold(a, b) }},
	{"cut out", 4, func(w *world, a, b int) { w.cutOut(a, b) }},
	{"cut-out key gone", 2, func(w *world, a, _ int) { w.dropVeto(a) }},
	{"give back", 5, func(w *world, a, _ int) {
		if v := w.dropVeto(a); v.ID != "" {
			w.kv.requests = append(slices.Clip(w.kv.requests), request{kind: "lift", rollout: v.Rollout, id: v.ID})
		}
	}},
	{"pin", 4, func(w *world, a, b int) { w.pin(a, b) }},
	{"unpin", 4, func(w *world, a, _ int) {
		if n := len(w.kv.pins); n > 0 {
			w.kv.pins = slices.Delete(slices.Clone(w.kv.pins), a%n, a%n+1)
		}
	}},
}

var total = func() (n int) {
	for _, k := range kinds {
		n += k.weight
	}
	return n
}()

func draw(r *rand.Rand) op {
	n := r.IntN(total)
	for i, k := range kinds {
		if n -= k.weight; n < 0 {
			return op{i, r.IntN(1 << 12), r.IntN(1 << 12)}
		}
	}
	panic("weights")
}

func (o op) String() string { return fmt.Sprintf("%s %d %d", kinds[o.kind].name, o.a, o.b) }

func rolloutName(i int) string { return fmt.Sprintf("r%d", i) }

// pick chooses one of the rollouts that were started last.
func (w *world) pick(a int) string {
	if w.started == 0 {
		return rolloutName(0)
	}
	return rolloutName(max(0, w.started-1-a%5))
}

// under chooses one of the rollouts that are under way.
func (w *world) under(a int) string {
	var names []string
	for i := range w.kv.rollouts {
		if e := &w.kv.rollouts[i]; e.state.Phase.Active() {
			names = append(names, e.spec.Name)
		}
	}
	if len(names) == 0 {
		return w.pick(a)
	}
	return names[a%len(names)]
}

func (w *world) flag(key, value string) {
	raw := maps.Clone(w.kv.flags.raw)
	if raw == nil {
		raw = map[string]string{}
	}
	if raw[key] = value; value == "gone" {
		delete(raw, key)
	}
	w.kv.flags = &toggles{raw: raw}
}

// denialGone deletes the flag of a stage that is denied: that takes no denial back.
func (w *world) denialGone(a int) {
	var denied []string
	for key, value := range w.kv.flags.raw {
		if strings.Contains(key, "/approve/") && word(value) == "release" {
			denied = append(denied, key)
		}
	}
	if slices.Sort(denied); len(denied) > 0 {
		w.flag(denied[a%len(denied)], "gone")
	}
}

func (w *world) ask2(kind, rollout string) {
	w.kv.requests = append(slices.Clip(w.kv.requests), request{kind: kind, rollout: rollout})
}

var stageNames = []string{"s0", "s1", "s2", "s3"}

var always = window(0, 24)

func window(from, to int) schedule.Window {
	return schedule.Window{Name: "office", TimeZone: &timeinterval.Location{Location: time.UTC},
		TimeInterval: timeinterval.TimeInterval{Times: []timeinterval.TimeRange{{StartMinute: from * 60, EndMinute: to * 60}}}}
}

// start asks for a rollout.
func (w *world) start(a, b int) {
	spec := w.spec(a, b)
	if a%3 < 2 {
		spec.Candidate = fmt.Sprintf("production_%d", 1+a%6)
	} else {
		spec.Parameters = map[string]any{fmt.Sprintf("flag%d", a%3): float64(b % 2)}
	}
	w.kv.requests = append(slices.Clip(w.kv.requests), request{kind: "start", rollout: spec.Name, spec: spec})
}

// spec is a rollout of nothing yet; how it goes on depends on the numbers and on the site's configuration at the time.
func (w *world) spec(a, b int) gate.Spec {
	name := rolloutName(w.started)
	w.started++
	pct := func(p int) schedule.Percent { return schedule.Percent(p) * schedule.Hundred / 100 }
	stage := func(i int, segment string, percent schedule.Percent) schedule.Stage {
		s := schedule.Stage{Name: stageNames[i], Segment: segment, Percent: percent, Ramp: schedule.Ramp{InFlight: schedule.Amount{Nodes: 2 + (a+i)%5}},
			Bake: schedule.Bake{Time: model.Duration(time.Duration(b%3) * 10 * time.Minute), Runs: 2}, Pass: schedule.PassClean, Approval: (a+i)%7 == 0,
			Deadline: schedule.Deadline{After: model.Duration(time.Duration(2+b%2*8) * 24 * time.Hour), Then: []string{schedule.ThenHold, schedule.ThenBackout}[b/3%2]}}
		if (b+i)%4 == 0 {
			s.Windows = []string{"office"}
		}
		return s
	}
	names := []string{"fra", "list", "notfra", "half", "both"}
	s := schedule.Schedule{Growth: []float64{4, 100}[a%2], Supersede: []string{schedule.SupersedeQueue, schedule.SupersedeTrain, schedule.SupersedeReplace}[b%13%3],
		Stages: []schedule.Stage{stage(0, names[a%5], pct(20+a%80)), stage(1, "", pct(5+b%40)), stage(2, names[b%5], schedule.Hundred), stage(3, "", schedule.Hundred)}}
	if held := pct(b % 3 * 5); a%3 == 0 {
		s.Holdback = &held
	}
	if a%11 == 0 {
		s.Start = &schedule.Start{NotBefore: w.now.Add(2 * time.Hour)}
	}
	half := pct(50 + w.reload%20)
	return gate.Spec{Name: name, Salt: name, Track: track, Reason: "walk", By: "walker", Policy: analyzer.DefaultPolicy(), Schedule: s,
		Windows: map[string]schedule.Window{"office": window(6, 22)},
		Segments: map[string]gate.Segment{"fra": {Selector: inDC(sites[w.reload%3]), Membership: []string{gate.Live, gate.Snapshot}[a/5%2]},
			"list": {Certnames: []string{"n0[0-3].*", "n10.example.com"}}, "notfra": {Not: "fra"}, "half": {Selector: everyone, Percent: &half}, "both": {AllOf: []string{"fra", "half"}}}}
}

// hold writes a hold, or writes one anew that is there.
func (w *world) hold(a, b int) {
	h := gate.Hold{ID: fmt.Sprint("h", a%4), Selector: selectors[b%len(selectors)].text, By: "walker", Comment: "c"}
	if b%8 < 6 {
		h.Until = w.now.Add(time.Duration(1+a%5) * time.Hour)
	}
	if a%23 == 0 {
		h.Err = "unexpected end of JSON input"
	}
	w.kv.holds = append(without(w.kv.holds, func(o gate.Hold) bool { return o.ID == h.ID }), h)
}

func without[T any](all []T, is func(T) bool) []T { return slices.DeleteFunc(slices.Clone(all), is) }

// endHold ends a hold before its time, as `sluice hold expire` does, or as `consul kv delete`.
func (w *world) endHold(a, b int) {
	n := len(w.kv.holds)
	if n == 0 {
		return
	}
	h := w.kv.holds[a%n]
	w.kv.holds = without(w.kv.holds, func(o gate.Hold) bool { return o.ID == h.ID })
	if b%2 == 0 && h.Err == "" {
		h.Until, h.Ended = w.now, "by walker"
		w.kv.holds = append(w.kv.holds, h)
	}
}

// cutOut takes the change of a rollout from some nodes.
func (w *world) cutOut(a, b int) {
	v := gate.Veto{ID: fmt.Sprint("v", a%3, "-", w.pick(b)), Rollout: w.pick(b), Selector: selectors[(a/3)%(len(selectors)-1)].text, By: "walker", Comment: "c"}
	w.kv.vetoes = append(without(w.kv.vetoes, func(o gate.Veto) bool { return o.ID == v.ID }), v)
	if len(w.kv.vetoes) > 4 {
		w.kv.vetoes = w.kv.vetoes[1:]
	}
}

func (w *world) dropVeto(a int) (v gate.Veto) {
	if n := len(w.kv.vetoes); n > 0 {
		v = w.kv.vetoes[a%n]
		w.kv.vetoes = slices.Delete(slices.Clone(w.kv.vetoes), a%n, a%n+1)
	}
	return v
}

func (w *world) pin(a, b int) {
	p := gate.Pin{Certname: w.nodes[a%mostNodes].name, To: []string{segments.ToBaseline, segments.ToCandidate}[b%2], By: "walker", Comment: "c"}
	if b%3 > 0 {
		p.Rollout = w.pick(b / 2)
	}
	if b%5 > 0 {
		p.Until = w.now.Add(time.Duration(1+b%7) * time.Hour)
	}
	w.kv.pins = append(without(w.kv.pins, func(o gate.Pin) bool { return o.Certname == p.Certname || !o.Until.IsZero() && !w.now.Before(o.Until) }), p)
	if len(w.kv.pins) > 4 {
		w.kv.pins = w.kv.pins[1:]
	}
}

// run is a Puppet run of one node by one server: quality 0 is good, 1 fails, 2 is never heard of.
func (w *world) run(e *edge, i, quality int) {
	n := w.nodes[i]
	if !n.alive || e.state.Effective.Epoch == "" || quality == 2 {
		return
	}
	taken := false
	for k := range e.state.Effective.Rollouts {
		r := &e.state.Effective.Rollouts[k]
		if of := e.answers[r.Name]; of == nil || !of[i].Admitted || r.Candidate != "" && taken {
			continue
		}
		taken = taken || r.Candidate != ""
		f := w.factsOf(r.Name)
		if f.runs[i]++; quality == 1 {
			f.bad |= 1 << i
		}
	}
}

// restore puts a backup of the store back, as `consul snapshot restore` does. What was done since is not known there.
func (w *world) restore(a int) {
	if len(w.marks) == 0 {
		return
	}
	w.kv = w.marks[a%len(w.marks)]
	w.marks, w.restored = nil, true
	w.maxGen = w.kv.doc.Generation // an edge that has a later one says so, or refuses what is older
	for i := range w.leaders {
		w.leaders[i].snap = nil
		w.leaders[i].life++ // whom a state from before counted it does not know
	}
	w.last, w.happened, w.skipped = map[string]gate.State{}, map[string]int{}, map[string]int{}
	for i := range w.kv.rollouts {
		w.last[w.kv.rollouts[i].spec.Name] = w.kv.rollouts[i].state
	}
	w.checkVetoes(&w.kv)
}
