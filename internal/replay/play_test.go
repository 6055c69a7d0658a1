package replay

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/internal/fleetsim"
)

const scenario = `
seed: 11
nodes: 600
track: production
baseline: production_a
run_interval: 30m
splay: 5m
history: 0s
retention: 12h
datacenters: {fra1: 60%, ams1: 40%}
roles: {web: 50%, db: 50%}
base: {failing_nodes: 1%, failed_runs: 0.1%}
environments:
  production_good: {changes: false}
  production_bad:
    changes: false
    effects:
      - {kind: fail, share: 30%, resource: "Service[nginx]", file: /code/nginx.pp, line: 14, message: "does not start"}
  production_silent:
    changes: false
    effects:
      - {kind: silent, share: 30%}
`

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// made keeps what recorded made: these tests do not run at the same time.
var made = map[string][2][]byte{}

// recorded is three hours of history and three of a rollout to a tenth of the nodes.
func recorded(t testing.TB, candidate string) (reports, assignments []byte) {
	t.Helper()
	if have, ok := made[candidate]; ok {
		return have[0], have[1]
	}
	sc, err := fleetsim.Parse("scenario", []byte(scenario))
	if err != nil {
		t.Fatal(err)
	}
	a := fleetsim.Admission{Candidate: candidate, Share: .1, At: t0, Ramp: 20 * time.Minute, Salt: candidate}
	s := fleetsim.New(sc, t0.Add(-3*time.Hour), a.Classifier("production_a"))
	s.Advance(t0.Add(3 * time.Hour))
	var r, c bytes.Buffer
	if _, err := s.WriteReports(&r, t0.Add(-3*time.Hour), t0.Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteAssignments(&c, a); err != nil {
		t.Fatal(err)
	}
	made[candidate] = [2][]byte{r.Bytes(), c.Bytes()}
	return r.Bytes(), c.Bytes()
}

func read(t testing.TB, reports, assignments []byte) (*History, *Assignments) {
	t.Helper()
	h := NewHistory()
	if err := h.ReadReports("reports", bytes.NewReader(reports), func(int) {}); err != nil {
		t.Fatal(err)
	}
	h.Sort()
	a, err := ReadAssignments("who", bytes.NewReader(assignments))
	if err != nil {
		t.Fatal(err)
	}
	return h, a
}

func options(candidate string) Options {
	return Options{Name: "r", Policy: analyzer.DefaultPolicy(), Candidate: candidate, Baseline: "production_a", Bake: time.Hour, Every: 4 * time.Minute, Lag: time.Minute, Strata: []string{"role", "datacenter"}}
}

func play(t testing.TB, reports, assignments []byte, o Options) *Outcome {
	t.Helper()
	h, a := read(t, reports, assignments)
	out, err := Play(h, a, o, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGoodChangePasses(t *testing.T) {
	reports, assignments := recorded(t, "production_good")
	out := play(t, reports, assignments, options("production_good"))
	if out.Verdict.Result != analyzer.Pass || out.Exposed != out.Canaries || out.At.Sub(out.Started) < time.Hour || out.Unassigned != 0 || out.Unseen != 0 {
		t.Errorf("%+v", out)
	}
	if last := out.Changes[len(out.Changes)-1]; last.Result != analyzer.Pass || last.At != out.At {
		t.Errorf("the last change is %+v", last)
	}
}

func TestBadChangeFails(t *testing.T) {
	reports, assignments := recorded(t, "production_bad")
	out := play(t, reports, assignments, options("production_bad"))
	c := out.Verdict.Culprit
	if out.Verdict.Result != analyzer.Fail || c == nil || c.Resource != "Service[nginx]" || c.File != "/code/nginx.pp" || c.Line != 14 {
		t.Fatalf("%+v", out.Verdict)
	}
	if out.Exposed >= out.Canaries || out.Exposed < 1 || out.At.Sub(out.Started) > 30*time.Minute {
		t.Errorf("after %s with %d of %d exposed", out.At.Sub(out.Started), out.Exposed, out.Canaries)
	}
}

func TestSilentNodesFail(t *testing.T) {
	reports, assignments := recorded(t, "production_silent")
	out := play(t, reports, assignments, options("production_silent"))
	if out.Verdict.Result != analyzer.Fail || !strings.HasPrefix(out.Verdict.Reason, "silence") {
		t.Errorf("%s: %s", out.Verdict.Result, out.Verdict.Reason)
	}
}

// TestOrderDoesNotMatter: lines in any order, and some of them twice, give the same looks and the same bytes.
func TestOrderDoesNotMatter(t *testing.T) {
	for _, candidate := range []string{"production_good", "production_bad"} {
		reports, assignments := recorded(t, candidate)
		want := play(t, reports, assignments, options(candidate))
		lines := bytes.SplitAfter(bytes.TrimSpace(reports), []byte("\n"))
		lines[len(lines)-1] = append(lines[len(lines)-1], '\n')
		r := rand.New(rand.NewPCG(1, 2))
		lines = append(lines, lines[3], lines[100])
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		got := play(t, bytes.Join(lines, nil), assignments, options(candidate))
		if got.Duplicates != 2 {
			t.Errorf("%s: %d duplicates, want 2", candidate, got.Duplicates)
		}
		got.Duplicates = 0
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: shuffled\n%+v\nin order\n%+v", candidate, got, want)
		}
	}
}

// TestLateReports: what PuppetDB received hours late counts from then on, so nothing is known before. The nodes are silent
// until it comes.
func TestLateReports(t *testing.T) {
	reports, assignments := recorded(t, "production_bad")
	in := play(t, reports, assignments, options("production_bad"))
	h, a := read(t, reports, assignments)
	canary := map[string]bool{}
	for _, n := range a.Nodes {
		canary[n.Certname] = !n.AdmittedAt.IsZero()
	}
	for i := range h.runs {
		if r := &h.runs[i]; canary[r.Certname] && r.Received.After(t0) {
			r.Received = r.Received.Add(2 * time.Hour)
		}
	}
	h.Sort()
	out, err := Play(h, a, options("production_bad"), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	if out.Verdict.Result != analyzer.Fail || !out.At.After(in.At) || out.Exposed > in.Exposed {
		t.Errorf("late: %s at %s with %d exposed; in time: %s with %d", out.Verdict.Reason, out.At, out.Exposed, in.At, in.Exposed)
	}
}

// TestSummariesAgreeWithRuns: judging every run at the end gives what the summaries gave.
func TestSummariesAgreeWithRuns(t *testing.T) {
	for _, candidate := range []string{"production_good", "production_bad", "production_silent"} {
		reports, assignments := recorded(t, candidate)
		o := options(candidate)
		h, a := read(t, reports, assignments)
		out, err := Play(h, a, o, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		strata, err := a.strata(o.Strata)
		if err != nil {
			t.Fatal(err)
		}
		o.planned = out.Canaries
		f := newFleet(h, a, strata, o)
		f.admit(out.At)
		e := f.evidence(out.At)
		e.Runs = nil
		for _, r := range h.runs[:h.until(out.At)] {
			e.Runs = append(e.Runs, r.Run)
		}
		for i := range e.Nodes {
			e.Nodes[i].Summary = nil
		}
		v := analyzer.Look(o.Policy, e)
		got, want := out.Verdict.Counts, v.Counts
		if out.Verdict.Result != v.Result || got.Exposed != want.Exposed || got.Admitted != want.Admitted || got.Failed != want.Failed || got.Silent != want.Silent {
			t.Errorf("%s: %s %+v by summaries, %s %+v by runs\n%s\n%s", candidate, out.Verdict.Result, got, v.Result, want, out.Verdict.Reason, v.Reason)
		}
	}
}

// TestNullMetrics: reports without metrics, logs and events are judged, without a culprit.
func TestNullMetrics(t *testing.T) {
	reports, assignments := recorded(t, "production_bad")
	var bare []byte
	for line := range bytes.Lines(reports) {
		for _, key := range []string{`"metrics":`, `"logs":`, `"resource_events":`} {
			line = nullOf(t, line, key)
		}
		bare = append(bare, line...)
	}
	out := play(t, bare, assignments, options("production_bad"))
	if out.Verdict.Result != analyzer.Fail || out.Verdict.Culprit != nil && out.Verdict.Culprit.Resource != "" {
		t.Errorf("%s: %s, culprit %+v", out.Verdict.Result, out.Verdict.Reason, out.Verdict.Culprit)
	}
}

// nullOf replaces a member's object by null.
func nullOf(t *testing.T, line []byte, key string) []byte {
	t.Helper()
	i := bytes.Index(line, []byte(key))
	if i < 0 {
		t.Fatalf("no %s in %s", key, line)
	}
	from := i + len(key)
	depth := 0
	for j := from; j < len(line); j++ {
		switch line[j] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return append(append(append([]byte{}, line[:from]...), "null"...), line[j+1:]...)
			}
		}
	}
	t.Fatal("no end")
	return nil
}

func TestPlayRefuses(t *testing.T) {
	reports, assignments := recorded(t, "production_good")
	h, a := read(t, reports, assignments)
	alone := func(canaries bool) *Assignments {
		out := &Assignments{Columns: a.Columns}
		for _, n := range a.Nodes {
			if n.AdmittedAt.IsZero() != canaries {
				out.Nodes = append(out.Nodes, n)
			}
		}
		return out
	}
	o := options("production_good")
	late := &Assignments{Columns: a.Columns, Nodes: append([]Assigned{{Certname: "a", AdmittedAt: t0.Add(9 * time.Hour), Values: []string{"", "", ""}}}, alone(false).Nodes...)}
	for _, c := range []struct {
		a    *Assignments
		h    *History
		o    func(Options) Options
		want string
	}{
		{alone(true), h, nil, "no control among the assignments"},
		{alone(false), h, nil, "no canary among the assignments"},
		{a, NewHistory(), nil, "no report"},
		{late, h, nil, "expected reports from after it"},
		{a, h, func(o Options) Options { o.Strata = []string{"role", "rack"}; return o }, `no column "rack" makes strata, expected some of: role, datacenter, os`},
		{a, h, func(o Options) Options { o.Candidate = "production_god"; return o }, "no report has the environment production_god, expected one of: production_a, production_good"},
		{a, h, func(o Options) Options { o.Every = 0; return o }, "every 0s: expected more than 0"},
		{a, h, func(o Options) Options { o.Baseline = o.Candidate; return o }, "candidate and baseline are both"},
		{a, h, func(o Options) Options { o.Policy = analyzer.Policy{}; return o }, "coverage: 0"},
	} {
		o := o
		if c.o != nil {
			o = c.o(o)
		}
		if out, err := Play(c.h, c.a, o, func(int) {}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, %v; want %q", out, err, c.want)
		}
	}
}

// TestUnassigned: nodes in no cohort are counted and judged in none, and nodes that never reported hold a pass back.
func TestUnassigned(t *testing.T) {
	reports, assignments := recorded(t, "production_good")
	lines := strings.SplitAfter(string(assignments), "\n")
	canary := ""
	for _, l := range lines[1:] {
		if strings.Contains(l, ",canary,") {
			canary = l
			break
		}
	}
	rest := strings.Replace(string(assignments), canary, "", 1)
	for i := range 30 {
		rest += strings.Replace(canary, canary[:strings.IndexByte(canary, ',')], "ghost"+string(rune('a'+i)), 1)
	}
	out := play(t, reports, []byte(rest), options("production_good"))
	if out.Unassigned != 1 || out.Unseen != 30 || out.Verdict.Result == analyzer.Pass {
		t.Errorf("%d unassigned, %d unseen, %s: %s", out.Unassigned, out.Unseen, out.Verdict.Result, out.Verdict.Reason)
	}
}
