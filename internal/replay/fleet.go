package replay

import (
	"cmp"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// fleet is what is known of every node by now: of each its last runs in a few bytes and how far it has come, of those with
// trouble the runs themselves.
type fleet struct {
	h       *History
	o       Options
	started time.Time // the first admission: where the past of controls ends
	envs    map[string]uint16

	nodes    []analyzer.Node // by certname
	sums     []analyzer.Summary
	progress []analyzer.Progress
	recent   []analyzer.Recent
	cut      []bool  // a run after the reference has come: the habit stands
	place    []int32 // by number in the history: place in nodes, -1 for others
	waiting  []admission

	measures []*analyzer.Measures // beside nodes; nil where metrics are missing
	measured []analyzer.Measured

	trouble map[int32][]analyzer.Run // by number in the history
	runs    []analyzer.Run           // of trouble, as evidence has them
	stale   bool
}

// admission is of one canary.
type admission struct {
	at    time.Time
	place int32
}

// firstEnv is the number of the candidate; 0 is no environment's.
const firstEnv = 1

func newFleet(h *History, a *Assignments, strata []string, o Options) *fleet {
	n := len(a.Nodes)
	f := &fleet{h: h, o: o, envs: map[string]uint16{o.Candidate: firstEnv}, nodes: make([]analyzer.Node, n), sums: make([]analyzer.Summary, n),
		progress: make([]analyzer.Progress, n), recent: make([]analyzer.Recent, n), cut: make([]bool, n), trouble: map[int32][]analyzer.Run{}}
	f.measures, f.measured = make([]*analyzer.Measures, n), make([]analyzer.Measured, n)
	f.place = make([]int32, len(h.Names))
	for i := range f.place {
		f.place[i] = -1
	}
	for i, node := range a.Nodes {
		f.nodes[i] = analyzer.Node{Certname: node.Certname, Stage: -1, Stratum: strata[i], Summary: &f.sums[i]}
		if id, ok := h.ids[node.Certname]; ok {
			f.place[id] = int32(i)
		}
		if !node.AdmittedAt.IsZero() {
			f.waiting = append(f.waiting, admission{node.AdmittedAt, int32(i)})
		}
	}
	slices.SortFunc(f.waiting, func(a, b admission) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.place, b.place)) })
	f.started = f.waiting[0].at
	for id, i := range f.place {
		if i >= 0 && !h.unmeasured[int32(id)] {
			f.measures[i] = analyzer.NewMeasures(f.started, o.Policy.MeasuredPast())
			f.nodes[i].Measured = &f.measured[i]
		}
	}
	return f
}

func (f *fleet) parameters() bool { return f.o.Candidate == "" }

func (f *fleet) reference(i int32) time.Time {
	if n := &f.nodes[i]; n.Admitted() {
		return n.AdmittedAt.Time()
	}
	return f.started
}

func (f *fleet) env(name string) uint16 {
	n, ok := f.envs[name]
	if !ok {
		n = uint16(min(firstEnv+len(f.envs), 1<<16-1))
		f.envs[name] = n
	}
	return n
}

// admit lets in the canaries whose time has come.
func (f *fleet) admit(now time.Time) (any bool) {
	for len(f.waiting) > 0 && !f.waiting[0].at.After(now) {
		a := f.waiting[0]
		f.waiting, any = f.waiting[1:], true
		i := a.place
		f.nodes[i].AdmittedAt, f.nodes[i].Stage, f.cut[i] = analyzer.MomentOf(a.at), 0, false
		f.progress[i] = f.recent[i].Since(a.at, now, firstEnv, f.parameters())
		f.sums[i].Runs = f.progress[i].Runs()
		f.habit(i)
		f.slower(i)
		f.measure(i)
	}
	return any
}

// take notes one report.
func (f *fleet) take(r *run, now time.Time) {
	i := f.place[r.node]
	if r.troubled || f.trouble[r.node] != nil {
		f.keep(r)
	}
	if i < 0 {
		return
	}
	env := f.env(r.Environment)
	ref := f.reference(i)
	late := f.cut[i] && r.Began().Before(ref)
	if !f.cut[i] && !r.Began().Before(ref) {
		f.habit(i)
		f.cut[i] = true
	}
	if !f.recent[i].Add(&r.Run, env) && !r.troubled {
		return // older than all that is remembered
	}
	sum := &f.sums[i]
	sum.Seen = max(sum.Seen, r.Alive(now))
	if before := sum.Habit; !f.cut[i] {
		f.habit(i)
	} else if late { // it counts as far as what was before is remembered
		if f.habit(i); sum.Reports < before.Reports {
			sum.Habit = before
		}
	}
	if n := &f.nodes[i]; n.Admitted() {
		f.progress[i].Add(&r.Run, env, n.AdmittedAt.Time(), now, firstEnv, f.parameters())
		sum.Runs = f.progress[i].Runs()
	}
	f.odd(i)
	f.slower(i)
	if r.metrics.known && f.measures[i] != nil {
		f.measures[i].Note(&r.Run, env, r.metrics.retrieval, r.metrics.corrective, true)
		f.measure(i)
	}
}

// measure sums up what was measured of a node.
func (f *fleet) measure(i int32) {
	if m := f.measures[i]; m != nil {
		f.measured[i] = m.Measured(f.reference(i), f.nodes[i].Admitted(), firstEnv, f.parameters())
	}
}

func (f *fleet) habit(i int32) {
	typical, lookback := f.sums[i].Typical, time.Duration(f.o.Policy.Silence.Lookback)
	f.sums[i].Habit = f.recent[i].Habit(f.reference(i), lookback, f.nodes[i].Admitted())
	f.sums[i].Typical = f.recent[i].Typical(f.started, lookback, typical)
}

func (f *fleet) slower(i int32) {
	f.sums[i].Slower = f.recent[i].Slower(f.sums[i].Habit, f.reference(i), f.nodes[i].Admitted(), firstEnv, f.parameters())
}

// odd notes what is out of the ordinary; most nodes have nothing, and no room for it.
func (f *fleet) odd(i int32) {
	var o analyzer.Odd
	if have := f.sums[i].Odd; have != nil {
		o = *have
	}
	usual, patience := f.o.Policy.Silence.Patience(f.sums[i].Habit)
	f.recent[i].Odd(usual, patience, f.started, f.progress[i].First(), &o)
	switch {
	case o == (analyzer.Odd{}):
		f.sums[i].Odd = nil
	case f.sums[i].Odd == nil:
		f.sums[i].Odd = &o
	default:
		*f.sums[i].Odd = o
	}
}

// keep holds on to a run of a node with trouble, in the order of production.
func (f *fleet) keep(r *run) {
	kept := f.trouble[r.node]
	at, known := slices.BinarySearchFunc(kept, r, func(a analyzer.Run, b *run) int {
		return cmp.Or(a.Produced.Compare(b.Produced), cmp.Compare(a.Hash, b.Hash))
	})
	if !known {
		f.trouble[r.node], f.stale = slices.Insert(kept, at, r.Run), true
	}
}

// evidence is what the judge sees now.
func (f *fleet) evidence(now time.Time) analyzer.Evidence {
	if f.stale {
		f.runs, f.stale = f.runs[:0], false
		for _, runs := range f.trouble {
			f.runs = append(f.runs, runs...)
		}
	}
	e := analyzer.Evidence{
		Rollout: f.o.Name, Stage: "replay", Kind: analyzer.KindEnvironment, Candidate: f.o.Candidate, Baseline: f.o.Baseline,
		Ask: 1, Asks: 1, StageStarted: f.started, Bake: f.o.Bake, Planned: f.o.planned, Nodes: f.nodes, Runs: f.runs, Now: now,
		Sources: analyzer.Sources{Fresh: true, Through: now.Add(-f.o.Lag), Lag: f.o.Lag},
	}
	if f.parameters() {
		e.Kind = analyzer.KindParameters
	}
	return e
}
