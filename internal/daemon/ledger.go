package daemon

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/internal/intake"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// ledger is what is kept of the reports that the feed delivered: of every node its last runs in a few bytes, of nodes with
// trouble the runs themselves, and of every rollout under way how far its nodes have come.
//
// The mutex is held while reports are added, a part at a time, and by the leader from the moment it puts evidence
// together until what it rests on is written down: both see the same.
type ledger struct {
	mu      sync.Mutex
	now     func() time.Time
	names   names
	recent  []analyzer.Recent
	seen    []int64 // ms, see analyzer.Summary
	envs    map[string]uint16
	trouble map[uint32][]analyzer.Run
	missing map[string]uint32 // hashes of failed runs whose detail has not been read yet, with their node
	courses map[string]*course
	saved   map[string]*course // as another leader left them, until they are taken up
	reports uint64
	proof   bool // parameters count as given when a catalog shows it
	// measured is of how many nodes of a cohort metrics are read.
	measured int
}

func newLedger(now func() time.Time) *ledger {
	return &ledger{now: now, names: newNames(), envs: map[string]uint16{}, trouble: map[uint32][]analyzer.Run{},
		missing: map[string]uint32{}, courses: map[string]*course{}, saved: map[string]*course{}}
}

// id numbers a node.
func (l *ledger) id(certname string) uint32 {
	id, ok := l.names.find(certname)
	if !ok {
		l.room(1)
		id = l.names.add(certname)
		l.recent = append(l.recent, analyzer.Recent{})
		l.seen = append(l.seen, 0)
	}
	return id
}

// expect makes room for the nodes of the inventory, and no more than that.
func (l *ledger) expect(inv *inventory) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.room(len(inv.nodes) - len(l.recent))
	for _, n := range inv.nodes {
		l.id(n.certname)
	}
}

// room makes room for more nodes, and for a few that come one by one: appending would make room for a quarter more of all.
func (l *ledger) room(more int) {
	n := len(l.recent)
	if n+more <= cap(l.recent) {
		return
	}
	l.names.room(more)
	size := n + more + n/64
	l.recent = append(make([]analyzer.Recent, 0, size), l.recent...)
	l.seen = append(make([]int64, 0, size), l.seen...)
}

// sharedEnv is the number of all environments beyond those that can be told apart.
const sharedEnv = 1<<16 - 1

// candidate is env for the environment that proves exposure; 0, which no run has, where it cannot be told from others.
func (l *ledger) candidate(name string) uint16 {
	if n := l.env(name); n != sharedEnv {
		return n
	}
	return 0
}

func (l *ledger) env(name string) uint16 {
	n, ok := l.envs[name]
	if !ok {
		n = uint16(min(len(l.envs)+1, sharedEnv))
		l.envs[name] = n
	}
	return n
}

// addAtOnce bounds how long add keeps the leader waiting.
const addAtOnce = 20_000

// failedOf lists the hashes of the reports whose detail is needed.
func failedOf(reports []puppetdb.Report) (out []string) {
	for i := range reports {
		if r := &reports[i]; r.Status == "failed" || r.CachedCatalogStatus == "on_failure" {
			out = append(out, r.Hash)
		}
	}
	return out
}

// add takes reports over, in the order of their time as far as they come together, with what is known of the failed ones.
func (l *ledger) add(reports []puppetdb.Report, found map[string]puppetdb.Detail) {
	for part := range slices.Chunk(reports, addAtOnce) {
		l.mu.Lock()
		now := l.now()
		for i := range part {
			l.take(&part[i], found, now)
		}
		l.reports += uint64(len(part))
		l.mu.Unlock()
	}
}

func (l *ledger) take(r *puppetdb.Report, found map[string]puppetdb.Detail, now time.Time) {
	run := intake.Run(*r)
	id := l.id(run.Certname)
	run.Certname = l.names.list[id]
	env := l.env(run.Environment)
	for _, c := range l.courses {
		c.before(l, id, &run)
	}
	if !l.recent[id].Add(&run, env) && (!failed(run) || l.has(id, run)) {
		return // it came before, as the feed's late ones do, or is older than all that is remembered
	}
	l.seen[id] = max(l.seen[id], run.Alive(now))
	for _, c := range l.courses {
		c.after(l, id, &run, env, now)
	}
	kept, troubled := l.trouble[id]
	if !failed(run) && !troubled {
		return
	}
	at, known := slices.BinarySearchFunc(kept, run, compareProduced)
	if known {
		return
	}
	if d, ok := found[run.Hash]; ok {
		run.Detail = intake.Detail(d)
	} else if failed(run) {
		l.missing[run.Hash] = id
	}
	l.trouble[id] = slices.Insert(kept, at, run)
}

// has says whether a run is kept already.
func (l *ledger) has(id uint32, run analyzer.Run) bool {
	_, known := slices.BinarySearchFunc(l.trouble[id], run, compareProduced)
	return known
}

func compareProduced(a, b analyzer.Run) int {
	if c := a.Produced.Compare(b.Produced); c != 0 {
		return c
	}
	switch {
	case a.Hash < b.Hash:
		return -1
	case a.Hash > b.Hash:
		return 1
	}
	return 0
}

// failed says whether a run's detail is needed to tell how it failed and at what.
func failed(r analyzer.Run) bool { return r.Status == "failed" || r.CachedCatalog == "on_failure" }

// wanted lists the hashes of runs whose detail is missing.
func (l *ledger) wanted() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.missing))
}

// detail puts details where they belong. A hash that PuppetDB does not have stays without one.
func (l *ledger) detail(asked []string, found map[string]puppetdb.Detail) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, hash := range asked {
		id, ok := l.missing[hash]
		if !ok {
			continue
		}
		delete(l.missing, hash)
		d, ok := found[hash]
		if !ok {
			continue
		}
		runs := slices.Clone(l.trouble[id]) // evidence that was taken has the old ones
		for i := range runs {
			if runs[i].Hash == hash {
				runs[i].Detail = intake.Detail(d)
			}
		}
		l.trouble[id] = runs
	}
}

// forget drops trouble that is older than the horizon: a node's runs from before its first failure since then.
func (l *ledger) forget(horizon time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, runs := range l.trouble {
		rest := sinceTrouble(runs, horizon)
		for _, r := range runs[:len(runs)-len(rest)] {
			delete(l.missing, r.Hash)
		}
		switch {
		case len(rest) == 0:
			delete(l.trouble, id)
		case len(rest) < len(runs):
			l.trouble[id] = slices.Clone(rest)
		}
	}
}

// sinceTrouble gives a node's runs from its first failure at or after a time on: what any leader knows, however far back
// it has read.
func sinceTrouble(runs []analyzer.Run, since time.Time) []analyzer.Run {
	for i, r := range runs {
		if failed(r) && !r.Produced.Before(since) {
			return runs[i:]
		}
	}
	return nil
}

// troubled copies the runs of nodes with trouble since a time. The caller holds mu.
func (l *ledger) troubled(since time.Time) (out []analyzer.Run) {
	for _, runs := range l.trouble {
		out = append(out, sinceTrouble(runs, since)...)
	}
	return out
}
