package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// leader looks at everything, again and again, and carries out what gate.Decide says, for as long as it holds the lease.
type leader struct {
	store     store.Store
	lease     store.Lease
	site      *site
	collector *collector
	sets      *sets
	log       zerolog.Logger
	now       func() time.Time
	metrics   *metrics

	published    func()            // is told of every document written
	lastDocument segments.Document // the last one seen whole
	statuses     map[string]tree.Status
	rosters      map[string]*roster
	tracks       map[string]*trackCache
	resolutions  map[string]*resolution
	lists        map[string]listed // by query
	keepers      map[string]*keeper
	edges        map[string]heard
	audited      map[string]bool // hashes of the entries in the local file
	conflicts    int             // looks in a row that somebody else's write came between
	freezes      freezes
	lastError    string
	told         bool // the store has lastError
	unfolded     bool // it was said that directories cannot be made
}

func newLeader(s store.Store, lease store.Lease, site *site, c *collector, m *metrics, log zerolog.Logger, now func() time.Time) *leader {
	return &leader{store: s, lease: lease, site: site, collector: c, sets: &sets{store: s, have: map[string]segments.Set{}},
		log: log, now: now, metrics: m, published: func() {}, statuses: map[string]tree.Status{}, rosters: map[string]*roster{}, tracks: map[string]*trackCache{},
		resolutions: map[string]*resolution{}, lists: map[string]listed{}, keepers: map[string]*keeper{}, edges: map[string]heard{}}
}

// mostConflicts is how often in a row a look is taken again at once because of another one's write.
const mostConflicts = 5

// run looks until ctx ends or the lease is lost.
func (l *leader) run(ctx context.Context, wake <-chan struct{}) {
	interval := time.Duration(l.site.cfg.Controller.Interval)
	for {
		start := l.now()
		again, err := l.look(ctx)
		l.metrics.look(l.now().Sub(start), err)
		l.complain(ctx, err)
		wait := interval
		if again {
			wait = 0
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.lease.Lost():
			timer.Stop()
			return
		case <-wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// complain logs an error once, and its end, and tells people who ask the store.
func (l *leader) complain(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text != "" && text != l.lastError:
		l.log.Error().Err(err).Msg("nothing goes forward")
	case text == "" && l.lastError != "":
		l.log.Info().Msg("looking again")
	}
	if text != l.lastError || !l.told { // the first time, too: another leader may have left its own
		t := tree.Trouble{}
		if text != "" {
			t = tree.Trouble{Since: l.now().UTC(), Leader: l.lease.Who(), Error: text}
		}
		if data, err := json.Marshal(t); err == nil {
			l.told = l.store.Txn(ctx, l.lease.Check(), store.Set(tree.TroubleKey, data)) == nil // or it is the store that is in trouble
		}
	}
	l.lastError = text
}

// look takes one look at everything and one step. again says that the world is known to have changed by it.
func (l *leader) look(ctx context.Context) (again bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	snap, err := tree.Read(ctx, l.store)
	if err != nil {
		return false, err
	}
	l.collector.remember(oldest(snap))
	c := &change{leader: l, snap: snap, now: l.now().UTC()}
	if err := c.repairable(); err != nil {
		return false, err
	}
	c.stops()
	c.takeRequests()
	l.askAhead(ctx, c)
	world, fleets, d, err := l.weigh(ctx, c)
	if err != nil {
		return false, err
	}
	if err := c.apply(ctx, d, fleets); err != nil {
		var conflict *store.ConflictError
		if l.conflicts++; errors.As(err, &conflict) && conflict.Key != tree.LeaderKey && l.conflicts <= mostConflicts {
			return true, nil // somebody wrote in between: look again
		}
		return false, err // without the lease, or against a key that never gives way, there is no sense in that
	}
	l.conflicts = 0
	l.folders(snap)
	l.publishStatus(ctx, c, d, world)
	l.notify(ctx, snap)
	l.metrics.world(world, d, c.snap.Document)
	return len(d.States) > 0, nil
}

// weigh gathers the world and decides. No report is taken over meanwhile: what is judged is what is written down.
func (l *leader) weigh(ctx context.Context, c *change) (gate.World, map[string]*tracked, gate.Decision, error) {
	ledger := l.collector.ledger
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	world, fleets, err := l.world(ctx, c)
	if err != nil {
		return world, nil, gate.Decision{}, err
	}
	ledger.drop(func(name string) bool {
		r := c.snap.Rollout(name)
		return r != nil && r.State.Phase.Active()
	})
	maps.DeleteFunc(l.rosters, func(name string, _ *roster) bool {
		r := c.snap.Rollout(name)
		return r == nil || r.State.Phase.Ended()
	})
	maps.DeleteFunc(l.keepers, func(key string, k *keeper) bool {
		name, _, _ := strings.Cut(key, "/")
		return l.rosters[name] != k.roster
	})
	maps.DeleteFunc(l.resolutions, func(_ string, k *resolution) bool { return l.rosters[k.rollout] != k.roster })
	if l.collector.nodes() != nil {
		l.collector.once.Do(func() { close(l.collector.enlisted) })
	}
	d, err := c.decide(ctx, &world)
	return world, fleets, d, err
}

// world gathers what gate.Decide needs.
func (l *leader) world(ctx context.Context, c *change) (gate.World, map[string]*tracked, error) {
	snap := c.snap
	w := gate.World{
		Now: c.now, Document: snap.Document, Flags: c.reading, Stops: c.latched, Holds: snap.Holds, Sets: map[string]int{},
		Sources: l.collector.sources(c.now), Halt: c.halt, Freezes: l.freezes.read(l.site.cfg.Freezes, c.now),
		EdgeRule: gate.EdgeRule{Live: time.Duration(l.site.cfg.Edges.Live), MaxAge: time.Duration(l.site.cfg.Edges.MaxAge), AllowUnpinned: l.site.cfg.Edges.AllowUnpinned},
	}
	w.Pins, _ = c.standingPins()
	w.Blast = blastRule(l.site.cfg)
	for _, v := range snap.Vetoes {
		if v.Err == "" {
			w.Vetoes = append(w.Vetoes, v)
		}
	}
	for _, e := range snap.Edges {
		w.Edges = append(w.Edges, gate.Edge{Host: e.Host, At: l.heard(e.Host, e.At, c.now), Ready: e.Ready, Generation: e.Generation, Refused: e.Refused, Local: e.Local, Code: e.Code, BackedOut: e.BackedOut})
	}
	inv := l.collector.nodes()
	if lacking := l.collector.ask(slices.Concat(attributesOf(selectorsOf(snap)), strataOf(snap), attributesNamed(w.Blast.By))); len(lacking) > 0 {
		inv = nil
		w.Sources.Fresh = false
		w.Sources.Reasons = append(w.Sources.Reasons, "PuppetDB inventory: "+strings.Join(lacking, ", ")+" not read yet")
	}
	tracks := map[string]*tracked{}
	for i := range snap.Tracks {
		t, err := l.track(ctx, c, &snap.Tracks[i], inv)
		if err != nil {
			return w, nil, err
		}
		tracks[t.Name] = t
		w.Tracks = append(w.Tracks, t.segment())
		if t.Members != "" {
			w.Sets[t.Members] = t.Count
		}
	}
	for i := range snap.Rollouts {
		r, err := l.rollout(ctx, c, &snap.Rollouts[i], tracks, &w, inv)
		if err != nil {
			return w, nil, err
		}
		w.Rollouts = append(w.Rollouts, r)
	}
	w.Domains = domainSizes(w.Blast, tracks)
	l.unproven(&w, c.now)
	// The judge needs PuppetDB, Prometheus and time; the world is dated when it is complete.
	w.Now = l.now().UTC()
	c.now = w.Now
	return w, tracks, nil
}

// selectorsOf lists the selectors of rollouts that have not ended and of holds.
func selectorsOf(snap *tree.Snapshot) (out []string) {
	for i := range snap.Rollouts {
		if r := &snap.Rollouts[i]; !r.State.Phase.Ended() {
			for _, s := range r.Spec.Segments {
				out = append(out, s.Selector)
			}
		}
	}
	for _, h := range snap.Holds {
		out = append(out, h.Selector)
	}
	for _, v := range snap.Vetoes {
		out = append(out, v.Selector)
	}
	return out
}

// strataOf lists the facts by which nodes of rollouts that have not ended are told apart.
func strataOf(snap *tree.Snapshot) (out []string) {
	for i := range snap.Rollouts {
		r := &snap.Rollouts[i]
		if r.State.Phase.Ended() {
			continue
		}
		for k := range r.Spec.Schedule.Stages {
			out = append(out, slices.DeleteFunc(slices.Clone(r.Spec.PolicyOf(k).Strata), func(name string) bool { return !fromPuppetDB(name) })...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// heard is when an edge last said something new, by this leader's clock: an edge's own may be wrong, and one that is behind
// must not drop out of what is asked. A new leader takes every report for fresh until it has waited in vain for the next.
func (l *leader) heard(host string, said, now time.Time) time.Time {
	h, known := l.edges[host]
	if !known || !h.said.Equal(said) {
		h = heard{said: said, at: now}
		l.edges[host] = h
	}
	return h.at
}

type heard struct{ said, at time.Time }

// tracked is a track with its nodes.
type tracked struct {
	tree.Track
	nodes   []*node
	changed bool // its record in the store is out of date
}

func (t *tracked) segment() segments.Track {
	return segments.Track{Name: t.Name, Baseline: t.Baseline, Members: t.Members, Nodes: t.Nodes, Parameters: t.Parameters}
}

// track finds the nodes of a track, and grows the published set of those for which upstream names no environment.
func (l *leader) track(ctx context.Context, c *change, t *tree.Track, inv *inventory) (*tracked, error) {
	out := &tracked{Track: *t}
	if t.Members != "" {
		if _, err := l.sets.get(ctx, t.Members, t.Count); err != nil {
			return nil, err
		}
	}
	if inv == nil {
		return out, nil
	}
	hasENC := l.site.cfg.ENC != nil
	environments := environmentsOf(*t, c.snap.Rollouts)
	k := l.tracks[t.Name]
	if k != nil && (k.members != t.Members || c.halt != "" || !slices.Equal(k.environments, environments)) {
		k = nil
	}
	if k != nil && k.inv == inv && k.count == t.Nodes {
		out.nodes = k.nodes
		return out, nil
	}
	changed := k.changed(inv)
	if fresh := changed.newcomers(environments, hasENC, l.sets.member(t.Members)); len(fresh) > 0 && c.halt == "" {
		set := segments.Grow(l.sets.have[t.Members].Data, fresh)
		if err := l.putSet(ctx, set); err != nil {
			return nil, err
		}
		out.Members, out.Count, out.changed = set.Digest, set.Count, true
	}
	out.nodes = k.merge(inv, changed.track(t.Name, hasENC, l.sets.member(out.Members)))
	if out.Nodes != len(out.nodes) {
		out.Nodes, out.changed = len(out.nodes), true
	}
	if c.halt != "" { // newcomers are left out for now
		delete(l.tracks, t.Name)
		return out, nil
	}
	l.tracks[t.Name] = &trackCache{inv: inv, members: out.Members, count: out.Nodes, environments: environments, nodes: out.nodes}
	return out, nil
}

// rollout finds out about one rollout: who is in its stages, and what the judge says.
func (l *leader) rollout(ctx context.Context, c *change, r *tree.Rollout, tracks map[string]*tracked, w *gate.World, inv *inventory) (gate.Rollout, error) {
	out := gate.Rollout{Spec: r.Spec, State: r.State, Orders: c.orders[r.Spec.Name]}
	if r.State.Phase.Ended() {
		l.recall(ctx, r)
		return out, nil
	}
	t := tracks[r.Spec.Track]
	if t == nil {
		return out, fmt.Errorf("rollout %s is on track %s, which is not in the store", r.Spec.Name, r.Spec.Track)
	}
	for _, s := range r.State.Stages {
		if s.Set != "" {
			set, err := l.sets.get(ctx, s.Set, s.Count)
			if err != nil {
				return out, err
			}
			w.Sets[s.Set] = set.Count
		}
	}
	for _, ref := range r.State.Snapshots {
		if _, err := l.sets.get(ctx, ref.Digest, ref.Count); err != nil {
			return out, err
		}
	}
	if err := l.capSets(ctx, r.State.Caps, w); err != nil {
		return out, err
	}
	if inv == nil {
		const unread = "the inventory has not been read yet"
		out.Current.Err, out.Next.Err, out.Back.Err = unread, unread, unread
		return out, nil
	}
	member := func(set, print string) bool { return l.sets.member(set)(print) }
	f := l.roster(r.Spec.Name, r.Spec.Salt, t, inv)
	if err := l.caps(ctx, c, r, f, member, &out); err != nil {
		return out, err
	}
	if err := l.capSets(ctx, out.Caps, w); err != nil {
		return out, err
	}
	// From here on the rollout is looked at as it will be with these caps.
	capped := *r
	capped.State.Caps = out.Caps
	r = &capped
	out.Back = f.back(&r.State, member)
	i := r.State.Current()
	if i >= 0 {
		out.Current = f.in(r.State.Stages[i].Set, &r.State, i, member)
	}
	if i+1 < len(r.Spec.Schedule.Stages) {
		out.Next = l.next(ctx, r, f, member, w)
	}
	if i < 0 {
		var err error
		if out.Snapshots, err = l.snapshots(ctx, r, f); err != nil {
			out.Next.Err = err.Error()
		}
	}
	f.domains(w.Blast, &out)
	if r.State.Phase.Active() {
		course := l.collector.ledger.follow(&r.Spec, &r.State, f, l.collector.lookBack(), member)
		e := l.evidence(r, c.snap.Rollouts, course, t.Baseline, c.now)
		if stage := r.State.Stages[i]; e.StageIndex == i {
			e.Planned = out.Current.Fresh(stage.Target)
		}
		policy := r.Spec.PolicyOf(i)
		slis(c.samples[r.Spec.Name], policy, &e)
		out.Verdict = analyzer.Look(policy, e)
		out.Verdict.Evidence = unwritten
		c.evidence[r.Spec.Name] = e
	}
	return out, nil
}

// recall reads the sets of a backed-out rollout, by which its nodes' failures are told from others. A set that cannot be
// read is taken to hold everybody.
func (l *leader) recall(ctx context.Context, r *tree.Rollout) {
	for _, s := range r.State.Stages {
		if s.Set != "" && r.State.Phase == gate.BackedOut {
			_, _ = l.sets.get(ctx, s.Set, s.Count)
		}
	}
}

// next resolves the segment of the next stage, and publishes it as a set so that the stage can begin at once.
func (l *leader) next(ctx context.Context, r *tree.Rollout, f *roster, member func(set, print string) bool, w *gate.World) gate.Population {
	i := r.State.Current() + 1
	name := r.Spec.Schedule.Stages[i].Segment
	if name == "" {
		return f.in("", &r.State, i, member)
	}
	ref, taken := r.State.Snapshots[name]
	if !taken {
		set, err := l.publishSegment(ctx, r, f, name)
		if err != nil {
			return gate.Population{Err: err.Error()}
		}
		ref = gate.SetRef{Digest: set.Digest, Count: set.Count}
	}
	w.Sets[ref.Digest] = ref.Count
	p := f.in(ref.Digest, &r.State, i, member)
	p.Count = ref.Count
	return p
}

// putSet writes a set before anything refers to it; it is named by its content, so writing it twice is harmless.
func (l *leader) putSet(ctx context.Context, set segments.Set) error {
	if _, ok := l.sets.have[set.Digest]; ok {
		return nil
	}
	for n, shard := range set.Shards() {
		if err := l.store.Txn(ctx, l.lease.Check(), store.Set(edge.SetKey(set.Digest, n), shard)); err != nil {
			return fmt.Errorf("set %s: %w", set.Digest, err)
		}
	}
	l.sets.have[set.Digest] = set
	return nil
}

// ensureSet writes a set again that this leader wrote once and the store has lost since, before a document names it.
func (l *leader) ensureSet(ctx context.Context, digest string) error {
	_, err := l.store.Get(ctx, edge.SetKey(digest, 0))
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	set, ok := l.sets.have[digest]
	if !ok {
		return fmt.Errorf("set %s is not in the store", digest)
	}
	delete(l.sets.have, digest)
	return l.putSet(ctx, set)
}

// readFlags reads people's flags and adds the stops that any edge remembers: a restored store must not end one.
func (c *change) stops() {
	c.reading = flags.Read(c.snap.Flags)
	prev := c.snap.Stops.Latched
	c.latched = flags.Latch(prev, c.reading, c.snap.Document.Generation, func(string) uint64 { return 0 })
	for _, e := range c.snap.Edges {
		if e.Epoch == c.snap.Init.Epoch {
			c.latched = merge(c.latched, e.Stops, c.reading)
		}
	}
}

func merge(l, edge flags.Latched, r flags.Reading) flags.Latched {
	if edge.Freeze != nil && l.Freeze == nil && r.Freeze != flags.Released {
		l.Freeze = edge.Freeze
	}
	for name, stop := range edge.Pause {
		if f := r.Rollouts[name]; f == nil || f.Pause != flags.Released {
			if _, ok := l.Pause[name]; !ok {
				l.Pause[name] = stop
			}
		}
	}
	for name, stop := range edge.BackOut {
		if _, ok := l.BackOut[name]; !ok {
			l.BackOut[name] = stop
		}
	}
	return l
}
