package daemon

import (
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// course is how far the nodes of one rollout have come. It is kept current with every report, so that a look has nothing
// to gather.
type course struct {
	roster     *roster
	salt, name string // of the rollout, and its candidate's
	candidate  uint16
	parameters bool
	given      map[string]any // by a parameters rollout
	lookback   time.Duration
	silence    analyzer.SilencePolicy
	started    time.Time // of the stage: the reference of controls
	stage      int
	admissions int // how many of the state's are taken over

	strata   map[string]string  // of this stage, by analyzer.StratumKey
	peers    segments.Threshold // how far earlier stages went in the nodes that are compared, see level
	at       []int32            // by number in the ledger: place in nodes, -1 for others
	ids      []uint32           // beside nodes: their numbers in the ledger
	nodes    []analyzer.Node
	sums     []analyzer.Summary // beside nodes
	progress []analyzer.Progress
	caps     string          // capsKey of the state's that are taken over
	chosen   []analyzer.Node // nodes without those that a cap keeps; nil where there is no cap
	seat     []int32         // beside nodes: place in chosen, -1 for others
	judge    judging
	cut      []bool               // a run after the reference has come: the habit stands
	measured map[uint32]*measured // by number in the ledger, of nodes that were drawn for it
}

// reference is when a node's past ends.
func (c *course) reference(i int32) time.Time {
	if n := &c.nodes[i]; n.Admitted() {
		return n.AdmittedAt.Time()
	}
	return c.started
}

func (c *course) place(id uint32) int32 {
	if int(id) >= len(c.at) {
		return -1
	}
	return c.at[id]
}

// before is told of a run that is about to be noted: the habit is what there was until the first run after the reference.
func (c *course) before(l *ledger, id uint32, run *analyzer.Run) {
	i := c.place(id)
	if i < 0 {
		return
	}
	if ref := c.reference(i); !c.cut[i] && !run.Began().Before(ref) {
		c.habit(l, id, i)
		c.cut[i] = true
		c.touch(i)
	}
}

// odd notes what is out of the ordinary; most nodes have nothing, and no room for it.
func (c *course) odd(l *ledger, id uint32, i int32) {
	var o analyzer.Odd
	if have := c.sums[i].Odd; have != nil {
		o = *have
	}
	before := o
	usual, patience := c.silence.Patience(c.sums[i].Habit)
	l.recent[id].Odd(usual, patience, c.started, c.progress[i].First(), &o)
	switch {
	case o == (analyzer.Odd{}):
		c.sums[i].Odd = nil
	case o != before:
		c.sums[i].Odd = &o // a new one: evidence that was taken has the old
	}
}

// after is told of it when it is noted.
func (c *course) after(l *ledger, id uint32, run *analyzer.Run, env uint16, now time.Time) {
	if m := c.measured[id]; m != nil && (m.due.IsZero() || run.Produced.Before(m.due)) {
		m.due = run.Produced // of a node that left, too: it may come back
	}
	i := c.place(id)
	if i < 0 {
		return
	}
	if !c.cut[i] {
		c.habit(l, id, i)
	} else if run.Began().Before(c.reference(i)) { // late: it counts as far as what was before is remembered
		before := c.sums[i].Habit
		if c.habit(l, id, i); c.sums[i].Reports < before.Reports {
			c.sums[i].Habit = before
		}
	}
	c.sums[i].Seen = l.seen[id]
	if n := &c.nodes[i]; n.Admitted() {
		c.progress[i].Add(run, env, n.AdmittedAt.Time(), now, c.candidate, c.parameters)
		c.count(i)
	}
	c.odd(l, id, i)
	c.slower(l, id, i)
	c.touch(i)
}

// count says how many runs of the change a node had; without proof that it was given the change it had none.
func (c *course) count(i int32) {
	if c.sums[i].Runs = c.progress[i].Runs(); c.nodes[i].Unproven {
		c.sums[i].Runs = 0
	}
}

func (c *course) slower(l *ledger, id uint32, i int32) {
	c.sums[i].Slower = l.recent[id].Slower(c.sums[i].Habit, c.reference(i), c.nodes[i].Admitted(), c.candidate, c.parameters)
}

func (c *course) habit(l *ledger, id uint32, i int32) {
	n, typical := &c.nodes[i], c.sums[i].Typical
	c.sums[i].Habit = l.recent[id].Habit(c.reference(i), c.lookback, n.Admitted())
	if n.Stage < 0 || int(n.Stage) >= c.stage { // those of earlier stages are compared no more
		c.sums[i].Typical = l.recent[id].Typical(c.started, c.lookback, typical)
	}
}

// follow brings a rollout's course up to its state, and returns it. It costs something only when nodes came or went, a
// stage began or a threshold rose. The caller holds mu.
func (l *ledger) follow(spec *gate.Spec, state *gate.State, r *roster, lookback time.Duration, member func(set, print string) bool) *course {
	c := l.courses[spec.Name]
	fresh := func(int) bool { return false }
	listed := c == nil || c.roster != r
	if listed {
		old := c
		if old == nil {
			old = l.takeSaved(spec, state)
		}
		c = l.enlist(spec, r, lookback)
		fresh = c.inherit(old)
		l.courses[spec.Name] = c
	}
	stage := judged(state)
	started := state.Stages[stage].Since
	caps := capsKey(state.Caps)
	if c.admissions == len(state.Admissions) && c.started.Equal(started) && c.stage == stage && c.caps == caps {
		return c
	}
	anew := c.caps != caps || c.admissions > len(state.Admissions)
	controls := !c.started.Equal(started)
	if !anew && !controls && c.stage == stage && c.admissions >= 0 {
		l.rise(c, state, stage, member)
		return c
	}
	c.stage, c.started = stage, started
	c.silence = spec.PolicyOf(stage).Silence
	now := l.now()
	for k, place := range r.order {
		i := int(place)
		n := &c.nodes[i]
		at, by := time.Time{}, -1
		if n.Stage < 0 || anew {
			at, by = state.AdmittedAt(r.positions[k].String(), func(set string) bool { return member(set, segments.Fingerprint(n.Certname)) })
		} else {
			at, by = n.AdmittedAt.Time(), int(n.Stage)
		}
		by = min(by, stage)
		id := c.ids[i]
		if int(n.Stage) != by {
			n.Stage = int32(by)
			c.touch(int32(i))
		}
		if controls {
			c.sums[i].Typical = 0 // the past ends with the start of this stage now
		}
		switch {
		case analyzer.MomentOf(at) != n.AdmittedAt:
			c.admit(l, i, at, now)
		case at.IsZero() && (controls || fresh(i)):
			c.cut[i] = false
			c.habit(l, id, int32(i))
		}
		if controls || fresh(i) {
			c.sums[i].Odd = nil
			c.odd(l, id, int32(i))
			c.slower(l, id, int32(i))
		}
	}
	if controls || listed {
		c.level(state, stage, member, controls, fresh)
	}
	switch attributes := spec.PolicyOf(stage).Strata; {
	case controls:
		c.stratify(attributes)
	case listed:
		c.stratifyNew(attributes, fresh)
	}
	switch {
	case controls || c.measured == nil:
		c.draw(l, spec.PolicyOf(stage).MeasuredPast())
	case listed:
		c.showMeasured()
	}
	c.admissions, c.caps = len(state.Admissions), caps
	c.unchosen(state, r, member)
	return c
}

// admit notes when a node was admitted, the zero time if it is not any more.
func (c *course) admit(l *ledger, i int, at, now time.Time) {
	id := c.ids[i]
	c.nodes[i].AdmittedAt, c.cut[i] = analyzer.MomentOf(at), false
	c.progress[i] = analyzer.Progress{}
	if !at.IsZero() {
		c.progress[i] = l.recent[id].Since(at, now, c.candidate, c.parameters)
	}
	c.nodes[i].Unproven = l.proof && c.parameters && !at.IsZero()
	c.count(int32(i))
	c.habit(l, id, int32(i))
	c.slower(l, id, int32(i))
	c.measure(int32(i))
	c.touch(int32(i))
}

// rise follows thresholds that rose within a stage: it looks at the nodes that they passed, and at no other.
func (l *ledger) rise(c *course, state *gate.State, stage int, member func(set, print string) bool) {
	now, r := l.now(), c.roster
	for ; c.admissions < len(state.Admissions); c.admissions++ {
		a := &state.Admissions[c.admissions]
		from := segments.None
		for _, b := range state.Admissions[:c.admissions] {
			if b.Set == "" || b.Set == a.Set {
				from = segments.Higher(from, b.Threshold)
			}
		}
		for k := r.below(from); k < r.below(a.Threshold); k++ {
			i := int(r.order[k])
			n := &c.nodes[i]
			if n.Stage >= 0 {
				continue
			}
			at, by := state.AdmittedAt(r.positions[k].String(), func(set string) bool { return member(set, segments.Fingerprint(n.Certname)) })
			if !at.IsZero() {
				n.Stage = int32(min(by, stage))
				c.admit(l, i, at, now)
			}
		}
	}
	c.unchosen(state, r, member)
}

// stratify divides the nodes into strata for a stage that begins. It counts all that were controls then, and not those that
// still are: a leader that comes in the middle of the stage must make the same strata.
func (c *course) stratify(attributes []string) {
	keys := make([]string, len(c.nodes))
	eligible := map[string]int{}
	for i := range c.nodes {
		keys[i] = c.stratumKey(i, attributes)
		eligible[keys[i]] += 0
		if n := &c.nodes[i]; !n.Outside && (n.Stage < 0 || int(n.Stage) == c.stage) {
			eligible[keys[i]]++
		}
	}
	c.strata = analyzer.MergeStrata(eligible, len(attributes), analyzer.LeastInStratum)
	for i := range c.nodes {
		c.nodes[i].Stratum = c.strata[keys[i]]
	}
}

// stratifyNew puts nodes that joined in the middle of a stage beside their like. Those that are like none have a stratum of
// their own, where nothing is compared.
func (c *course) stratifyNew(attributes []string, fresh func(i int) bool) {
	for i := range c.nodes {
		if !fresh(i) {
			continue
		}
		key := c.stratumKey(i, attributes)
		if _, known := c.strata[key]; !known {
			if c.strata == nil {
				c.strata = map[string]string{}
			}
			c.strata[key] = analyzer.MergeStrata(map[string]int{key: 1}, len(attributes), 1)[key]
		}
		c.nodes[i].Stratum = c.strata[key]
	}
}

func (c *course) stratumKey(i int, attributes []string) string {
	of := c.roster.nodes[i].attributes()
	values := make([]string, len(attributes))
	for k, name := range attributes {
		values[k] = of(name)
	}
	return analyzer.StratumKey(values)
}

// judged is the index of the stage that is judged: one that added nobody proves nothing.
func judged(state *gate.State) int {
	i := state.Current()
	for i > 0 && state.Stages[i].Skipped {
		i--
	}
	return i
}

// enlist makes a course of nobody admitted.
func (l *ledger) enlist(spec *gate.Spec, r *roster, lookback time.Duration) *course {
	c := &course{roster: r, salt: spec.Salt, name: spec.Candidate, candidate: l.candidate(spec.Candidate), parameters: spec.Kind() == analyzer.KindParameters, given: spec.Parameters, lookback: lookback, stage: -1, admissions: -1,
		nodes: make([]analyzer.Node, len(r.nodes)), sums: make([]analyzer.Summary, len(r.nodes)), progress: make([]analyzer.Progress, len(r.nodes)), cut: make([]bool, len(r.nodes))}
	l.room(len(r.nodes) - len(l.recent))
	c.ids = make([]uint32, len(r.nodes))
	for i, n := range r.nodes {
		c.ids[i] = l.id(n.certname)
	}
	c.at = make([]int32, len(l.names.list))
	for i := range c.at {
		c.at[i] = -1
	}
	for i := range c.nodes {
		id := c.ids[i]
		c.at[id] = int32(i)
		c.sums[i].Seen = l.seen[id]
		c.nodes[i] = analyzer.Node{Certname: l.names.list[id], Stage: -1, Summary: &c.sums[i]}
	}
	return c
}

// inherit takes over what is known of nodes that were in the rollout before some came or went: their past may not be
// remembered any more. It returns who was not.
func (c *course) inherit(old *course) (fresh func(i int) bool) {
	if old == nil {
		return func(int) bool { return true }
	}
	known := make([]bool, len(c.nodes))
	for id, i := range c.at {
		k := old.place(uint32(id))
		if i < 0 || k < 0 {
			continue
		}
		known[i] = true
		c.sums[i], c.progress[i], c.cut[i] = old.sums[k], old.progress[k], old.cut[k]
		n, was := &c.nodes[i], &old.nodes[k]
		n.AdmittedAt, n.Stage, n.Stratum, n.Outside, n.Unproven = was.AdmittedAt, was.Stage, was.Stratum, was.Outside, was.Unproven
	}
	c.started, c.stage, c.strata, c.peers, c.measured = old.started, old.stage, old.strata, old.peers, old.measured
	return func(i int) bool { return !known[i] }
}

// drop forgets rollouts that are not under way any more. The caller holds mu.
func (l *ledger) drop(active func(name string) bool) {
	for name := range l.saved {
		if !active(name) {
			delete(l.saved, name)
		}
	}
	for name := range l.courses {
		if !active(name) {
			delete(l.courses, name)
		}
	}
}
