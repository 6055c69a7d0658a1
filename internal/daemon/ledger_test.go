package daemon

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
)

// reportsOf gives n nodes a run every half hour for some hours, one in a hundred of them failed.
func reportsOf(n, hours int) []puppetdb.Report {
	var out []puppetdb.Report
	for round := range 2 * hours {
		for i := range n {
			at := t0.Add(time.Duration(round)*30*time.Minute + time.Duration(i)*1800*time.Second/time.Duration(n))
			r := puppetdb.Report{Hash: fmt.Sprintf("%08x%08x%024x", i, round, i), Certname: fmt.Sprintf("n%07d.example.test", i), Environment: "production_1", Status: "unchanged",
				CachedCatalogStatus: "not_used", CatalogUUID: "u", StartTime: at, EndTime: at.Add(20 * time.Second), ProducerTimestamp: at.Add(21 * time.Second), ReceiveTime: at.Add(22 * time.Second)}
			if (i+round)%100 == 0 {
				r.Status = "failed"
			}
			out = append(out, r)
		}
	}
	return out
}

// withCourse is a ledger with one rollout of which half of the nodes are admitted.
func withCourse(tb testing.TB, n int) (*ledger, *gate.Spec, *gate.State, *roster) {
	tb.Helper()
	inv := &inventory{}
	for i := range n {
		inv.nodes = append(inv.nodes, &node{fmt.Sprintf("n%07d.example.test", i), &said{}})
	}
	l := newLedger(func() time.Time { return t0.Add(24 * time.Hour) })
	l.expect(inv)
	spec := &gate.Spec{Name: "ntp", Candidate: "production_2", Salt: "ntp"}
	half := segments.FromShare(segments.Billion / 2)
	state := &gate.State{Phase: gate.Running, Stages: []gate.StageState{{Name: "half", Since: t0.Add(time.Hour), Threshold: half, Target: half}},
		Admissions: []gate.Admission{{At: t0.Add(time.Hour), Threshold: half}}}
	r := newRoster(&tracked{nodes: inv.nodes}, spec.Salt, inv)
	l.follow(spec, state, r, 24*time.Hour, nil)
	return l, spec, state, r
}

// TestLedgerTakesAnyOrder: within what is remembered, reports in any order, and some of them twice, give the same evidence.
func TestLedgerTakesAnyOrder(t *testing.T) {
	reports := reportsOf(20, 3)
	want, _, _, _ := withCourse(t, 20)
	want.add(reports, nil)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		mixed := append(slices.Clone(reports), reports[:30]...)
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		got, _, _, _ := withCourse(t, 20)
		got.add(mixed, nil)
		if diff := cmp.Diff(want.courses["ntp"].sums, got.courses["ntp"].sums); diff != "" {
			t.Fatalf("seed %d (-in order +mixed):\n%s", seed, diff)
		}
		for id := range want.trouble { // what is kept of a node's healthy runs begins with the failure that came first
			if w, g := sinceTrouble(want.trouble[id], t0), sinceTrouble(got.trouble[id], t0); len(g) == 0 || g[0].Hash != w[0].Hash {
				t.Fatalf("seed %d: node %d begins with another failure", seed, id)
			}
		}
	}
}

// TestLedgerCountsOnce: the feed may deliver what it delivered hours ago again, failed runs of the change too.
func TestLedgerCountsOnce(t *testing.T) {
	reports := reportsOf(20, 8)
	for i := range reports {
		if reports[i].Environment = "production_2"; i%7 == 0 {
			reports[i].Status = "failed"
		}
	}
	once, _, _, _ := withCourse(t, 20)
	once.add(reports, nil)
	again, _, _, _ := withCourse(t, 20)
	for range 3 {
		again.add(reports, nil)
	}
	if diff := cmp.Diff(once.courses["ntp"].sums, again.courses["ntp"].sums); diff != "" {
		t.Errorf("(-once +three times):\n%s", diff)
	}
	if diff := cmp.Diff(once.trouble, again.trouble); diff != "" || len(once.trouble) == 0 {
		t.Errorf("trouble of %d nodes (-once +three times):\n%s", len(once.trouble), diff)
	}
}

// TestLedgerForgets: trouble that is over does not stay, and no detail is asked for it any more.
func TestLedgerForgets(t *testing.T) {
	l, _, _, _ := withCourse(t, 300)
	l.add(reportsOf(300, 2), nil)
	before, wanted := len(l.trouble), len(l.wanted())
	l.forget(t0.Add(90 * time.Minute))
	if after, left := len(l.trouble), len(l.wanted()); before < 6 || after >= before || after == 0 || left >= wanted || left == 0 {
		t.Errorf("%d nodes with trouble became %d, %d details to be read became %d", before, after, wanted, left)
	}
	l.forget(t0.Add(24 * time.Hour))
	if len(l.trouble) > 0 || len(l.wanted()) > 0 {
		t.Errorf("%d nodes with trouble and %d details are left", len(l.trouble), len(l.wanted()))
	}
}

// TestTooManyEnvironments: where a candidate cannot be told from other environments, no run proves it.
func TestTooManyEnvironments(t *testing.T) {
	l := newLedger(func() time.Time { return t0 })
	if n := l.candidate("production_2"); n == 0 || n != l.env("production_2") {
		t.Fatalf("the first environment has number %d", n)
	}
	for i := range sharedEnv + 10 {
		l.env(fmt.Sprintf("feature_%d", i))
	}
	if n := l.candidate("production_3"); n != 0 || l.env("production_3") != l.env("production_4") || l.candidate("production_2") == 0 {
		t.Errorf("a candidate beyond all numbers has %d", n)
	}
}

// BenchmarkLedger is what a new leader does with its backlog behind the decoder (BenchmarkDecodeLean in puppetdb).
func BenchmarkLedger(b *testing.B) {
	const nodes = 100_000
	reports := reportsOf(nodes, 1)
	for b.Loop() {
		b.StopTimer()
		l, _, _, _ := withCourse(b, nodes)
		b.StartTimer()
		l.add(reports, nil)
	}
	b.ReportMetric(float64(len(reports)*b.N)/b.Elapsed().Seconds(), "reports/s")
}

// BenchmarkPercentageStep is what a rise of a threshold by a hundredth of the nodes costs the leader: who is admitted now, and
// who is in the stage after this one.
func BenchmarkPercentageStep(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l, spec, state, r := withCourse(b, n)
			next := *state
			next.Admissions = append(slices.Clip(slices.Clone(state.Admissions)), gate.Admission{At: t0.Add(2 * time.Hour), Threshold: segments.FromShare(segments.Billion/2 + segments.Billion/100)})
			for b.Loop() {
				l.follow(spec, &next, r, 24*time.Hour, nil)
				if p := r.in("", &next, 1, nil); len(p.Earlier) == 0 {
					b.Fatalf("%d of %d nodes are admitted", len(p.Earlier), n)
				}
				b.StopTimer()
				l.follow(spec, state, r, 24*time.Hour, nil) // back to before it
				r.in("", state, 1, nil)
				b.StartTimer()
			}
		})
	}
}
