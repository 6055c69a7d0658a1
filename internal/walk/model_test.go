package walk

import (
	"fmt"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

const (
	mostNodes = 32
	track     = "production"
	epoch     = "e1"
	leaders   = 2
	edges     = 2
)

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// mask is a set of nodes, by index.
type mask = uint32

// node is a machine; one that left may come back under its name.
type node struct {
	name, dc, print string
	alive           bool
}

// kv is the store. A copy of it is what a leader read, or a backup: nothing in it is changed in place.
type kv struct {
	core     int // version of everything that leaders write, which is one transaction
	doc      segments.Document
	manifest []byte
	tracks   []segments.Track
	rollouts []entry
	stops    flags.Latched
	requests []request
	said     said

	flags  *toggles
	holds  []gate.Hold
	vetoes []gate.Veto
	pins   []gate.Pin
	edges  map[string]report
}

// toggles are people's flags, and what package flags reads in them.
type toggles struct {
	raw     map[string]string
	reading *flags.Reading
}

func (t *toggles) read() flags.Reading {
	if t.reading == nil {
		r := flags.Read(t.raw)
		t.reading = &r
	}
	return *t.reading
}

type entry struct {
	spec  gate.Spec
	state gate.State
}

// said is what leaders wrote down of people's words; the oracle keeps it for itself.
type said struct {
	frozen bool
	paused map[string]bool
	denied map[string]bool // ROLLOUT/STAGE
	delay  map[string]gate.DelaySeen
	cut    map[string]mask // ROLLOUT/ID: nodes that a cut-out has taken the change from, until a person gives it back

	promoted map[string]string // the stage that a person ordered to be left
	skips    map[string]bool   // ROLLOUT/STAGE
	left     map[string]bool   // ROLLOUT/STAGE that was left by an order
	before   map[string]before // of rollouts that are completed
	had      map[string]had    // of rollouts under way
}

type request struct {
	kind    string // start, unveto, lift, promote, skip, confirm
	rollout string
	stage   string
	id      string // of a cut-out
	spec    gate.Spec
}

// report is what an edge said of itself.
type report struct {
	edge  gate.Edge
	stops flags.Latched
}

func (s *kv) rollout(name string) *entry {
	for i := range s.rollouts {
		if s.rollouts[i].spec.Name == name {
			return &s.rollouts[i]
		}
	}
	return nil
}

// leader is a sluiced; only the one with the lease can write.
type leader struct {
	snap   *kv // what it read last
	last   segments.Document
	offset time.Duration
	fresh  bool // it has not looked since it started
	coming map[string]gate.Coming
	life   int // how often it has started, or the lease has gone to it
}

// edge is a puppetserver.
type edge struct {
	host      string
	state     enc.State
	manifest  []byte // as rendered
	kind      string // of the rendered one: good, or what is wrong with it
	flags     *toggles
	offset    time.Duration
	stop      bool
	baseline  bool
	setsGone  bool
	bucket    float64 // the oracle's own allowance
	counted   time.Time
	dirty     bool // rendered or restarted since its answers were compared
	answers   map[string][]segments.Admission
	backedOut map[string]bool // flags that reached it
	paused    map[string]bool
	frozen    bool
}

// facts are what nodes did under a rollout.
type facts struct {
	runs [mostNodes]int // by node, since it was admitted
	bad  mask
}

// world is a site.
type world struct {
	now      time.Time
	nodes    []*node
	kv       kv
	marks    []kv // backups and stale reads
	leaders  [leaders]leader
	lease    int
	edges    [edges]*edge
	facts    map[string]*facts
	fresh    bool
	seen     []int // nodes of the last inventory, nil when none was read
	listed   mask  // the same
	seenDC   [mostNodes]string
	version  int // of the inventory
	reload   int // of the site's configuration
	started  int
	sets     map[string]segments.Set
	members  map[string]mask       // by digest
	made     map[mask]segments.Set // by members
	index    map[string]int        // by fingerprint
	known    map[where]selector.Attributes
	masks    map[reach]mask
	resolved map[string]resolution
	position map[string]*[mostNodes]string // by salt
	asPoints map[string]*[mostNodes]segments.Point

	manifests [][]byte                      // every one that was published
	first     map[string]*[mostNodes]uint64 // by rollout and node: the first generation that admitted it
	happened  map[string]int
	vetoed    map[string]bool
	maxGen    uint64
	looks     int
	deciding  *leader
	coming    map[string]gate.Coming // as they are after this look
	restored  bool                   // a backup of the store was put back: what it says is older
	last      map[string]gate.State  // as they were written last
	skipped   map[string]int

	did   map[string]int         // what was looked at
	gates map[string][]gate.Gate // of the last look
	moved map[string]bool        // the same

	mutation string
	failed   string // what was broken, the name of the invariant first
}

type resolution struct {
	version int
	set     segments.Set
}

func newWorld(mutation string) *world {
	w := &world{now: t0, fresh: true, mutation: mutation, facts: map[string]*facts{}, sets: map[string]segments.Set{}, members: map[string]mask{"": ^mask(0)},
		made: map[mask]segments.Set{}, index: map[string]int{}, known: map[where]selector.Attributes{}, masks: map[reach]mask{}, resolved: map[string]resolution{}, position: map[string]*[mostNodes]string{}, asPoints: map[string]*[mostNodes]segments.Point{}, first: map[string]*[mostNodes]uint64{},
		happened: map[string]int{}, did: map[string]int{}, vetoed: map[string]bool{}, last: map[string]gate.State{}, skipped: map[string]int{}}
	for i := range mostNodes {
		name := fmt.Sprintf("n%02d.example.com", i)
		w.nodes = append(w.nodes, &node{name: name, dc: []string{"fra1", "ams1", "nyc1"}[i%3], print: segments.Fingerprint(name), alive: i < 20})
		w.index[w.nodes[i].print] = i
	}
	w.readInventory()
	doc := segments.Document{Format: segments.Format, Epoch: epoch, Generation: 1, Written: t0, Tracks: []segments.Track{{Name: track, Baseline: "production_0", Nodes: 20}}}
	manifest, err := enc.Encode(doc)
	if err != nil {
		panic(err)
	}
	w.manifests, w.maxGen = [][]byte{manifest}, 1
	w.kv = kv{doc: doc, manifest: manifest, tracks: doc.Tracks, flags: &toggles{}, edges: map[string]report{},
		said: said{paused: map[string]bool{}, denied: map[string]bool{}, delay: map[string]gate.DelaySeen{}, cut: map[string]mask{},
			promoted: map[string]string{}, skips: map[string]bool{}, left: map[string]bool{}, before: map[string]before{}, had: map[string]had{}}}
	for i := range w.edges {
		w.edges[i] = &edge{host: fmt.Sprintf("puppet%d", i), flags: &toggles{}, backedOut: map[string]bool{}, paused: map[string]bool{}, kind: "none"}
	}
	return w
}

func (w *world) readInventory() {
	w.version++
	w.seen, w.listed = []int{}, 0
	for i, n := range w.nodes {
		if n.alive {
			w.seen, w.listed = append(w.seen, i), w.listed|1<<i
			w.seenDC[i] = n.dc
		}
	}
}

// forgetInventory is what a new leader knows of nodes.
func (w *world) forgetInventory() { w.seen, w.listed = nil, 0 }

// u gives the positions of all nodes under a salt.
func (w *world) u(salt string) *[mostNodes]string {
	p := w.position[salt]
	if p == nil {
		p = new([mostNodes]string)
		for i, n := range w.nodes {
			p[i] = segments.Position(salt, n.name)
		}
		w.position[salt] = p
	}
	return p
}

// points are the same as numbers.
func (w *world) points(salt string) *[mostNodes]segments.Point {
	p := w.asPoints[salt]
	if p == nil {
		p = new([mostNodes]segments.Point)
		for i, u := range w.u(salt) {
			p[i] = pointOf(u)
		}
		w.asPoints[salt] = p
	}
	return p
}

// where is a node with the facts that it may have.
type where struct {
	i  int
	dc string
}

// reach is a threshold of a rollout.
type reach struct {
	salt string
	to   segments.Threshold
}

// below are the nodes that a threshold admits.
func (w *world) below(salt string, t segments.Threshold) (m mask) {
	switch t {
	case segments.All:
		return ^mask(0)
	case segments.None, "":
		return 0
	}
	m, ok := w.masks[reach{salt, t}]
	if ok {
		return m
	}
	for i, u := range w.u(salt) {
		if u < string(t) {
			m |= 1 << i
		}
	}
	w.masks[reach{salt, t}] = m
	return m
}

func (w *world) in(set string, i int) bool { return w.members[set]>>i&1 == 1 }

func has(m mask, i int) bool { return m>>i&1 == 1 }

// setOf is the set of some nodes.
func (w *world) setOf(m mask) segments.Set {
	s, ok := w.made[m]
	if !ok {
		s = segments.NewSet(w.names(m))
		w.made[m], w.sets[s.Digest], w.members[s.Digest] = s, s, m
	}
	return s
}

func (w *world) names(m mask) (out []string) {
	for i, n := range w.nodes {
		if has(m, i) {
			out = append(out, n.name)
		}
	}
	return out
}

func (w *world) factsOf(name string) *facts {
	f := w.facts[name]
	if f == nil {
		f = &facts{}
		w.facts[name] = f
	}
	return f
}

func (w *world) fail(invariant, format string, args ...any) {
	if w.failed == "" {
		w.failed = invariant + ": " + fmt.Sprintf(format, args...)
	}
}
