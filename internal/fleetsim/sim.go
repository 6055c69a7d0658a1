// Package fleetsim is a simulated fleet: nodes with roles, datacenters and racks whose agents run, fail, fall silent and
// come back as a scenario says. Their environment comes from sluice's own ENC code and an accepted document. What they
// report is served as PuppetDB and Prometheus would, sent to a real PuppetDB, or written to files.
//
//	scenario.go        what can be described
//	fleet.go, run.go   who the nodes are, and one run of one of them: pure
//	sim.go             the order of runs
//	backend.go, prom.go, write.go, send.go   what becomes of reports
package fleetsim

import (
	"container/heap"
	"maps"
	"slices"
	"sync"
	"time"
)

// Answer is what the ENC says about a node when its run begins.
type Answer struct {
	Environment string
	Parameters  map[string]any
	// Failed: there was no answer, so the run goes on with what the node has cached.
	Failed bool
	// Keep: nobody has said anything about this node yet; it stays where it is.
	Keep bool
}

// Classifier is asked at the start of every run.
type Classifier func(node int, certname string, at time.Time) Answer

// Sim is a fleet in motion. It may be used by several goroutines.
type Sim struct {
	fleet   *fleet
	begin   time.Time // of the scenario, History before the first Advance
	classes Classifier
	changes map[string]*change // by environment
	flags   map[string]*change // by parameter
	// flagNames are the parameters in order.
	flagNames []string

	mu      sync.Mutex
	now     int64 // ms
	nodes   []state
	queue   queue
	envs    []string
	envID   map[string]uint16
	minutes map[int64][]record // by minute of the producer's time
	oldest  int64              // minute
	failed  map[uint64]record  // by node and run, for details
	runs    uint64
}

// change is a Change with what was found out about it.
type change struct {
	Change
	hits []func(int) bool
}

// state is what a node remembers.
type state struct {
	next    int64  // ms, when the next run begins
	seq     uint32 // of that run
	env     uint16 // of the last run
	catalog uint16 // of the cached catalog
	inEnv   uint16 // runs of env
	gone    bool
	mute    bool
	last    record // may not be visible yet; before is then
	before  record
}

// New makes a fleet that has been running for History at now.
func New(sc Scenario, now time.Time, c Classifier) *Sim {
	if c == nil {
		c = func(int, string, time.Time) Answer { return Answer{Keep: true} }
	}
	s := &Sim{fleet: newFleet(sc), classes: c, begin: now.Add(-time.Duration(sc.History)), envID: map[string]uint16{},
		changes: map[string]*change{}, flags: map[string]*change{}, minutes: map[int64][]record{}, failed: map[uint64]record{}, nodes: make([]state, sc.Nodes)}
	for name, c := range sc.Environments {
		s.changes[name] = &change{c, s.fleet.hits(name, c)}
	}
	for name, c := range sc.Parameters {
		s.flags[name] = &change{c, s.fleet.hits("parameter "+name, c)}
	}
	s.flagNames = slices.Sorted(maps.Keys(s.flags))
	base := s.env(sc.Baseline)
	interval := float64(time.Duration(sc.RunInterval).Milliseconds())
	begin := s.begin.UnixMilli()
	s.queue.nodes = s.nodes
	s.queue.order = make([]int32, sc.Nodes)
	s.oldest = begin / minute
	for i := range s.nodes {
		n := &s.nodes[i]
		n.env, n.catalog, n.inEnv = base, base, 100
		n.next = begin + int64(unit(sc.Seed, forPhase, uint64(i))*interval)
		if j := s.fleet.joined(i, s.begin); !j.IsZero() {
			n.next += j.Sub(s.begin).Milliseconds()
		}
		s.queue.order[i] = int32(i)
	}
	heap.Init(&s.queue)
	keep := s.classes
	s.classes = func(int, string, time.Time) Answer { return Answer{Keep: true} } // the past is all baseline
	s.Advance(now)
	s.classes = keep
	return s
}

const minute = 60_000 // ms

// Advance lets all runs begin that are due by now, and returns how many did. Time does not go back.
func (s *Sim) Advance(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, n := now.UnixMilli(), 0
	for len(s.queue.order) > 0 {
		i := int(s.queue.order[0])
		if s.nodes[i].next > until {
			break
		}
		s.run(i)
		if s.nodes[i].gone {
			heap.Pop(&s.queue)
		} else {
			heap.Fix(&s.queue, 0)
		}
		n++
	}
	s.now = max(s.now, until)
	horizon := (s.now - time.Duration(s.fleet.sc.Retention).Milliseconds()) / minute
	for ; s.oldest < horizon; s.oldest++ {
		for _, r := range s.minutes[s.oldest] {
			delete(s.failed, r.key())
		}
		delete(s.minutes, s.oldest)
	}
	return n
}

// Next is when the next run begins.
func (s *Sim) Next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue.order) == 0 {
		return time.UnixMilli(s.now).Add(time.Hour)
	}
	return time.UnixMilli(s.nodes[s.queue.order[0]].next)
}

// Size is how many nodes there are, gone ones included.
func (s *Sim) Size() int { return len(s.nodes) }

// Runs is how many runs have begun.
func (s *Sim) Runs() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs
}

func (s *Sim) env(name string) uint16 {
	id, ok := s.envID[name]
	if !ok {
		id = uint16(len(s.envs))
		s.envs = append(s.envs, name)
		s.envID[name] = id
	}
	return id
}

// queue orders nodes by their next run, then by number.
type queue struct {
	nodes []state
	order []int32
}

func (q *queue) Len() int { return len(q.order) }
func (q *queue) Less(a, b int) bool {
	x, y := q.order[a], q.order[b]
	if q.nodes[x].next != q.nodes[y].next {
		return q.nodes[x].next < q.nodes[y].next
	}
	return x < y
}
func (q *queue) Swap(a, b int) { q.order[a], q.order[b] = q.order[b], q.order[a] }
func (q *queue) Push(any)      {}
func (q *queue) Pop() any {
	q.order = q.order[:len(q.order)-1]
	return nil
}
