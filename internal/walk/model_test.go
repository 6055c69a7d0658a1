package walk

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/segments"
)

const (
	mostNodes = 32
	track     = "production"
	epoch     = "e1"
	leaders   = 2
	edges     = 2
)

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// node is a machine; one that left may come back under its name.
type node struct {
	name, dc, print string
	alive           bool
}

// kv is the store. A copy of it is what a leader read, or a backup.
type kv struct {
	core     int // version of everything that leaders write, which is one transaction
	doc      segments.Document
	manifest []byte
	tracks   []segments.Track
	rollouts []entry
	stops    flags.Latched
	requests []request
	said     said

	flags map[string]string
	holds []gate.Hold
	pins  []segments.Pin
	caps  map[string][]segments.Cap
	edges map[string]report
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
}

func (s said) clone() said {
	return said{s.frozen, maps.Clone(s.paused), maps.Clone(s.denied), maps.Clone(s.delay)}
}

type request struct {
	kind    string // start, unveto, confirm
	rollout string
	spec    gate.Spec
}

// report is what an edge said of itself.
type report struct {
	edge  gate.Edge
	stops flags.Latched
}

func (s *kv) clone() kv {
	c := *s
	c.tracks, c.rollouts, c.requests = slices.Clone(s.tracks), slices.Clone(s.rollouts), slices.Clone(s.requests)
	c.said = s.said.clone()
	c.flags, c.holds, c.pins, c.caps, c.edges = maps.Clone(s.flags), slices.Clone(s.holds), slices.Clone(s.pins), maps.Clone(s.caps), maps.Clone(s.edges)
	return c
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
}

// edge is a puppetserver.
type edge struct {
	host      string
	state     enc.State
	manifest  []byte // as rendered
	kind      string // of the rendered one: good, or what is wrong with it
	flags     map[string]string
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
	runs  map[int]int // by node, since it was admitted
	bad   map[int]bool
	since map[int]time.Time
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
	seenDC   map[int]string
	version  int // of the inventory
	reload   int // of the site's configuration
	started  int
	sets     map[string]segments.Set
	members  map[string]map[string]bool
	resolved map[string]resolution
	position map[string][]string // by salt

	manifests [][]byte // every one that was published
	admitted  map[string]map[int]uint64
	happened  map[string]int
	vetoed    map[string]bool
	maxGen    uint64
	looks     int
	restored  bool                  // a backup of the store was put back: what it says is older
	last      map[string]gate.State // as they were written last
	skipped   map[string]int

	mutation string
	failed   string // what was broken, the name of the invariant first
}

type resolution struct {
	version int
	set     segments.Set
}

func newWorld(mutation string) *world {
	w := &world{now: t0, fresh: true, mutation: mutation, facts: map[string]*facts{}, sets: map[string]segments.Set{}, members: map[string]map[string]bool{},
		resolved: map[string]resolution{}, position: map[string][]string{}, admitted: map[string]map[int]uint64{}, happened: map[string]int{}, vetoed: map[string]bool{}, last: map[string]gate.State{}, skipped: map[string]int{}, seenDC: map[int]string{}}
	for i := range mostNodes {
		name := fmt.Sprintf("n%02d.example.com", i)
		w.nodes = append(w.nodes, &node{name: name, dc: []string{"fra1", "ams1", "nyc1"}[i%3], print: segments.Fingerprint(name), alive: i < 20})
	}
	w.readInventory()
	doc := segments.Document{Format: segments.Format, Epoch: epoch, Generation: 1, Written: t0, Tracks: []segments.Track{{Name: track, Baseline: "production_0", Nodes: 20}}}
	manifest, err := enc.Encode(doc)
	if err != nil {
		panic(err)
	}
	w.manifests, w.maxGen = [][]byte{manifest}, 1
	w.kv = kv{doc: doc, manifest: manifest, tracks: doc.Tracks, flags: map[string]string{}, caps: map[string][]segments.Cap{}, edges: map[string]report{},
		said: said{paused: map[string]bool{}, denied: map[string]bool{}, delay: map[string]gate.DelaySeen{}}}
	for i := range w.edges {
		w.edges[i] = &edge{host: fmt.Sprintf("puppet%d", i), flags: map[string]string{}, backedOut: map[string]bool{}, paused: map[string]bool{}, kind: "none"}
	}
	return w
}

func (w *world) readInventory() {
	w.version++
	w.seen = []int{}
	for i, n := range w.nodes {
		if n.alive {
			w.seen = append(w.seen, i)
			w.seenDC[i] = n.dc
		}
	}
}

// u gives the positions of all nodes under a salt.
func (w *world) u(salt string) []string {
	p := w.position[salt]
	if p == nil {
		p = make([]string, len(w.nodes))
		for i, n := range w.nodes {
			p[i] = segments.Position(salt, n.name)
		}
		w.position[salt] = p
	}
	return p
}

func (w *world) in(set string, i int) bool { return set == "" || w.members[set][w.nodes[i].print] }

func (w *world) putSet(s segments.Set, nodes []int) {
	if _, ok := w.sets[s.Digest]; ok {
		return
	}
	m := map[string]bool{}
	for _, i := range nodes {
		m[w.nodes[i].print] = true
	}
	w.sets[s.Digest], w.members[s.Digest] = s, m
}

func (w *world) factsOf(name string) *facts {
	f := w.facts[name]
	if f == nil {
		f = &facts{runs: map[int]int{}, bad: map[int]bool{}, since: map[int]time.Time{}}
		w.facts[name] = f
	}
	return f
}

// admittedAt is when the state admitted a node, worked out from the history of its thresholds without asking the state.
func (w *world) admittedAt(e *entry, i int) (time.Time, int) {
	u := w.u(e.spec.Salt)[i]
	for _, a := range e.state.Admissions {
		if (a.Threshold == segments.All || u < string(a.Threshold)) && w.in(a.Set, i) {
			return a.At, a.Stage
		}
	}
	return time.Time{}, -1
}

func (w *world) fail(invariant, format string, args ...any) {
	if w.failed == "" {
		w.failed = invariant + ": " + fmt.Sprintf(format, args...)
	}
}
