package fleetsim

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/analyzer/sli"
	"github.com/openinfrastructure/sluice/puppetdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testdata = "../../testdata/fleetsim/"

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

func load(t testing.TB, name string) Scenario {
	t.Helper()
	sc, err := Load(testdata + name)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// always gives every node one environment.
func always(environment string) Classifier {
	return func(int, string, time.Time) Answer { return Answer{Environment: environment} }
}

// played is a fleet that has had a change for two hours.
func played(t testing.TB, sc Scenario, c Classifier) *Sim {
	t.Helper()
	s := New(sc, t0, c)
	s.Advance(t0.Add(2 * time.Hour))
	return s
}

func written(t *testing.T, s *Sim) string {
	t.Helper()
	var b bytes.Buffer
	if n, err := s.WriteReports(&b, t0.Add(-3*time.Hour), t0.Add(3*time.Hour)); err != nil || n < 1000 {
		t.Fatalf("%d reports, %v", n, err)
	}
	return b.String()
}

// TestSameSeedSameBytes: nothing but the scenario decides, however the time is cut and however many threads there are.
func TestSameSeedSameBytes(t *testing.T) {
	sc := load(t, "everything.yml")
	want := written(t, played(t, sc, always("production_fail")))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := New(sc, t0, always("production_fail"))
	for at := t0; at.Before(t0.Add(2 * time.Hour)); at = at.Add(7 * time.Second) {
		s.Advance(at)
	}
	s.Advance(t0.Add(2 * time.Hour))
	if got := written(t, s); got != want {
		t.Error("the same scenario gave other reports")
	}
	sc.Seed++
	if got := written(t, played(t, sc, always("production_fail"))); got == want {
		t.Error("another seed gave the same reports")
	}
}

// outcomes counts how the judge reads the reports since t0, per environment that should have been run.
func outcomes(t *testing.T, s *Sim, candidate string) (n map[analyzer.Outcome]int, exposed, nodes int) {
	t.Helper()
	n = map[analyzer.Outcome]int{}
	seen := map[string]bool{}
	for _, r := range s.between(t0.Add(2*time.Minute), time.Time{}) {
		rep, d := s.report(r), s.detail(r)
		run := analyzer.Run{Hash: rep.Hash, Certname: rep.Certname, Environment: rep.Environment, Status: rep.Status, Noop: rep.Noop,
			CachedCatalog: rep.CachedCatalogStatus, CatalogUUID: rep.CatalogUUID, Start: rep.StartTime, End: rep.EndTime, Produced: rep.ProducerTimestamp}
		run.Detail = &analyzer.Detail{Metrics: map[string]float64{}}
		for _, m := range d.Metrics {
			run.Detail.Metrics[m.Category+"/"+m.Name] = m.Value
		}
		c := run.Classify(candidate)
		n[c.Outcome]++
		if c.Exposed {
			exposed++
		}
		seen[rep.Certname] = true
	}
	return n, exposed, len(seen)
}

// TestEffects: what a scenario says is what the judge reads in the reports.
func TestEffects(t *testing.T) {
	sc := load(t, "everything.yml")
	quiet := sc
	quiet.Base, quiet.Outages, quiet.Churn = Base{}, Outages{}, Churn{}
	for env, want := range map[string]struct {
		outcome  analyzer.Outcome
		from, to float64 // share of all runs
	}{
		"production_fail":    {analyzer.Failed, .025, .05},              // 5 % of the web nodes, 70 %
		"production_compile": {analyzer.CompileFailed, .2, .3},          // RedHat, 25 %
		"production_hidden":  {analyzer.HiddenCompileFailure, .07, .13}, // 10 %
		"production_second":  {analyzer.Failed, .025, .05},              // 5 %, in three runs of four
		"production_rare":    {analyzer.Failed, 0, .003},                // 1 in 10,000
		"production_slow":    {analyzer.OK, 1, 1},                       // nothing fails
		"production_silent":  {analyzer.OK, 1, 1},                       // nothing is reported
		"production_1":       {analyzer.OK, 1, 1},                       // the baseline itself
	} {
		s := played(t, quiet, always(env))
		n, exposed, nodes := outcomes(t, s, env)
		total := 0
		for _, k := range n {
			total += k
		}
		if share := float64(n[want.outcome]) / float64(total); share < want.from || share > want.to {
			t.Errorf("%s: %.3g of the runs are %s, want %g to %g: %v", env, share, want.outcome, want.from, want.to, n)
		}
		if exposed == 0 || env == "production_silent" && (nodes < 1900 || nodes > 1990) || env == "production_slow" && nodes != 2000 {
			t.Errorf("%s: %d exposed runs of %d nodes", env, exposed, nodes)
		}
	}
	n, _, _ := outcomes(t, played(t, sc, nil), "production_fail")
	if n[analyzer.NotExposed] < 5000 || n[analyzer.Noop] == 0 || n[analyzer.Failed] == 0 || n[analyzer.OK] > 0 {
		t.Errorf("without a change: %v", n)
	}
}

func TestParameters(t *testing.T) {
	sc := load(t, "everything.yml")
	sc.Base, sc.Outages, sc.Churn = Base{}, Outages{}, Churn{}
	s := played(t, sc, func(int, string, time.Time) Answer {
		return Answer{Environment: "production_1", Parameters: map[string]any{"sshd_hardening": true}}
	})
	failed := 0
	for _, r := range s.between(t0, time.Time{}) {
		if r.kind == failedRun {
			failed++
			if e := s.cause(r); e.Resource != "Service[sshd]" {
				t.Fatalf("the cause is %s", e.Resource)
			}
		}
	}
	if failed < 1000 {
		t.Errorf("%d runs failed, want those of a quarter of the nodes", failed)
	}
	s = played(t, sc, func(int, string, time.Time) Answer {
		return Answer{Environment: "production_1", Parameters: map[string]any{"sshd_hardening": false}}
	})
	if n, _, _ := outcomes(t, s, "x"); n[analyzer.Failed] > 0 {
		t.Errorf("a flag that is off: %v", n)
	}
}

func TestHabits(t *testing.T) {
	sc := load(t, "everything.yml")
	sc.Churn = Churn{Join: .01, Leave: .01}
	s := played(t, sc, nil)
	there, gone := 0, 0
	for i := range s.Size() {
		if s.here(i, t0.Add(2*time.Hour)) {
			there++
		} else {
			gone++
		}
	}
	if gone < 500 || gone > 700 { // who comes or goes at all does so within 30 days
		t.Errorf("%d nodes are there and %d are not yet or no more", there, gone)
	}
	listed := 0
	s.Nodes(func(n puppetdb.NodeStatus) bool { listed++; return n.Certname != "" })
	if listed != there {
		t.Errorf("%d nodes are listed, %d are there", listed, there)
	}
	sc.Churn, sc.Outages = Churn{}, Outages{PerRackDay: 1, For: model.Duration(12 * time.Hour)}
	with, without := played(t, sc, nil).between(t0, time.Time{}), 0
	sc.Outages = Outages{}
	without = len(played(t, sc, nil).between(t0, time.Time{}))
	if float64(len(with)) > .8*float64(without) {
		t.Errorf("%d reports with every rack down for half of the day, %d without", len(with), without)
	}
}

func TestBadScenarios(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "is empty, expected a scenario",
		"nodes: 10\nrunintervall: 5": "field runintervall not found",
		"nodes: -1":                  "nodes: -1, expected 1 to 5000000",
		"nodes: many":                "cannot unmarshal",
		"roles: {web: 50%}":          "roles: 50%, expected shares that add up to 100%",
		"roles: {web: half}":         `line 1: "half", expected a percentage from 0% to 100%`,
		"run_interval: 10s\nrun_time: {median: 20s}":                               "run_time.median: 20s, expected less than run_interval",
		"environments: {production_1: {effects: [{kind: explode}]}}":               `environments.production_1.effects[0].kind: "explode", expected one of fail, compile_fail, hidden, slow, silent, sli`,
		"environments: {production-1: {}}":                                         "environments.production-1: production-1, expected letters, digits and _",
		"environments: {a: {effects: [{kind: fail, resource: nginx}]}}":            `environments.a.effects[0].resource: "nginx", expected Type[title]`,
		"environments: {a: {effects: [{kind: silent, where: '{role=\"web\"}'}]}}":  `environments.a.effects[0].where: selector {role="web"}: unknown attribute "role"`,
		"environments: {a: {effects: [{kind: sli, metric: nothing, value: 0.5}]}}": `environments.a.effects[0].metric: "nothing", expected one of metrics`,
	} {
		_, err := Parse("fleet.yml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), "fleet.yml: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want fleet.yml: … %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("nodes: 10\nroles: {web: 100%}")
	f.Add("environments: {a: {effects: [{kind: fail, resource: 'A[b]', share: 0.01%}]}}")
	f.Fuzz(func(t *testing.T, text string) {
		sc, err := Parse("f", []byte(text))
		if err != nil || sc.Nodes > 50 || time.Duration(sc.History) > 20*time.Duration(sc.RunInterval) {
			return
		}
		s := New(sc, t0, nil)
		s.Advance(t0.Add(2 * time.Duration(sc.RunInterval)))
	})
}

// served gives the client of a fleet that answers over HTTP.
func served(t *testing.T, s *Sim) (*puppetdb.Client, string) {
	t.Helper()
	h := httptest.NewServer(s.Handler())
	t.Cleanup(h.Close)
	c, err := puppetdb.New(puppetdb.Config{URL: h.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, h.URL
}

// TestServedIsWhatHappened: the client reads over HTTP what the simulation knows.
func TestServedIsWhatHappened(t *testing.T) {
	s := played(t, load(t, "everything.yml"), always("production_fail"))
	c, url := served(t, s)
	var got []puppetdb.Report
	if err := c.Reports(t.Context(), t0, t0.Add(time.Hour), func(r puppetdb.Report) error { got = append(got, r); return nil }); err != nil {
		t.Fatal(err)
	}
	var want []puppetdb.Report
	s.Reports(t0, t0.Add(time.Hour), func(r puppetdb.Report) bool { want = append(want, r); return true })
	if len(got) < 1000 || !slices.Equal(got, want) {
		t.Fatalf("%d reports over HTTP, %d in the simulation, or others", len(got), len(want))
	}
	var hashes []string
	for _, r := range got {
		if r.Status == "failed" {
			hashes = append(hashes, r.Hash)
		}
	}
	details, err := c.Details(t.Context(), hashes)
	if err != nil || len(details) != len(hashes) || len(hashes) == 0 {
		t.Fatalf("%d details of %d failed runs, %v", len(details), len(hashes), err)
	}
	nodes, facts := 0, 0
	if err := c.Nodes(t.Context(), func(puppetdb.NodeStatus) error { nodes++; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := c.InventoryOf(t.Context(), []string{"facts.role", "facts.os.family"}, []any{"=", "facts.role", "db"}, func(n puppetdb.Node) error {
		if n.Facts["role"] != "db" {
			t.Errorf("%s: %v", n.Certname, n.Facts)
		}
		facts++
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if nodes < 1800 || facts < 400 || facts > nodes/2 {
		t.Errorf("%d nodes, %d of them databases", nodes, facts)
	}
	p, err := sli.New(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	if err := p.Reachable(t.Context()); err != nil {
		t.Error(err)
	}
	sample, err := p.Sample(t.Context(), sli.Query{Name: "errors", PromQL: `app_errors_ratio{role="web"}`}, t0.Add(2*time.Hour))
	if err != nil || len(sample.Values) < 1000 {
		t.Errorf("%d values, %v", len(sample.Values), err)
	}
	if _, err := p.Sample(t.Context(), sli.Query{Name: "errors", PromQL: `rate(app_errors_ratio[5m])`}, t0); err == nil || !strings.Contains(err.Error(), "a simulated fleet answers") {
		t.Errorf("a query that it does not know: %v", err)
	}
}

// TestFaults: a PuppetDB that is slow, cuts off and repeats itself loses nothing for the feed.
func TestFaults(t *testing.T) {
	sc := load(t, "everything.yml")
	sc.Nodes = 300
	sc.Faults = Faults{Slow: model.Duration(time.Millisecond), Cut: .3, Repeat: .3, Fail: .05}
	s := New(sc, t0, nil)
	c, _ := served(t, s)
	feed, err := puppetdb.NewFeed(c, t0, puppetdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, broken := map[string]int{}, 0
	for at := t0; at.Before(t0.Add(2 * time.Hour)); at = at.Add(20 * time.Minute) {
		s.Advance(at)
		b, err := feed.Poll(t.Context(), at)
		if err != nil || b.Incomplete != nil {
			broken++
		}
		for _, r := range b.Reports {
			got[r.Hash]++
		}
	}
	s.Advance(t0.Add(2 * time.Hour))
	for range 50 { // until all of it came through
		b, err := feed.Poll(t.Context(), t0.Add(2*time.Hour))
		if err == nil && b.Incomplete == nil && len(b.Reports) == 0 {
			break
		}
		for _, r := range b.Reports {
			got[r.Hash]++
		}
	}
	want := 0
	s.Reports(t0, time.Time{}, func(r puppetdb.Report) bool {
		want++
		if got[r.Hash] != 1 {
			t.Errorf("report %s of %s was delivered %d times", r.Hash, r.Certname, got[r.Hash])
		}
		return !t.Failed()
	})
	if want < 1000 || broken < 1 {
		t.Errorf("%d reports, %d broken polls: the test breaks nothing", want, broken)
	}
}

func TestAdmission(t *testing.T) {
	sc := load(t, "everything.yml")
	a := Admission{Candidate: "production_slow", Share: .1, At: t0, Ramp: time.Hour, Salt: "x"}
	s := New(sc, t0, a.Classifier("production_1"))
	s.Advance(t0.Add(2 * time.Hour))
	var csv bytes.Buffer
	if err := s.WriteAssignments(&csv, a); err != nil {
		t.Fatal(err)
	}
	canaries := strings.Count(csv.String(), ",canary,")
	if canaries < 150 || canaries > 250 || strings.Count(csv.String(), "\n") != 2001 {
		t.Errorf("%d canaries in %d lines", canaries, strings.Count(csv.String(), "\n"))
	}
	ran := map[string]bool{}
	s.Reports(t0, time.Time{}, func(r puppetdb.Report) bool {
		if r.Environment == "production_slow" {
			ran[r.Certname] = true
			if at := a.of(r.Certname); at.IsZero() || r.ProducerTimestamp.Before(at) {
				t.Errorf("%s ran the candidate at %s, admitted at %s", r.Certname, r.ProducerTimestamp, at)
			}
		}
		return true
	})
	if len(ran) < canaries*9/10 {
		t.Errorf("%d of %d canaries ran the candidate", len(ran), canaries)
	}
	for line := range strings.Lines(written(t, s)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil || row["certname"] == nil || row["producer_timestamp"] == nil {
			t.Fatalf("%s: %v", line, err)
		}
		break
	}
}

func TestServe(t *testing.T) {
	var out, errOut bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := Main(ctx, []string{"serve", "--scenario", testdata + "demo.yml", "--environments", t.TempDir()}, &out, &errOut); code != 0 || !strings.Contains(out.String(), "20000 nodes on http://127.0.0.1:") {
		t.Errorf("exit %d, %s%s", code, out.String(), errOut.String())
	}
	for _, tc := range []struct{ args, want string }{
		{"check " + testdata + "everything.yml", "2000 nodes, a run every 30m (1.111 reports/s), 8 environments"},
		{"check " + testdata + "nothing.yml", "no such file"},
		{"write --scenario " + testdata + "everything.yml --reports /dev/null --candidate production_typo", `environment "production_typo" is not in`},
		{"write --scenario " + testdata + "everything.yml --reports /dev/null --admit lots", `--admit: "lots", expected a percentage`},
		{"write --scenario " + testdata + "everything.yml --reports " + t.TempDir() + "/r.ndjson --for 1h --candidate production_fail", "reports of 2000 nodes"},
	} {
		out.Reset()
		errOut.Reset()
		Main(t.Context(), strings.Fields(tc.args), &out, &errOut)
		if said := out.String() + errOut.String(); !strings.Contains(said, tc.want) {
			t.Errorf("fleetsim %s: %s, want %q", tc.args, said, tc.want)
		}
	}
}

func BenchmarkRuns(b *testing.B) {
	sc := load(b, "demo.yml")
	s := New(sc, t0, nil)
	at := t0
	runs := s.Runs()
	for b.Loop() {
		at = at.Add(time.Second)
		s.Advance(at)
	}
	b.ReportMetric(float64(s.Runs()-runs)/b.Elapsed().Seconds(), "runs/s")
}
