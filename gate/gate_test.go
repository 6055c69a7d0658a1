package gate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// site plays the leader against a fleet that does as it is told.
type site struct {
	t     testing.TB
	w     World
	tree  map[string]string
	nodes []string
	canary,
	fra1 []string
	verdict func(r *Rollout) analyzer.Verdict
	events  []Event
	kept    map[string][]string // nodes that are held, by source
	beside  bool                // rollouts share no nodes, whatever their names
}

func newSite(t testing.TB, n int) *site {
	s := &site{t: t, tree: map[string]string{}, kept: map[string][]string{}}
	for i := range n {
		s.nodes = append(s.nodes, fmt.Sprintf("n%d", i))
	}
	s.canary, s.fra1 = s.nodes[:1], s.nodes[:n/2]
	s.w = World{
		Now: t0, Tracks: []segments.Track{{Name: "production", Baseline: "production_a", Nodes: n}}, Sets: map[string]int{},
		Document: segments.Document{Epoch: "e", Generation: 1, Written: t0},
		EdgeRule: EdgeRule{Live: 5 * time.Minute, MaxAge: time.Minute},
	}
	s.verdict = s.healthy
	s.start("ntp", "production_b")
	return s
}

func (s *site) start(name, candidate string) {
	stage := func(name, segment string) schedule.Stage {
		return schedule.Stage{Name: name, Segment: segment, Percent: schedule.Hundred, Ramp: schedule.Ramp{InFlight: schedule.Amount{Nodes: 100}},
			Bake: schedule.Bake{Time: model.Duration(10 * time.Minute), Runs: 2}, Pass: schedule.PassClean,
			Deadline: schedule.Deadline{After: model.Duration(24 * time.Hour), Then: schedule.ThenHold}}
	}
	s.w.Rollouts = append(s.w.Rollouts, Rollout{Spec: Spec{
		Name: name, Salt: name, Track: "production", Candidate: candidate, Baseline: "production_a", Reason: "test", By: "t",
		Policy: analyzer.DefaultPolicy(), Segments: map[string]Segment{"canary": {}, "fra1": {}},
		Schedule: schedule.Schedule{Growth: 100, Supersede: schedule.SupersedeQueue, Stages: []schedule.Stage{stage("canary", "canary"), stage("fra1", "fra1"), stage("everyone", "")}},
	}})
}

func (s *site) members(segment string) ([]string, string) {
	switch segment {
	case "canary":
		return s.canary, "c"
	case "fra1":
		return s.fra1, "f"
	}
	return s.nodes, ""
}

// pointOf reads a position that the test has made itself.
func pointOf(u string) segments.Point {
	p, err := segments.ParsePoint(u)
	if err != nil {
		panic(err)
	}
	return p
}

func (s *site) population(r *Rollout, i int) Population {
	if i < 0 || i >= len(r.Spec.Schedule.Stages) {
		return Population{}
	}
	names, set := s.members(r.Spec.Schedule.Stages[i].Segment)
	p := Population{Set: set}
	for _, n := range names {
		u := segments.Position(r.Spec.Salt, n)
		if Capped(r.Caps, u, func(set string) bool { return s.in(set, n) }) != nil {
			p.Kept = append(p.Kept, pointOf(u))
			continue
		}
		p.Positions = append(p.Positions, pointOf(u))
		if at, stage := s.admittedAt(r, n); !at.IsZero() && stage < i {
			p.Earlier = append(p.Earlier, pointOf(u))
		}
	}
	slices.Sort(p.Positions)
	slices.Sort(p.Kept)
	slices.Sort(p.Earlier)
	if s.w.Blast.DomainLimit == nil {
		return p
	}
	domain := map[segments.Point]string{}
	for k, n := range s.nodes {
		domain[segments.PointOf(r.Spec.Salt, n)] = fmt.Sprintf("dc%d", k%2)
	}
	for _, u := range p.Positions {
		p.Domains = append(p.Domains, domain[u])
	}
	return p
}

func (s *site) admittedAt(r *Rollout, node string) (time.Time, int) {
	return r.State.AdmittedAt(segments.Position(r.Spec.Salt, node), func(set string) bool { return s.in(set, node) })
}

func (s *site) in(set, node string) bool {
	switch set {
	case "c":
		return slices.Contains(s.canary, node)
	case "f":
		return slices.Contains(s.fra1, node)
	}
	return slices.Contains(strings.Fields(strings.Trim(set, "[]")), node)
}

// share says which nodes have changes that are not past their bake, as the leader does.
func (s *site) share(r *Rollout) {
	r.Shared, r.Unproven = map[string]Shared{}, map[string]int{}
	for i := range s.w.Rollouts {
		o := &s.w.Rollouts[i]
		if !o.State.Phase.Active() {
			continue
		}
		names := map[segments.Point]string{}
		for k, n := range s.nodes {
			if len(s.w.Rollouts) == 1 && s.w.Blast == (BlastRule{}) {
				break // nobody asks
			}
			at, stage := s.admittedAt(o, n)
			if s.beside && o != r || !o.State.Unshown().Has(at, stage) || s.w.Now.Sub(at) >= 10*time.Minute {
				continue
			}
			if names[segments.PointOf(r.Spec.Salt, n)] = n; o == r {
				r.Unproven[fmt.Sprintf("dc%d", k%2)]++
			}
		}
		if o != r {
			sh := Shared{Positions: slices.Sorted(maps.Keys(names))}
			for _, u := range sh.Positions {
				sh.Names = append(sh.Names, names[u])
			}
			r.Shared[o.Spec.Name] = sh
		}
	}
}

// wish says what is kept to every rollout, and who has to come back.
func (s *site) wish(r *Rollout) {
	var wishes []Wish
	for source, nodes := range s.kept {
		if w := (Wish{Source: source, Count: len(nodes)}); len(nodes) > 0 {
			w.Set = setOf(nodes)
			wishes = append(wishes, w)
		}
	}
	slices.SortFunc(wishes, func(a, b Wish) int { return strings.Compare(a.Source, b.Source) })
	r.Caps = Caps(&r.State, wishes, func(string) bool { return false }, s.w.Now)
	state := r.State
	state.Caps = r.Caps
	standing := slices.DeleteFunc(slices.Clone(r.Caps), func(c Cap) bool { return !c.Standing() })
	r.Back = Population{}
	for _, n := range s.nodes {
		u, in := segments.Position(r.Spec.Salt, n), func(set string) bool { return s.in(set, n) }
		if at, _ := state.ReachedAt(u, in); !at.IsZero() && Capped(r.Caps, u, in) != nil && Capped(standing, u, in) == nil {
			r.Back.Positions = append(r.Back.Positions, pointOf(u))
		}
	}
	slices.Sort(r.Back.Positions)
}

func (s *site) admitted(name string) []string {
	var out []string
	for i := range s.w.Rollouts {
		if r := &s.w.Rollouts[i]; r.Spec.Name == name && r.State.Phase.Active() {
			for _, n := range s.nodes {
				if at, _ := s.admittedAt(r, n); !at.IsZero() {
					out = append(out, n)
				}
			}
		}
	}
	return out
}

// One that replaces goes before those that wait in order: begun first, they would only be taken back.
func TestReplaceGoesBeforeTheQueue(t *testing.T) {
	s := newSite(t, 16)
	s.run(3 * time.Minute)
	s.start("b", "production_b2")
	s.start("c", "production_c2")
	s.w.Rollouts[1].Spec.Schedule.Supersede, s.w.Rollouts[2].Spec.Schedule.Supersede = schedule.SupersedeQueue, schedule.SupersedeReplace
	s.run(12 * time.Hour)
	for i, want := range []Phase{BackedOut, Completed, Completed} {
		if got := s.w.Rollouts[i].State.Phase; got != want {
			t.Errorf("%s is %s, want %s", s.w.Rollouts[i].Spec.Name, got, want)
		}
	}
	if b, c := s.w.Rollouts[1].State.Stages[0].Since, s.w.Rollouts[2].State.Since; b.Before(c) {
		t.Errorf("b began at %s, c was done at %s", b, c)
	}
}

// A stage that adds nobody is in the document all the same: a node that joins below its threshold has the change, so that the
// state must not take it for a control.
func TestSkippedStageAdmitsWhoJoins(t *testing.T) {
	s := newSite(t, 16)
	sched := &s.w.Rollouts[0].Spec.Schedule
	again := sched.Stages[1]
	again.Name = "fra1-again"
	sched.Stages = slices.Insert(sched.Stages, 2, again)
	for range 3 * 60 {
		s.run(time.Minute)
		if s.w.Rollouts[0].State.Current() >= 2 {
			break
		}
	}
	st := &s.w.Rollouts[0].State
	if st.Current() < 2 || !st.Stages[2].Skipped {
		t.Fatalf("no stage was skipped: %+v", st.Stages)
	}
	for i := range st.Stages {
		said := false
		for _, a := range st.Admissions {
			said = said || a.Stage == i && a.Threshold == st.Stages[i].Threshold && a.Set == st.Stages[i].Set
		}
		if !said {
			t.Errorf("stage %s is published at %s, and no admission says so", st.Stages[i].Name, st.Stages[i].Threshold)
		}
	}
}

// healthy: every admitted node ran the change a minute after its admission, and twice after an hour's half.
func (s *site) healthy(r *Rollout) analyzer.Verdict {
	v := analyzer.Verdict{Reason: "clean so far", Evidence: "d1", Checks: []analyzer.Check{{Name: "compile", Result: analyzer.Pass}, {Name: "new_failures", Result: analyzer.Pass}}}
	v.Counts.Runs = 99
	for _, n := range s.nodes {
		if Capped(r.Caps, segments.Position(r.Spec.Salt, n), func(set string) bool { return s.in(set, n) }) != nil {
			continue
		}
		at, _ := s.admittedAt(r, n)
		if at.IsZero() {
			v.Counts.Control++
			continue
		}
		v.Counts.Admitted++
		v.Counts.Live++
		if s.w.Now.Sub(at) >= time.Minute {
			v.Counts.Exposed++
		}
		v.Counts.Runs = min(v.Counts.Runs, int(s.w.Now.Sub(at)/(5*time.Minute)))
	}
	if v.Counts.Admitted > 0 && v.Counts.Exposed == v.Counts.Admitted && v.Counts.Runs >= 2 {
		v.Result, v.Grade = analyzer.Pass, analyzer.Clean
	}
	return v
}

// look decides once and carries the decision out, as the daemon does.
func (s *site) look() Decision {
	s.w.Flags = flags.Read(s.tree)
	s.w.Stops = flags.Latch(s.w.Stops, s.w.Flags, s.w.Document.Generation, func(string) uint64 { return 0 })
	s.w.Sources = analyzer.Sources{Fresh: s.w.Sources.Reasons == nil, Reasons: s.w.Sources.Reasons, Through: s.w.Now}
	if s.w.Edges == nil || s.w.Edges[0].Host == "auto" {
		code := map[string]string{"production_a": "sha-a"}
		for _, r := range s.w.Document.Rollouts {
			code[r.Candidate] = "sha-" + r.Candidate
		}
		for _, t := range s.w.Tracks {
			code[t.Baseline] = "sha-" + t.Baseline
		}
		code["production_a"] = "sha-a"
		s.w.Edges = []Edge{{Host: "auto", At: s.w.Now, Ready: true, Generation: s.w.Document.Generation, Code: code}}
	}
	for i := range s.w.Rollouts {
		r := &s.w.Rollouts[i]
		r.Verdict = analyzer.Verdict{}
		s.wish(r)
		s.share(r)
		if r.State.Phase.Active() {
			r.Verdict = s.verdict(r)
		}
		r.Current, r.Next = s.population(r, r.State.Current()), s.population(r, r.State.Current()+1)
	}
	d := Decide(s.w)
	for i := range s.w.Rollouts {
		if st, ok := d.States[s.w.Rollouts[i].Spec.Name]; ok {
			s.w.Rollouts[i].State = st
		}
	}
	s.w.Tracks = d.Tracks
	if d.Republish {
		d.Document.Generation, d.Document.Written, d.Document.Epoch = s.w.Document.Generation+1, s.w.Now, "e"
		d.Document.Sets = map[string]int{"c": 1, "f": 1}
		s.w.Document = d.Document
	}
	s.events = append(s.events, d.Events...)
	return d
}

func (s *site) run(d time.Duration) {
	for end := s.w.Now.Add(d); s.w.Now.Before(end); s.w.Now = s.w.Now.Add(time.Minute) {
		s.look()
	}
}

func (s *site) state(name string) State {
	for _, r := range s.w.Rollouts {
		if r.Spec.Name == name {
			return r.State
		}
	}
	s.t.Fatalf("no rollout %s", name)
	return State{}
}

// closedGates names the closed gates of the last look.
func closedGates(d Decision, rollout string) string {
	var out []string
	for _, g := range d.Gates[rollout] {
		if !g.Open {
			out = append(out, g.Name)
		}
	}
	return strings.Join(out, " ")
}

func TestGoodChangeReachesEveryone(t *testing.T) {
	s := newSite(t, 16)
	sizes := []int{}
	for range 120 {
		s.look()
		if n := len(s.admitted("ntp")); len(sizes) == 0 || sizes[len(sizes)-1] != n {
			sizes = append(sizes, n)
		}
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	if want := []int{0, 1, 8, 16, 0}; !slices.Equal(sizes, want) {
		t.Errorf("admitted %v, want %v", sizes, want)
	}
	if st := s.state("ntp"); st.Phase != Completed {
		t.Errorf("%s", st.Phase)
	}
	if b := s.w.Document.Tracks[0].Baseline; b != "production_b" || len(s.w.Document.Rollouts) != 0 {
		t.Errorf("baseline %s, %d rollouts in the document", b, len(s.w.Document.Rollouts))
	}
	var kinds []string
	for _, e := range s.events {
		kinds = append(kinds, e.Kind)
	}
	want := "rollout_started stage_started stage_ended stage_started stage_ended stage_started stage_ended settling completed"
	if got := strings.Join(kinds, " "); got != want {
		t.Errorf("events %s", got)
	}
}

// Every gate, closed by what closes it, while everything else would let the rollout go on; and named.
func TestEachGateHolds(t *testing.T) {
	fail := func(change func(*analyzer.Verdict)) func(*site) {
		return func(s *site) {
			s.verdict = func(r *Rollout) analyzer.Verdict { v := s.healthy(r); change(&v); return v }
		}
	}
	for name, c := range map[string]struct {
		gate  string
		close func(*site)
		open  func(*site)
	}{
		"freeze":           {"freeze", func(s *site) { s.tree["freeze"] = "true" }, func(s *site) { s.tree["freeze"] = "false" }},
		"pause":            {"pause", func(s *site) { s.tree["ntp/pause"] = "true" }, func(s *site) { s.tree["ntp/pause"] = "false" }},
		"mistyped pause":   {"pause", func(s *site) { s.tree["ntp/pause"] = "yep" }, func(s *site) { s.tree["ntp/pause"] = "false" }},
		"mistyped backout": {"pause", func(s *site) { s.tree["ntp/backout"] = "yep" }, func(s *site) { s.tree["ntp/backout"] = "false"; s.tree["ntp/pause"] = "false" }},
		"unknown flag":     {"pause", func(s *site) { s.tree["ntp/paus"] = "x" }, func(s *site) { delete(s.tree, "ntp/paus"); s.tree["ntp/pause"] = "false" }},
		"delay":            {"delay", func(s *site) { s.tree["ntp/delay"] = "300h" }, func(s *site) { s.tree["ntp/delay"] = "false" }},
		"mistyped delay":   {"delay", func(s *site) { s.tree["ntp/delay"] = "later" }, func(s *site) { s.tree["ntp/delay"] = "off" }},
		"delay until":      {"delay", func(s *site) { s.tree["ntp/delay"] = "2027-01-01T00:00:00Z" }, func(s *site) { s.tree["ntp/delay"] = "2020-01-01T00:00:00Z" }},
		"stale sources":    {"sources", func(s *site) { s.w.Sources.Reasons = []string{"down"} }, func(s *site) { s.w.Sources.Reasons = nil }},
		"halt":             {"restored", func(s *site) { s.w.Halt = "restored" }, func(s *site) { s.w.Halt = "" }},
		"no edge": {"edges", func(s *site) {
			s.w.Edges = []Edge{}
			s.w.Edges = append(s.w.Edges, Edge{Host: "p1", At: t0.Add(-time.Hour)})
		}, func(s *site) { s.w.Edges = nil }},
		"not ready":        {"edges", func(s *site) { s.edge(func(e *Edge) { e.Ready = false }) }, func(s *site) { s.w.Edges = nil }},
		"edge behind":      {"edges", func(s *site) { s.edge(func(e *Edge) { e.Generation = 0 }) }, func(s *site) { s.w.Edges = nil }},
		"local stop file":  {"edges", func(s *site) { s.edge(func(e *Edge) { e.Local = []string{"stop"} }) }, func(s *site) { s.w.Edges = nil }},
		"missing code":     {"edges", func(s *site) { s.edge(func(e *Edge) { e.Code["production_b"] = "missing" }) }, func(s *site) { s.w.Edges = nil }},
		"unpinned code":    {"edges", func(s *site) { s.edge(func(e *Edge) { e.Code["production_b"] = "unpinned" }) }, func(s *site) { s.w.Edges = nil }},
		"changed code":     {"edges", func(s *site) { s.edge(func(e *Edge) { e.Code["production_b"] = "sha-other" }) }, func(s *site) { s.w.Edges = nil }},
		"changed baseline": {"edges", func(s *site) { s.edge(func(e *Edge) { e.Code["production_a"] = "sha-other" }) }, func(s *site) { s.w.Edges = nil }},
		"coverage":         {"coverage", fail(func(v *analyzer.Verdict) { v.Counts.Exposed = 0 }), func(s *site) { s.verdict = s.healthy }},
		"nobody live":      {"coverage", fail(func(v *analyzer.Verdict) { v.Counts = analyzer.Counts{} }), func(s *site) { s.verdict = s.healthy }},
		"inconclusive":     {"verdict", fail(func(v *analyzer.Verdict) { v.Result = analyzer.Inconclusive }), func(s *site) { s.verdict = s.healthy }},
		"pass by nothing":  {"verdict", fail(func(v *analyzer.Verdict) { v.Evidence = "" }), func(s *site) { s.verdict = s.healthy }},
		"hold":             {"hold", func(s *site) { s.w.Rollouts[0].Held = []Hold{{ID: "h", Until: t0.Add(900 * time.Hour)}} }, func(s *site) { s.w.Rollouts[0].Held = nil }},
		"unreadable hold":  {"hold", func(s *site) { s.w.Rollouts[0].Held = []Hold{{ID: "h", Err: "json", Until: t0}} }, func(s *site) { s.w.Rollouts[0].Held = nil }},
		"empty segment":    {"segment", func(s *site) { s.fra1 = nil }, func(s *site) { s.fra1 = s.nodes[:8] }},
		"approval":         {"approval", func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[1].Approval = true }, func(s *site) { s.tree["ntp/approve/fra1"] = "true" }},
		"mistyped approval": {"approval", func(s *site) {
			s.w.Rollouts[0].Spec.Schedule.Stages[1].Approval = true
			s.tree["ntp/approve/fra1"] = "ok"
		}, func(s *site) { s.tree["ntp/approve/fra1"] = "1" }},
		"denied":             {"approval", func(s *site) { s.tree["ntp/approve/fra1"] = "false" }, func(s *site) { s.tree["ntp/approve/fra1"] = "true" }},
		"unknown window":     {"window", func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[1].Windows = []string{"w"} }, func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[1].Windows = nil }},
		"growth":             {"growth", func(s *site) { s.w.Rollouts[0].Spec.Schedule.Growth = 4 }, func(s *site) { s.tree["ntp/approve/fra1"] = "true" }},
		"certified required": {"verdict", func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[0].Pass = schedule.PassCertified }, fail(func(v *analyzer.Verdict) { v.Grade = analyzer.Certified })},
		"bake":               {"bake", func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[0].Bake.Time = model.Duration(20 * time.Hour) }, func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[0].Bake.Time = 0 }},
		"bake runs":          {"bake", func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[0].Bake.Runs = 1000 }, func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[0].Bake.Runs = 2 }},
		"deadline":           {"deadline", func(s *site) { s.w.Rollouts[0].Spec.Schedule.Stages[0].Deadline.After = model.Duration(time.Minute) }, func(s *site) { s.tree["ntp/approve/canary"] = "true" }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 16)
			s.run(3 * time.Minute) // stage 1 is admitted
			if n := len(s.admitted("ntp")); n != 1 {
				t.Fatalf("%d admitted", n)
			}
			c.close(s)
			s.run(5 * time.Hour)
			d := s.look()
			if got := closedGates(d, "ntp"); !slices.Contains(strings.Fields(got), c.gate) {
				t.Errorf("closed gates %q, want %s", got, c.gate)
			}
			if n := len(s.admitted("ntp")); n != 1 {
				t.Errorf("%d nodes admitted past a closed gate", n)
			}
			for _, g := range d.Gates["ntp"] {
				if !g.Open && (g.Reason == "" || g.Source == "") {
					t.Errorf("gate %s gives reason %q, source %q", g.Name, g.Reason, g.Source)
				}
			}
			c.open(s)
			if s.run(5 * time.Minute); len(s.admitted("ntp")) != 8 {
				d := s.look()
				t.Errorf("after it opened: %d admitted, closed %q", len(s.admitted("ntp")), closedGates(d, "ntp"))
			}
		})
	}
}

// edge puts a hand-made edge in place of the automatic one.
func (s *site) edge(change func(*Edge)) {
	e := Edge{Host: "p1", At: s.w.Now.Add(1000 * time.Hour), Ready: true, Generation: s.w.Document.Generation,
		Code: map[string]string{"production_a": "sha-a", "production_b": "sha-production_b"}}
	change(&e)
	s.w.Edges = []Edge{e}
}

func TestFailIsTakenBack(t *testing.T) {
	s := newSite(t, 16)
	s.run(3 * time.Minute)
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		v.Result, v.Reason = analyzer.Fail, "Exec[x] fails"
		return v
	}
	s.tree["freeze"], s.w.Sources.Reasons = "true", []string{"PuppetDB is gone"} // no gate keeps a back-out
	s.look()
	st := s.state("ntp")
	if st.Phase != BackedOut || st.Reason != "Exec[x] fails" || !s.w.Document.Rollouts[0].BackedOut {
		t.Fatalf("%s %q %+v", st.Phase, st.Reason, s.w.Document.Rollouts)
	}
	s.verdict, s.tree, s.w.Sources.Reasons = s.healthy, map[string]string{"freeze": "false"}, nil
	if s.run(48 * time.Hour); s.state("ntp").Phase != BackedOut {
		t.Error("it came back by itself")
	}
}

func TestPersonBacksOutInEveryPhase(t *testing.T) {
	for _, after := range []time.Duration{0, 3 * time.Minute, 20 * time.Minute, 32 * time.Minute} {
		s := newSite(t, 16)
		s.run(after)
		was := s.state("ntp").Phase
		s.tree["ntp/backout"] = "true alice: latency"
		s.w.Halt = "restored"
		if s.look(); s.state("ntp").Phase != BackedOut || !strings.Contains(s.state("ntp").Reason, "alice: latency") {
			t.Errorf("from %s: %s %q", was, s.state("ntp").Phase, s.state("ntp").Reason)
		}
	}
}

func TestEdgeThatIsBackedOutWins(t *testing.T) {
	s := newSite(t, 16)
	s.run(3 * time.Minute)
	s.edge(func(e *Edge) { e.BackedOut = []string{"ntp"} })
	if s.look(); s.state("ntp").Phase != BackedOut {
		t.Error("the store undid a stop that an edge remembers")
	}
}

func TestDeadlineBacksOut(t *testing.T) {
	s := newSite(t, 16)
	s.w.Rollouts[0].Spec.Schedule.Stages[0].Deadline.Then = schedule.ThenBackout
	s.w.Rollouts[0].Spec.Schedule.Stages[0].Bake.Runs = 1e6
	if s.run(25 * time.Hour); s.state("ntp").Phase != BackedOut || !strings.Contains(s.state("ntp").Reason, "not done after") {
		t.Errorf("%+v", s.state("ntp"))
	}
}

func TestRampKeepsInFlight(t *testing.T) {
	s := newSite(t, 200)
	stages := s.w.Rollouts[0].Spec.Schedule.Stages
	stages[1].Ramp.InFlight = schedule.Amount{Nodes: 7}
	s.run(11 * time.Minute)
	for len(s.admitted("ntp")) < 100 {
		before := len(s.admitted("ntp"))
		s.look()
		if n := len(s.admitted("ntp")); n-before > 7 {
			t.Fatalf("%d nodes in one step", n-before)
		}
		if s.w.Now = s.w.Now.Add(time.Minute); s.w.Now.After(t0.Add(5 * time.Hour)) {
			t.Fatalf("stuck at %d", len(s.admitted("ntp")))
		}
	}
}

func TestRampStopsAtAFailure(t *testing.T) {
	s := newSite(t, 200)
	s.w.Rollouts[0].Spec.Schedule.Stages[1].Ramp.InFlight = schedule.Amount{Nodes: 7}
	s.run(14 * time.Minute)
	before := len(s.admitted("ntp"))
	s.verdict = func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		v.Checks[1].Result = analyzer.Inconclusive
		return v
	}
	if s.run(time.Hour); len(s.admitted("ntp")) != before || before < 8 {
		t.Errorf("from %d to %d beside an open failure", before, len(s.admitted("ntp")))
	}
}

func TestHoldbackComesLast(t *testing.T) {
	s := newSite(t, 100)
	h := schedule.Percent(schedule.Hundred / 10)
	s.w.Rollouts[0].Spec.Schedule.Holdback = &h
	most := 0
	for range 70 {
		s.look()
		if st := s.state("ntp"); st.Phase == Running {
			most = max(most, len(s.admitted("ntp")))
		}
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	if most < 80 || most > 97 || s.state("ntp").Phase != Completed {
		t.Errorf("at most %d before settling, phase %s", most, s.state("ntp").Phase)
	}
}

func TestQueueTrainReplace(t *testing.T) {
	for supersede, want := range map[string]string{
		schedule.SupersedeQueue:   "completed completed completed",
		schedule.SupersedeTrain:   "completed superseded completed",
		schedule.SupersedeReplace: "backed_out backed_out completed",
	} {
		s := newSite(t, 16)
		s.run(3 * time.Minute)
		for i, name := range []string{"b", "c"} {
			s.start(name, "production_"+name+"2")
			s.w.Rollouts[i+1].Spec.Schedule.Supersede = supersede
			s.w.Rollouts[0].Spec.Schedule.Supersede = supersede
			if supersede == schedule.SupersedeReplace {
				s.run(5 * time.Minute)
			}
		}
		s.run(5 * time.Hour)
		var got []string
		for _, r := range s.w.Rollouts {
			got = append(got, r.State.Phase.String())
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", supersede, got, want)
		}
	}
}

// Invariants 2 and 4 against any flags, verdicts, sources and edges: a threshold grows only with every gate open, a
// stage is left only on a pass, and a backed-out change stays back.
func TestDecideKeepsItsInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSite(t, 40)
		s.verdict = func(r *Rollout) analyzer.Verdict {
			v := s.healthy(r)
			switch rapid.IntRange(0, 9).Draw(rt, "verdict") {
			case 0:
				v.Result = analyzer.Inconclusive
			case 1:
				v.Result, v.Reason = analyzer.Fail, "bad"
			case 2:
				v = analyzer.Verdict{}
			}
			return v
		}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			s.w.Now = s.w.Now.Add(time.Duration(rapid.IntRange(0, 15).Draw(rt, "minutes")) * time.Minute)
			if rapid.IntRange(0, 5).Draw(rt, "flag?") == 0 {
				s.tree[rapid.SampledFrom([]string{"freeze", "ntp/pause", "ntp/delay"}).Draw(rt, "key")] = rapid.SampledFrom([]string{"true", "false", "x", "1h"}).Draw(rt, "value")
			}
			s.w.Sources.Reasons = nil
			if rapid.IntRange(0, 5).Draw(rt, "stale?") == 0 {
				s.w.Sources.Reasons = []string{"stale"}
			}
			before, was := len(s.admitted("ntp")), s.state("ntp")
			d := s.look()
			after, now := len(s.admitted("ntp")), s.state("ntp")
			if after > before {
				if shut := closedGates(d, "ntp"); shut != "" {
					rt.Fatalf("%d more admitted with %s closed", after-before, shut)
				}
				if s.w.Stops.Paused("ntp") || !s.w.Sources.Fresh {
					rt.Fatal("admitted although paused, frozen or blind")
				}
			}
			if len(now.Stages) > len(was.Stages) && len(was.Stages) > 0 && (now.Verdict == nil || now.Verdict.Result != analyzer.Pass) {
				rt.Fatal("a stage was left without a pass")
			}
			if was.Phase == BackedOut && now.Phase != BackedOut {
				rt.Fatal("a backed-out change came back")
			}
		}
	})
}

func TestSpecValidate(t *testing.T) {
	good := newSite(t, 4).w.Rollouts[0].Spec
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, breakIt := range map[string]func(*Spec){
		"name:":                func(s *Spec) { s.Name = "NTP" },
		"exactly one":          func(s *Spec) { s.Parameters = map[string]any{"a": 1} },
		"environment: \"a-b\"": func(s *Spec) { s.Candidate = "a-b" },
		"is the baseline":      func(s *Spec) { s.Candidate = s.Baseline },
		"is the track itself":  func(s *Spec) { s.Candidate = "production" },
		"reason:":              func(s *Spec) { s.Reason = "" },
		"no stages":            func(s *Spec) { s.Schedule.Stages = nil },
		"is not a segment":     func(s *Spec) { s.Segments = nil },
		"is not a window":      func(s *Spec) { s.Schedule.Stages[0].Windows = []string{"w"} },
		"must admit everyone":  func(s *Spec) { s.Schedule.Stages = s.Schedule.Stages[:2] },
		"policy: coverage":     func(s *Spec) { s.Policy.Coverage = 0 },
	} {
		spec := good
		spec.Schedule.Stages = slices.Clone(good.Schedule.Stages)
		breakIt(&spec)
		if err := spec.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
