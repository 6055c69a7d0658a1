package daemon

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
)

// churn is a fleet in which nodes come and go, before one ledger that forgets them and one that does not.
type churn struct {
	*testing.T
	rng            *rand.Rand
	now            time.Time
	nodes          []string
	ever           int
	forgets, keeps *ledger
	begun          time.Time // of the rollout, zero before
	trouble        int       // details that were missing, over all comparisons
}

// inventory is the fleet of now.
func (f *churn) inventory() *inventory {
	inv := &inventory{at: f.now}
	for _, n := range slices.Sorted(slices.Values(f.nodes)) {
		inv.nodes = append(inv.nodes, &node{n, &said{}})
	}
	return inv
}

// day lets five nodes of twenty be replaced, one of them by a node that was there before, and all of them run.
func (f *churn) day(change bool) {
	gone := f.nodes[f.rng.IntN(len(f.nodes))]
	for range 4 {
		f.nodes[f.rng.IntN(len(f.nodes))] = fmt.Sprintf("n%04d", f.ever)
		f.ever++
	}
	if !slices.Contains(f.nodes, gone) {
		f.nodes[0] = gone
	}
	for range 12 {
		f.now = f.now.Add(2 * time.Hour)
		for _, n := range f.nodes {
			r := puppetdb.Report{Hash: fmt.Sprintf("%s-%d", n, f.now.Unix()), Certname: n, Environment: "production_1", Status: "unchanged", CachedCatalogStatus: "not_used", CatalogUUID: "u",
				StartTime: f.now.Add(-time.Minute), EndTime: f.now.Add(-40 * time.Second), ProducerTimestamp: f.now.Add(-39 * time.Second), ReceiveTime: f.now.Add(-38 * time.Second)}
			if f.rng.IntN(200) == 0 {
				r.Status = "failed"
			}
			if change && f.rng.IntN(2) == 0 {
				r.Environment = "production_2"
			}
			f.forgets.add([]puppetdb.Report{r}, nil)
			f.keeps.add([]puppetdb.Report{r}, nil)
		}
	}
	horizon := f.now.Add(-2 * 24 * time.Hour)
	if before := f.begun.Add(-24 * time.Hour); !f.begun.IsZero() && before.Before(horizon) {
		horizon = before
	}
	for _, l := range []*ledger{f.forgets, f.keeps} {
		l.expect(f.inventory())
		l.forget(horizon)
	}
	f.forgets.leave(f.inventory(), horizon)
}

// follow takes the fleet's course up in a ledger.
func (f *churn) follow(l *ledger) {
	half := segments.FromShare(segments.Billion / 2)
	spec := &gate.Spec{Name: "ntp", Candidate: "production_2", Salt: "ntp"}
	state := &gate.State{Phase: gate.Running, Stages: []gate.StageState{{Name: "half", Since: f.begun, Threshold: half, Target: half}}, Admissions: []gate.Admission{{At: f.begun, Threshold: half}}}
	inv := f.inventory()
	l.follow(spec, state, newRoster(&tracked{nodes: inv.nodes}, spec.Salt, inv), 24*time.Hour, nil)
}

// known is what a ledger knows, by certname.
type known struct {
	Nodes    map[string][]any // of the rollout
	Measured map[string]bool
	Trouble  map[string][]analyzer.Run
	Missing  map[string]string // hash of a report → certname
}

func knownOf(l *ledger) known {
	k := known{map[string][]any{}, map[string]bool{}, map[string][]analyzer.Run{}, map[string]string{}}
	for _, c := range l.courses {
		for i := range c.nodes {
			n, id := &c.nodes[i], c.ids[i]
			k.Nodes[n.Certname] = []any{n.AdmittedAt, n.Stage, n.Stratum, c.sums[i], c.progress[i], c.cut[i], l.names.list[id], c.at[id] == int32(i)}
			k.Measured[n.Certname] = c.measured[id] != nil
		}
	}
	for id, runs := range l.trouble {
		k.Trouble[l.names.list[id]] = runs
	}
	for hash, id := range l.missing {
		k.Missing[hash] = l.names.list[id]
	}
	return k
}

func (f *churn) same(want, got known) {
	f.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(analyzer.Progress{})); diff != "" || len(got.Nodes) != 20 {
		f.Fatalf("%s: %d nodes (-forgets nobody +forgets):\n%s", f.now, len(got.Nodes), diff)
	}
	f.trouble += len(got.Missing)
}

// TestLedgerForgetsWhoIsGone: it grows with the fleet and not with all that ever were in it, and of those that matter it knows what one
// knows that forgets nobody.
func TestLedgerForgetsWhoIsGone(t *testing.T) {
	for seed := range uint64(5) {
		f := &churn{T: t, rng: rand.New(rand.NewPCG(seed, 1)), now: t0}
		clock := func() time.Time { return f.now }
		f.forgets, f.keeps = newLedger(clock), newLedger(clock)
		f.forgets.measured, f.keeps.measured = 4, 4
		for ; f.ever < 20; f.ever++ {
			f.nodes = append(f.nodes, fmt.Sprintf("n%04d", f.ever))
		}
		for range 30 {
			f.day(false)
			if n := len(f.forgets.recent); n > 20+3*5+len(f.forgets.trouble) {
				t.Fatalf("seed %d: %d nodes are known, 20 are there", seed, n)
			}
		}
		if n := len(f.keeps.recent); n < 100 {
			t.Fatalf("seed %d: %d nodes ever", seed, n)
		}
		f.begun = f.now
		for range 4 {
			f.follow(f.forgets)
			f.follow(f.keeps)
			f.day(true)
			f.same(knownOf(f.keeps), knownOf(f.forgets))
		}
		// What was written down leaves as well, before it is taken up.
		again, err := read(t, fileOf(t, f.forgets))
		if err != nil {
			t.Fatal(err)
		}
		again.now = clock
		if again.leave(f.inventory(), f.now.Add(time.Hour)) == 0 {
			t.Fatalf("seed %d: nobody left", seed)
		}
		f.follow(f.keeps)
		f.follow(again)
		want, got := knownOf(f.keeps), knownOf(again)
		want.Measured, got.Measured = nil, nil // that is read anew
		if f.same(want, got); f.trouble == 0 {
			t.Fatalf("seed %d: no node with trouble was compared", seed)
		}
	}
}

// TestGoneNodeLeaves: a node that is deactivated leaves the leader's memory when no leader that begins would know of it, and the file with
// it. While it ran lately it stays.
func TestGoneNodeLeaves(t *testing.T) {
	l := encLab(t, 6)
	l.keep = true
	l.lead()
	knows := func() bool {
		_, ok := l.l.collector.ledger.names.find("n05")
		_, asked := l.l.collector.enc.said["n05"]
		if ok != asked {
			t.Errorf("%s: the ledger knows n05: %t, the site's ENC was asked: %t", l.now, ok, asked)
		}
		return ok
	}
	l.deactivate("n05")
	l.nodes = l.nodes[:5]
	for range 6 {
		l.tick()
	}
	if !knows() {
		t.Fatalf("an hour later the leader does not know that n05 was there")
	}
	for range 24 {
		l.tick()
	}
	if knows() {
		t.Error("n05 left the fleet five hours ago, and the history is three")
	}
	l.must(l.l.collector.save())
	l.failover()
	if knows() {
		t.Error("another leader took n05 up")
	}
	l.nodes = append(l.nodes, "n05")
	l.tick()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Completed)
	l.tick()
	if l.on("production_2", l.nodes...); !knows() {
		t.Error("n05 is back, and the leader does not know it")
	}
}
