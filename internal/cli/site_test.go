package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

var update = flag.Bool("update", false, "write the golden files anew")

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// site is an installation with a store that the leader's part is written into by hand.
type site struct {
	t     testing.TB
	store store.Store
	now   time.Time
	p     *program
	other sync.WaitGroup // who acts beside the command
}

func bareSite(t testing.TB) *site {
	s := &site{t: t, store: mem.New().As("anna@example.com (token 1234abcd)"), now: t0}
	s.p = &program{
		open: func(connection) (store.Store, error) { return s.store, nil }, now: func() time.Time { return s.now },
		getenv: func(string) string { return "" }, user: func() string { return "root@admin1" }, terminal: func(io.Writer) *screen { return nil },
	}
	return s
}

func newSite(t testing.TB) *site {
	s := bareSite(t)
	s.ok("init", "--track", "production=production_a")
	return s
}

// run runs a command and returns its exit code and output. Every run has flags of its own.
func (s *site) run(args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	return s.runIn(s.t.Context(), args...)
}

func (s *site) runIn(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	p := *s.p
	code = p.run(ctx, args, strings.NewReader(""), &out, &errOut)
	return code, out.String(), errOut.String()
}

func (s *site) ok(args ...string) string {
	s.t.Helper()
	code, out, errOut := s.run(args...)
	if code != ExitOK || errOut != "" {
		s.t.Fatalf("sluice %q: exit %d, stderr %q", args, code, errOut)
	}
	return out
}

// fails runs a command that must end with that code and an error that says want.
func (s *site) fails(code int, want string, args ...string) {
	s.t.Helper()
	got, _, errOut := s.run(args...)
	if got != code || !strings.Contains(errOut, want) || !strings.HasPrefix(errOut, "sluice: ") {
		s.t.Errorf("sluice %q: exit %d, stderr %q; want exit %d and %q", args, got, errOut, code, want)
	}
}

func (s *site) put(key string, v any) {
	s.t.Helper()
	data, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		if err != nil {
			s.t.Fatal(err)
		}
		data = string(b)
	}
	if err := s.store.Txn(s.t.Context(), store.Set(key, []byte(data))); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) get(key string) string {
	s.t.Helper()
	e, err := s.store.Get(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(e.Value)
}

// publish writes a document of the present epoch.
func (s *site) publish(change func(d *segments.Document)) {
	s.t.Helper()
	d, _, err := enc.Decode([]byte(s.get(tree.ManifestKey)))
	if err != nil {
		s.t.Fatal(err)
	}
	d.Generation++
	change(&d)
	data, err := enc.Encode(d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.put(tree.ManifestKey, string(data))
}

func specOf(name string) gate.Spec {
	stage := func(name, segment string, percent schedule.Percent) schedule.Stage {
		return schedule.Stage{Name: name, Segment: segment, Percent: percent, Bake: schedule.Bake{Time: model.Duration(time.Hour), Runs: 2}, Pass: schedule.PassClean}
	}
	one := stage("one", "", 0)
	one.Nodes = 1
	rest := stage("rest", "", schedule.Hundred)
	rest.Approval, rest.Windows = true, []string{"office", "night"}
	return gate.Spec{
		Name: name, Salt: name, Track: "production", Candidate: "production_8f3c2d1a", Baseline: "production_a", Change: "8f3c2d1a",
		By: "ben@example.com", Reason: "ntp pools", Created: t0.Add(-50 * time.Hour),
		Schedule: schedule.Schedule{Stages: []schedule.Stage{one, stage("quarter", "fra1", schedule.Hundred/4), rest}},
	}
}

// rollout writes a rollout in its second stage as the leader would, changed by the test.
func (s *site) rollout(name string, change func(r *tree.Rollout)) {
	s.t.Helper()
	r := tree.Rollout{Spec: specOf(name)}
	r.State = gate.State{Phase: gate.Running, Since: t0.Add(-49 * time.Hour), Stages: []gate.StageState{
		{Name: "one", Count: 12_000, Target: "0000100000000000", Threshold: "0000100000000000", Since: t0.Add(-49 * time.Hour), Full: t0.Add(-49 * time.Hour), Passed: t0.Add(-26 * time.Hour)},
		{Name: "quarter", Set: "", Count: 4000, Target: "4000000000000000", Threshold: "4000000000000000", Since: t0.Add(-3 * time.Hour), Full: t0.Add(-20 * time.Minute)},
	}}
	r.Status = tree.Status{
		At: t0.Add(-4 * time.Second), Leader: "sluiced@a", StillToRun: 12, Planned: []int{1, 1000, -1},
		Verdict: analyzer.Verdict{Reason: "12 nodes have yet to run", Missing: []string{"12 more exposed nodes"}, Evidence: "5e884898",
			Counts: analyzer.Counts{Admitted: 1001, Live: 1001, Exposed: 989},
			Checks: []analyzer.Check{{Name: "compile", Result: analyzer.Pass, Reason: "0 of 1001 admitted nodes"}, {Name: "silence", Reason: "12 are not overdue yet"}}},
		Gates: []gate.Gate{
			{Name: "coverage", Open: true, Reason: "989 of 1001 live admitted nodes have run the change"},
			{Name: "bake", Source: "schedule", Reason: "bakes for 1h, until 2026-11-02T08:40:00Z", Next: t0.Add(40 * time.Minute)},
			{Name: "verdict", Source: "analyzer", Reason: "inconclusive: 12 nodes have yet to run"},
			{Name: "freeze", Open: true, Reason: "nothing is frozen"},
			{Name: "pause", Open: true, Reason: "not paused"},
		},
	}
	if change != nil {
		change(&r)
	}
	var ops []store.Op // in one, as the leader does
	for key, v := range map[string]any{tree.SpecKey(name): r.Spec, tree.StateKey(name): r.State, tree.StatusKey(name): r.Status} {
		data, err := json.Marshal(v)
		if err != nil {
			s.t.Fatal(err)
		}
		ops = append(ops, store.Set(key, data))
	}
	if err := s.store.Txn(s.t.Context(), ops...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) edge(host string, change func(e *edge.Status)) {
	e := edge.Status{Host: host, At: t0.Add(-20 * time.Second), Ready: true, Epoch: "e", Generation: 2, Code: map[string]string{"production_a": "abc"}}
	if change != nil {
		change(&e)
	}
	s.put(tree.EdgeKey(host), e)
}

// shut closes a gate, in front of the others.
func shut(r *tree.Rollout, g gate.Gate) { r.Status.Gates = append([]gate.Gate{g}, r.Status.Gates...) }

var epochs = regexp.MustCompile(`\b[0-9a-f]{32}\b`)

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = epochs.ReplaceAllString(got, "EPOCH")
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// transcript is a command, its exit code and its output.
func (s *site) transcript(args ...string) string {
	code, out, errOut := s.run(args...)
	return fmt.Sprintf("$ sluice %s\n%s%s[exit %d]\n", strings.Join(args, " "), out, errOut, code)
}
