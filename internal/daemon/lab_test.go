package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
	"github.com/openinfrastructure/sluice/segments"
)

// t0 is when every lab begins; its nodes have run for an hour by then.
var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

const epoch = "e1"

// lab is a site in one process: a store in memory, a PuppetDB that answers from memory, edges that render by hand what
// consul-template would, nodes that do as their edge says, and leaders that look when they are told to.
type lab struct {
	*testing.T
	now   time.Time
	kv    store.Store
	pdb   *puppetdbtest.Server
	dir   string
	tree  string // the directory that is the store, "" if none is
	extra string // appended to the configuration
	// keep: a leader takes up the file of the one before it.
	keep bool
	// inPuppetDB is appended to its section puppetdb.
	inPuppetDB string
	// upstream: the edges ask the site's ENC
	upstream bool
	edges    []*edge.Edge
	nodes    []string
	ran      map[string]map[string]bool // environment → nodes that ever ran it
	gets     map[string]string          // node → environment of its last run
	// moved are nodes whose datacenter is another one than at first.
	moved map[string]string
	// breaks says how a run of a node in an environment fails, "" if it does not.
	breaks func(node, environment string) string
	// metrics are those of a run in order, none if nil.
	metrics func(node, environment string) []puppetdb.Metric
	l       *leaderOf
	// after is called once every look has been carried out.
	after func()
}

// leaderOf is a leader with what it was made of.
type leaderOf struct {
	*leader
	faults *storetest.Faults
	site   *site
}

const baseConfig = `
puppetdb: {url: %q, poll_interval: 30s, overlap: 2m, history: 3h, inventory_interval: 1m, parameters_proof: run%s}
edges: {live: 5m, max_age: 60s}
controller: {interval: 10s, state_dir: %q}
web: {listen_address: "127.0.0.1:0"}
tracks: {production: {}}
segments:
  canary: {certnames: [n00]}
  fra1: '{facts.datacenter="fra1"}'
windows: {}
schedules:
  three:
    growth: 100
    stages:
      - {name: canary, segment: canary, bake: {time: 10m, runs: 2}}
      - {name: fra1, segment: fra1, bake: {time: 10m, runs: 2}}
      - {name: everyone, bake: {time: 10m, runs: 2}}
  steps:
    growth: 100
    stages:
      - {name: five, percent: 5%%, ramp: {in_flight: 2}, bake: {time: 10m, runs: 2}}
      - {name: half, percent: 50%%, ramp: {in_flight: 8}, bake: {time: 10m, runs: 2}}
      - {name: everyone, ramp: {in_flight: 8}, bake: {time: 10m, runs: 2}}
  half:
    growth: 100
    stages:
      - {name: half, percent: 50%%, bake: {time: 10m, runs: 4}}
      - {name: everyone, bake: {time: 10m, runs: 2}}
  train:
    growth: 100
    supersede: train
    stages:
      - {name: everyone, bake: {time: 10m, runs: 2}}
%s`

// newLab has n nodes, half of them in fra1, on the track production, whose baseline is production_1.
func newLab(t *testing.T, n int) *lab { return newLabOn(t, n, mem.New(), "") }

// newLabOn is a lab on another store. Where that is a directory, the edges read it themselves.
func newLabOn(t *testing.T, n int, kv store.Store, tree string) *lab {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%02d", i))
	}
	return newLabOf(t, names, kv, tree)
}

// newLabOf is a lab of nodes with names.
func newLabOf(t *testing.T, names []string, kv store.Store, tree string) *lab {
	l := &lab{nodes: names, T: t, now: t0, kv: kv, tree: tree, pdb: puppetdbtest.NewServer(t), dir: t.TempDir(),
		ran: map[string]map[string]bool{}, gets: map[string]string{}, breaks: func(string, string) string { return "" }}
	l.initialise()
	for _, env := range []string{"production_1", "production_2", "production_3"} {
		l.deploy(env, "sha-"+env)
	}
	l.edges = []*edge.Edge{l.newEdge("puppet1"), l.newEdge("puppet2")}
	for back := time.Hour; back > 0; back -= 10 * time.Minute {
		l.now = t0.Add(-back)
		for i, node := range l.nodes {
			l.report(i, node, "production_1")
		}
	}
	l.now = t0
	return l
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// initialise leaves in the store what `sluice init` does.
func (l *lab) initialise() {
	l.Helper()
	doc := segments.Document{Format: segments.Format, Epoch: epoch, Generation: 1, Written: t0, Tracks: []segments.Track{{Name: "production", Baseline: "production_1"}}}
	manifest, err := enc.Encode(doc)
	l.must(err)
	first := tree.AuditEntry{At: t0, Kind: "initialised", Index: -1, By: "test", Text: "init"}
	head, err := first.Chain(tree.AuditHead{})
	l.must(err)
	l.must(l.kv.Txn(l.Context(), store.CAS(tree.ManifestKey, manifest, 0), store.CAS(tree.FreezeKey, []byte("false"), 0),
		tree.Put(tree.InitKey, tree.Init{Format: 1, Epoch: epoch, Created: t0, By: "test"}, 0),
		tree.Put(tree.TrackKey("production"), tree.Track{Name: "production", Baseline: "production_1"}, 0),
		tree.Put(tree.StopsKey, tree.Stops{}, 0), tree.Put(tree.AuditKey(1), first, 0), tree.Put(tree.AuditHeadKey, head, 0)))
}

func (l *lab) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l *lab) write(name, content string) {
	l.Helper()
	l.must(os.MkdirAll(filepath.Dir(l.path(name)), 0o755))
	l.must(os.WriteFile(l.path(name), []byte(content), 0o644))
}

func (l *lab) deploy(environment, signature string) {
	l.Helper()
	l.write("environments/"+environment+"/.r10k-deploy.json", fmt.Sprintf(`{"signature":%q}`, signature))
}

// configFile writes the configuration of the process that keeps its files below stateDir.
func (l *lab) configFile(stateDir string) string {
	l.Helper()
	l.write("sluiced.yml", fmt.Sprintf(baseConfig, l.pdb.URL, l.inPuppetDB, l.path(stateDir), l.extra))
	return l.path("sluiced.yml")
}

// newLeader makes a leader that has the lease; whoever had it must have lost it. It is the process that keeps its files
// below stateDir.
func (l *lab) newLeader(stateDir string) *leaderOf {
	l.Helper()
	cfg, err := config.Load(l.configFile(stateDir))
	l.must(err)
	s, err := newSite(cfg, prometheus.NewRegistry(), zerolog.Nop())
	l.must(err)
	f := storetest.NewFaults(l.kv)
	lease, err := f.Campaign(l.Context(), tree.LeaderKey, stateDir)
	l.must(err)
	clock := func() time.Time { return l.now }
	c := newCollector(cfg, s.pdb, s.prom, zerolog.Nop(), clock, func() {}, func(ctx context.Context) (time.Time, error) {
		snap, err := tree.Read(ctx, l.kv)
		if err != nil {
			return time.Time{}, err
		}
		return oldest(snap), nil
	})
	if l.keep {
		c.resume()
	}
	out := &leaderOf{leader: newLeader(f, lease, s, c, newMetrics(prometheus.NewRegistry()), zerolog.Nop(), clock), faults: f, site: s}
	l.Cleanup(func() { s.close(context.WithoutCancel(l.Context())) })
	l.collect(out)
	return out
}

// lead gives the lab a first leader.
func (l *lab) lead() *lab {
	l.Helper()
	l.l = l.newLeader("state")
	return l
}

// failover lets the leader die and another process, with a memory of its own, take its place.
func (l *lab) failover() {
	l.Helper()
	l.l.faults.Plan(nil)
	l.must(l.l.faults.LoseLeases(l.Context()))
	l.l = l.newLeader("state")
}

// collect lets a leader read PuppetDB until it is through with its backlog.
func (l *lab) collect(of *leaderOf) {
	l.Helper()
	c := of.collector
	c.note(sourceInventory, c.readInventory(l.Context()))
	of.enlist(l)
	for range 20 {
		err := c.poll(l.Context())
		c.note(sourceReports, err)
		if err != nil || !c.through.Before(l.now.Add(-4*time.Minute)) {
			break
		}
	}
}

// enlist lets a new leader take its rollouts up before it reads reports, as run does by waiting for a first look.
func (of *leaderOf) enlist(l *lab) {
	l.Helper()
	snap, err := tree.Read(l.Context(), l.kv)
	if err != nil {
		return
	}
	c := &change{leader: of.leader, snap: snap, now: l.now.UTC()}
	if c.repairable() != nil {
		return
	}
	c.stops()
	of.collector.ledger.mu.Lock()
	defer of.collector.ledger.mu.Unlock()
	_, _, _ = of.world(l.Context(), c)
}

// look lets the leader look until nothing follows from it any more, the edges accepting in between.
func (l *lab) look() {
	l.Helper()
	for range 50 {
		again, err := l.l.look(l.Context())
		if err != nil {
			l.Fatalf("look at %s: %v", l.now, err)
		}
		l.accept()
		if l.after != nil {
			l.after()
		}
		if !again {
			return
		}
	}
	l.Fatal("the leader never comes to rest")
}

// tick lets ten minutes pass: every node runs once, the leader reads and looks, the edges accept.
func (l *lab) tick() {
	l.Helper()
	l.agents()
	l.accept()
	l.collect(l.l)
	l.look()
}

// until ticks until the rollout is in the phase, and fails if it is not within a simulated day.
func (l *lab) until(name string, phase gate.Phase) {
	l.Helper()
	for range 144 {
		if l.state(name).Phase == phase {
			return
		}
		l.tick()
	}
	l.Fatalf("%s is %s, not %s; closed gates: %s", name, l.state(name).Phase, phase, l.closed(name))
}

// untilStage ticks until the rollout has begun n stages.
func (l *lab) untilStage(name string, n int) {
	l.Helper()
	for range 144 {
		if len(l.state(name).Stages) >= n {
			return
		}
		l.tick()
	}
	l.Fatalf("%s has begun %d stages, not %d; closed gates: %s", name, len(l.state(name).Stages), n, l.closed(name))
}

func (l *lab) request(id string, r tree.Request) {
	l.Helper()
	r.By, r.At = "alice", l.now
	if r.Reason == "" {
		r.Reason = "a test"
	}
	data, err := json.Marshal(r)
	l.must(err)
	l.must(l.kv.Txn(l.Context(), store.Set(tree.RequestKey(id), data)))
}

func startOf(environment string) *tree.Start {
	return &tree.Start{Track: "production", Environment: environment, Schedule: "three", Policy: "default"}
}

func (l *lab) start(name, environment string) {
	l.Helper()
	l.request(name, tree.Request{Kind: tree.RequestStart, Rollout: name, Start: startOf(environment)})
}

// startBy starts a rollout of an environment by a schedule.
func (l *lab) startBy(schedule, name, environment string) {
	l.Helper()
	s := startOf(environment)
	s.Schedule = schedule
	l.request(name, tree.Request{Kind: tree.RequestStart, Rollout: name, Start: s})
}

// set writes a key as a person would.
func (l *lab) set(key, value string) {
	l.Helper()
	l.must(l.kv.Txn(l.Context(), store.Set(key, []byte(value))))
}

func (l *lab) remove(key string) {
	l.Helper()
	l.must(l.kv.Txn(l.Context(), store.Delete(key)))
}

// get is the value of a key, "" where there is none.
func (l *lab) get(key string) string {
	l.Helper()
	e, err := l.kv.Get(l.Context(), key)
	if errors.Is(err, store.ErrNotFound) {
		return ""
	}
	l.must(err)
	return string(e.Value)
}

func (l *lab) snapshot() *tree.Snapshot {
	l.Helper()
	snap, err := tree.Read(l.Context(), l.kv)
	l.must(err)
	return snap
}

func (l *lab) state(name string) gate.State {
	l.Helper()
	if r := l.snapshot().Rollout(name); r != nil {
		return r.State
	}
	return gate.State{}
}

// closed names the closed gates of a rollout with their reasons.
func (l *lab) closed(name string) string {
	l.Helper()
	r := l.snapshot().Rollout(name)
	if r == nil {
		return "there is no such rollout"
	}
	var out []string
	for _, g := range r.Status.Gates {
		if !g.Open {
			out = append(out, g.Name+": "+g.Reason)
		}
	}
	return strings.Join(out, "; ")
}

// chain is the audit as the store has it.
func (l *lab) chain() []tree.AuditEntry {
	l.Helper()
	entries, _, err := l.kv.List(l.Context(), "audit/")
	l.must(err)
	var out []tree.AuditEntry
	for _, e := range entries {
		if e.Key == tree.AuditHeadKey || e.Key == tree.NotifiedKey {
			continue
		}
		var a tree.AuditEntry
		l.must(json.Unmarshal(e.Value, &a))
		out = append(out, a)
	}
	return out
}

// localChain is the audit as the file of a process has it.
func (l *lab) localChain(stateDir string) []tree.AuditEntry {
	l.Helper()
	data, err := os.ReadFile(l.path(stateDir, "audit.jsonl"))
	l.must(err)
	var out []tree.AuditEntry
	for line := range strings.Lines(string(data)) {
		var a tree.AuditEntry
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			l.Fatalf("audit.jsonl: %q: %v", line, err)
		}
		out = append(out, a)
	}
	return out
}

// kinds are the kinds of the audit entries of a rollout, in order.
func (l *lab) kinds(rollout string) string {
	l.Helper()
	var out []string
	for _, e := range l.chain() {
		if e.Rollout == rollout {
			out = append(out, e.Kind)
		}
	}
	return strings.Join(out, " ")
}

// putSetOf lets a leader publish a set.
func (of *leaderOf) putSetOf(l *lab, certnames ...string) (segments.Set, error) {
	set := segments.NewSet(certnames)
	return set, of.putSet(l.Context(), set)
}
