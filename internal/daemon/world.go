package daemon

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

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

// growBytes is how many bytes a second sets of members may add to the store, on average: every newcomer makes a set of its own of all
// members, 17 MB at a million nodes, and every edge reads it.
const growBytes = 5000

// grown is a set of members as this leader made it, when, and for how long it stays. One that never got into force keeps nobody waiting.
type grown struct {
	members string
	at      time.Time
	stays   time.Duration
}

// growAfter is how long a set of so many bytes stays before newcomers make another one of it: a second for three hundred members.
func growAfter(size int) time.Duration { return time.Duration(size) * time.Second / growBytes }

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
	defer func() { l.metrics.waiting.WithLabelValues(t.Name).Set(float64(out.Waiting)) }()
	hasENC := l.site.cfg.ENC != nil
	environments := environmentsOf(*t, c.snap.Rollouts)
	k := l.tracks[t.Name]
	if k != nil && (k.members != t.Members || c.halt != "" || !slices.Equal(k.environments, environments)) {
		k = nil
	}
	g := l.grown[t.Name]
	since := c.now.Sub(g.at)
	due := g.members != t.Members || since < 0 || since >= g.stays // a clock that went back keeps nobody waiting
	if k != nil && k.inv == inv && k.count == t.Nodes && len(k.waiting) == t.Waiting && (t.Waiting == 0 || !due) {
		out.nodes = k.nodes
		return out, nil
	}
	changed := k.changed(inv)
	fresh := changed.newcomers(environments, hasENC, l.sets.member(t.Members))
	if len(fresh) > 0 && c.halt == "" && due {
		set := segments.Grow(l.sets.have[t.Members].Data, certnamesOf(fresh))
		if err := l.putSet(ctx, set); err != nil {
			return nil, err
		}
		out.Members, out.Count, out.changed, fresh = set.Digest, set.Count, true, nil
		l.grown[t.Name] = grown{members: set.Digest, at: c.now, stays: growAfter(len(set.Data))}
	}
	out.nodes = k.merge(inv, changed.track(t.Name, hasENC, l.sets.member(out.Members)))
	out.Waiting = len(fresh)
	out.Nodes = len(out.nodes)
	out.changed = out.changed || out.Nodes != t.Nodes || out.Waiting != t.Waiting
	if c.halt != "" { // newcomers are left out for now
		delete(l.tracks, t.Name)
		return out, nil
	}
	l.tracks[t.Name] = &trackCache{inv: inv, members: out.Members, count: out.Nodes, environments: environments, nodes: out.nodes, waiting: fresh}
	return out, nil
}
