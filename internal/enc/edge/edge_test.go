package edge

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

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/segments"
)

// server is a puppetserver's edge with a site ENC: a script that answers from files.
type server struct {
	*testing.T
	*Edge
	kv   store.Store
	dir  string
	down bool
}

func newServer(t *testing.T) *server {
	dir := t.TempDir()
	s := &server{T: t, dir: dir, kv: mem.New()}
	s.write("site/enc.sh", "#!/bin/sh\n[ -f "+dir+"/site/slow ] && sleep 20\ncat "+dir+"/site/$1 || exit 7\n", 0o755)
	for _, env := range []string{"production", "production_new"} {
		s.write("environments/"+env+"/environment.conf", "", 0o644)
	}
	s.write("environments/production_new/.r10k-deploy.json", `{"signature":"abc123"}`, 0o644)
	s.Edge = &Edge{
		Config: Config{
			StateDir: dir + "/state", Host: "puppet1", EnvironmentPath: dir + "/environments", Manifest: dir + "/rendered/manifest",
			Flags: dir + "/rendered/flags", MetricsFile: dir + "/sluice.prom", Limit: Limit{Share: "100%"},
			Upstream: Upstream{Command: dir + "/site/enc.sh", Timeout: 2 * time.Second},
		},
		Now: time.Now,
		Store: func() (store.Store, error) {
			if s.down {
				return nil, errors.New("no route")
			}
			return s.kv, nil
		},
	}
	if err := s.Config.setDefaults(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *server) write(name, content string, mode os.FileMode) {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		s.Fatal(err)
	}
}

func (s *server) publish(d segments.Document) Status {
	s.Helper()
	m, err := enc.Encode(d)
	if err != nil {
		s.Fatal(err)
	}
	s.write("rendered/manifest", string(m), 0o644)
	return s.accept()
}

func (s *server) accept() Status {
	s.Helper()
	st, err := s.Accept(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	return st
}

func (s *server) answer(certname string) string {
	s.Helper()
	u, _, err := s.Answer(s.Context(), certname)
	if err != nil {
		return "error: " + err.Error()
	}
	return string(u.Out)
}

func document(generation uint64, stages ...segments.Stage) segments.Document {
	d := segments.Document{Format: segments.Format, Epoch: "e", Generation: generation, Written: time.Now().UTC(), Sets: map[string]int{},
		Tracks: []segments.Track{{Name: "production", Baseline: "production", Nodes: 3}}}
	if len(stages) > 0 {
		d.Rollouts = []segments.Rollout{{Name: "ntp", Track: "production", Candidate: "production_new", Stages: stages}}
	}
	return d
}

const (
	onTrack  = "---\n# a comment of the site\nenvironment: production\nclasses: {ntp: {servers: [a, b]}}\nparameters:\n  datacenter: fra1\n"
	offTrack = "environment:   development\nclasses: [x]\n"
	silent   = "classes: {}\nparameters: {datacenter: ams1}\n"
)

func TestOverlay(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.write("site/off", offTrack, 0o644)
	s.write("site/silent", silent, 0o644)
	s.write("site/member", silent, 0o644)
	s.write("site/garbage", "{{{", 0o644)
	s.write("site/empty", "\n", 0o644)
	if got := s.answer("on"); !strings.Contains(got, lookup.ErrNotReady.Error()) {
		t.Errorf("before the first document: %q", got)
	}
	members := segments.NewSet([]string{"member"})
	d := document(1)
	d.Tracks[0].Members, d.Sets[members.Digest] = members.Digest, 1
	s.putSet(members)
	if st := s.publish(d); st.Refused != "" || !st.Ready {
		t.Fatalf("%+v", st)
	}
	for name, want := range map[string]string{"on": onTrack, "off": offTrack, "silent": silent, "garbage": "{{{", "empty": "\n"} {
		if got := s.answer(name); got != want {
			t.Errorf("installing sluice changed the answer for %s: %q", name, got)
		}
	}
	if got := s.answer("member"); !strings.Contains(got, "environment: production") || !strings.Contains(got, "datacenter: ams1") {
		t.Errorf("member: %q", got)
	}
	if u, _, err := s.Answer(t.Context(), "unknown"); err != nil || u.ExitCode != 7 {
		t.Errorf("upstream's failure: %+v %v", u, err)
	}
	d.Generation, d.Rollouts = 2, document(2, segments.Stage{Name: "all", Threshold: segments.All}).Rollouts
	s.publish(d)
	got := s.answer("on")
	for _, want := range []string{"environment: production_new", "servers: [a, b]", "datacenter: fra1", "# a comment of the site"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	if got := s.answer("off"); got != offTrack {
		t.Errorf("off the track: %q", got)
	}
}

func (s *server) putSet(set segments.Set) {
	s.Helper()
	for n, shard := range set.Shards() {
		if err := s.kv.Txn(s.Context(), store.Set(SetKey(set.Digest, n), shard)); err != nil {
			s.Fatal(err)
		}
	}
}

func TestParametersAreLaidBesideTheSites(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.write("site/bare", "environment: production\nclasses: {}\n", 0o644)
	d := document(1, segments.Stage{Name: "all", Threshold: segments.All})
	d.Rollouts[0].Candidate, d.Rollouts[0].Parameters = "", map[string]any{"hardening": true}
	s.publish(d)
	for _, name := range []string{"on", "bare"} {
		if got := s.answer(name); !strings.Contains(got, "sluice:") || !strings.Contains(got, "hardening") || !strings.Contains(got, "environment: production\n") {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestMissingEnvironmentIsNeverReturned(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.publish(document(1, segments.Stage{Name: "all", Threshold: segments.All}))
	if err := os.RemoveAll(s.dir + "/environments/production_new"); err != nil {
		t.Fatal(err)
	}
	if got := s.answer("on"); got != onTrack {
		t.Errorf("candidate missing: %q", got)
	}
	if st := s.accept(); st.Code["production_new"] != CodeMissing || st.Code["production"] != CodeUnpinned {
		t.Errorf("%v", st.Code)
	}
	if err := os.RemoveAll(s.dir + "/environments/production"); err != nil {
		t.Fatal(err)
	}
	if got := s.answer("on"); !strings.HasPrefix(got, "error") {
		t.Errorf("baseline missing: %q", got)
	}
}

func TestUpstreamTimeout(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.publish(document(1))
	s.answer("on")
	s.Config.Upstream.Timeout = 50 * time.Millisecond
	s.write("site/slow", "", 0o644)
	if u, _, err := s.Answer(t.Context(), "on"); err != nil || !u.Stale || string(u.Out) != onTrack {
		t.Errorf("%+v %v", u, err)
	}
	if got := s.answer("never-asked"); !strings.HasPrefix(got, "error") {
		t.Errorf("%q", got)
	}
}

func TestSetsAreFetchedOnceAndChecked(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	set := segments.NewSet([]string{"on"})
	d := document(1, segments.Stage{Name: "canary", Set: set.Digest, Threshold: segments.All})
	d.Sets[set.Digest] = 1
	if st := s.publish(d); st.Refused == "" || st.Ready {
		t.Fatalf("a set nobody has: %+v", st)
	}
	s.putSet(set)
	if st := s.accept(); st.Refused != "" || !strings.Contains(s.answer("on"), "production_new") {
		t.Fatalf("%+v", st)
	}
	s.down = true // from here on the network is not needed
	if st := s.accept(); st.Refused != "" || !strings.Contains(s.answer("on"), "production_new") {
		t.Errorf("%+v", st)
	}
	path := filepath.Join(s.Config.StateDir, lookup.SetsDir, set.Digest)
	if err := os.WriteFile(path, []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := s.answer("on"); !strings.HasPrefix(got, "error") {
		t.Errorf("a torn set answered %q", got)
	}
	s.down = false
	if s.accept(); !strings.Contains(s.answer("on"), "production_new") {
		t.Error("accept did not repair a torn set")
	}
}

// Stops act whatever is wrong with the rest, and survive everything that can happen to the files.
func TestStopsWithoutADocument(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.publish(document(1, segments.Stage{Name: "all", Threshold: segments.All}))
	s.write("rendered/flags", "\"ntp/backout\" \"true\"\n\"ntp/pa", 0o644) // torn, too
	s.write("rendered/manifest", "", 0o644)
	if st := s.accept(); !st.Stops.BackedOut("ntp") || s.answer("on") != onTrack {
		t.Fatalf("%+v %q", st, s.answer("on"))
	}
	for _, flags := range []string{"", "end\n", "\"ntp/backout\" \"\"\nend\n"} {
		s.write("rendered/flags", flags, 0o644)
		if s.accept(); s.answer("on") != onTrack {
			t.Errorf("flags %q ended a back-out", flags)
		}
	}
	if err := os.WriteFile(filepath.Join(s.Config.StateDir, stateFile), []byte("{torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Accept(t.Context()); err == nil || s.answer("on") != onTrack {
		t.Errorf("a torn state: %v, %q", err, s.answer("on"))
	}
}

func TestLocalFiles(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.publish(document(1, segments.Stage{Name: "all", Threshold: segments.None}))
	s.write("state/stop", "", 0o644)
	if st := s.publish(document(2, segments.Stage{Name: "all", Threshold: segments.All})); s.answer("on") != onTrack || len(st.Clamped) == 0 {
		t.Errorf("stop file: %+v", st)
	}
	if err := os.Remove(s.dir + "/state/stop"); err != nil {
		t.Fatal(err)
	}
	if s.accept(); !strings.Contains(s.answer("on"), "production_new") {
		t.Error("after the stop file")
	}
	s.write("state/baseline", "", 0o644)
	if s.answer("on") != onTrack {
		t.Error("the baseline file acts on the next lookup, with no accept")
	}
}

func TestReportAndExplain(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.write("rendered/flags", "\"ntp/pause\" \"maybe\"\nend\n", 0o644)
	s.publish(document(4, segments.Stage{Name: "all", Threshold: segments.All}))
	entry, err := s.kv.Get(t.Context(), "edges/puppet1")
	if err != nil {
		t.Fatal(err)
	}
	var st Status
	if err := json.Unmarshal(entry.Value, &st); err != nil || st.Generation != 4 || st.Code["production_new"] != "abc123" || len(st.Loud) != 1 {
		t.Errorf("%+v %v", st, err)
	}
	metrics, err := os.ReadFile(s.Config.MetricsFile)
	if err != nil || !strings.Contains(string(metrics), "\nsluice_enc_generation 4\n") {
		t.Errorf("%s %v", metrics, err)
	}
	var text strings.Builder
	if err := s.Explain(context.Background(), &text, "on"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"generation 4", "ntp is paused (unreadable)", "track: production", "not admitted", "environment: production\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

func TestAudit(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.write("site/off", offTrack, 0o644)
	s.write("site/silent", silent, 0o644)
	members := segments.NewSet([]string{"silent"})
	d := document(1)
	d.Tracks[0].Members, d.Sets[members.Digest] = members.Digest, 1
	s.putSet(members)
	s.publish(d)
	audit := func(nodes string) string {
		var out []string
		asked, err := s.Audit(t.Context(), strings.NewReader(nodes), func(d Difference) { out = append(out, fmt.Sprint(d)) })
		if err != nil || asked != 3 {
			t.Fatalf("%d %v", asked, err)
		}
		return strings.Join(out, "\n")
	}
	if got := audit("on,production\noff,development\nsilent,production\n"); got != "" {
		t.Errorf("day zero: %s", got)
	}
	if got := audit("on\noff\nsilent,development\n"); !strings.Contains(got, "{silent development production") {
		t.Errorf("a member that last ran elsewhere: %s", got)
	}
	d.Generation, d.Rollouts = 2, document(2, segments.Stage{Name: "all", Threshold: segments.All}).Rollouts
	s.publish(d)
	if got := audit("on\noff\nsilent,production\n"); strings.Count(got, "production_new") != 2 {
		t.Errorf("during a rollout: %s", got)
	}
}

func TestLoadConfigRefuses(t *testing.T) {
	for content, want := range map[string]string{
		"state_dirr: x":               "state_dirr",
		"limit: {share: 10}":          "limit.share",
		"limit: {share: 101%}":        "limit.share",
		"limit: {nodes: -1}":          "limit.nodes",
		"upstream: {command: enc.sh}": "upstream.command",
		"upstream: {timeout: -3s}":    "upstream.timeout",
		"host: a/b":                   "host",
		"- a list":                    "cannot unmarshal",
		"upstream: {timeout: soon}":   "soon",
		"environment_path: [a]":       "cannot unmarshal",
		"manifest: x\nmanifest: y":    "already defined",
	} {
		path := filepath.Join(t.TempDir(), "enc.yml")
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	if _, err := LoadConfig("/nonexistent/enc.yml"); err == nil {
		t.Error("a named file that is missing gave no error")
	}
}

// An edge that cannot install what it accepted says what lookups obey, not what it would have liked.
func TestCannotInstall(t *testing.T) {
	s := newServer(t)
	s.write("site/on", onTrack, 0o644)
	s.publish(document(1, segments.Stage{Name: "all", Threshold: segments.All}))
	path := filepath.Join(s.Config.StateDir, lookup.AdmissionsFile)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s.write("state/"+lookup.AdmissionsFile+"/in-the-way", "", 0o644) // a directory cannot be replaced by a file
	d := document(2, segments.Stage{Name: "all", Threshold: segments.All})
	d.Rollouts[0].BackedOut, d.Rollouts[0].Stages = true, nil
	m, err := enc.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	s.write("rendered/manifest", string(m), 0o644)
	st, err := s.Accept(t.Context())
	if err == nil || st.Generation != 1 || len(st.BackedOut) != 0 || !strings.Contains(st.Refused, "cannot install") {
		t.Errorf("%+v %v", st, err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	s.write("state/"+lookup.AdmissionsFile, string(good), 0o644)
	if st := s.accept(); st.Generation != 2 || s.answer("on") != onTrack {
		t.Errorf("when there is room again: %+v", st)
	}
}
