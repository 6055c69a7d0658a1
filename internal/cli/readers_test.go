package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// conditions are the ways in which a rollout can be found, with the exit code of status.
var conditions = []struct {
	name string
	exit int
	prep func(s *site)
}{
	{"progressing", ExitOK, func(s *site) { s.rollout("ntp", nil) }},
	{"window", ExitHeld, func(s *site) {
		s.rollout("ntp", func(r *tree.Rollout) {
			shut(r, gate.Gate{Name: "window", Source: "schedule", Reason: "outside office until 2026-11-03T08:00:00Z", Next: t0.Add(24 * time.Hour)})
		})
	}},
	{"paused", ExitHeld, func(s *site) {
		s.rollout("ntp", nil)
		s.ok("pause", "ntp", "--reason", "link flaps")
	}},
	{"frozen", ExitHeld, func(s *site) {
		s.rollout("ntp", nil)
		s.put("flags/pausee", "true")
	}},
	{"failures", ExitHeld, func(s *site) {
		s.rollout("ntp", func(r *tree.Rollout) {
			r.Status.Verdict.Counts.Failed, r.Status.Verdict.Counts.Silent = 1, 2
			r.Status.Verdict.Culprit = &analyzer.Culprit{Kind: analyzer.KindCompile, Message: "Unknown \x1b[2Jvariable", Nodes: []string{"web1"}, Count: 1}
		})
	}},
	{"backing-out", ExitBackout, func(s *site) {
		s.rollout("ntp", nil)
		s.ok("backout", "ntp", "--reason", "sshd does not start")
	}},
	{"backed-out", ExitBackout, func(s *site) { s.rollout("ntp", backOut) }},
	{"superseded", ExitBackout, func(s *site) {
		s.rollout("ntp", func(r *tree.Rollout) {
			r.State = gate.State{Phase: gate.Superseded, Since: t0, Reason: "superseded by ntp2, which is newer and waits too"}
			r.Status = tree.Status{}
		})
	}},
	{"completed", ExitOK, func(s *site) {
		s.rollout("ntp", func(r *tree.Rollout) {
			r.State.Phase = gate.Completed
			r.State.Stages[1].Passed = t0.Add(-time.Hour)
			r.State.Stages = append(r.State.Stages, gate.StageState{Name: "rest", Count: 12_000, Threshold: segments.All, Since: t0.Add(-time.Hour), Full: t0, Passed: t0})
		})
	}},
	{"settling", ExitOK, func(s *site) { s.rollout("ntp", func(r *tree.Rollout) { r.State.Phase = gate.Settling }) }},
	{"waiting", ExitHeld, func(s *site) {
		s.rollout("ntp", func(r *tree.Rollout) {
			r.State = gate.State{}
			r.Status.Verdict, r.Status.StillToRun = analyzer.Verdict{}, 0
			r.Status.Gates = []gate.Gate{{Name: "start", Source: "track production", Reason: "waits for sshd, which is ahead of it on track production"}}
		})
	}},
	{"unseen", ExitHeld, func(s *site) {
		s.rollout("ntp", func(r *tree.Rollout) { r.State, r.Status = gate.State{}, tree.Status{} })
	}},
	{"stale", ExitHeld, func(s *site) {
		s.rollout("ntp", func(r *tree.Rollout) { r.Status.At = t0.Add(-stale - time.Second) })
	}},
	{"damaged", ExitHeld, func(s *site) {
		s.rollout("ntp", nil)
		s.put("rollouts/old/spec", "{")
	}},
	{"unknown-phase", ExitHeld, func(s *site) {
		s.rollout("ntp", func(r *tree.Rollout) { r.State.Phase = "reversing" })
	}},
}

func backOut(r *tree.Rollout) {
	r.State.Phase, r.State.Since = gate.BackedOut, t0.Add(-10*time.Minute)
	r.State.Reason = "File[/etc/ntp.conf] (modules/ntp/manifests/init.pp:12) failed on 7 nodes and on no other"
	nodes := []string{"web1", "web2", "web3", "web4", "web5", "web6", "web7"}
	r.State.Verdict = &analyzer.Verdict{Result: analyzer.Fail, Road: analyzer.RoadStopRule, Reason: r.State.Reason,
		Counts:  analyzer.Counts{Admitted: 1001, Live: 1001, Exposed: 990, Failed: 7},
		Checks:  []analyzer.Check{{Name: "new_failures", Result: analyzer.Fail, Reason: "7 of 1001 admitted nodes"}},
		Culprit: &analyzer.Culprit{Kind: analyzer.KindResource, Resource: "File[/etc/ntp.conf]", File: "modules/ntp/manifests/init.pp", Line: 12, Message: "Could not set 'file'", Nodes: nodes, Count: 7}}
}

// TestStatus holds every condition's text and exit code.
func TestStatus(t *testing.T) {
	for _, c := range conditions {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.publish(func(d *segments.Document) { d.Tracks[0].Nodes = 12_000 })
			c.prep(s)
			if code, _, errOut := s.run("status", "ntp"); code != c.exit {
				t.Errorf("exit %d, want %d (stderr %q)", code, c.exit, errOut)
			}
			golden(t, "status-"+c.name+".txt", s.transcript("list")+"\n"+s.transcript("status", "ntp"))
		})
	}
}

// TestGatesOfTheStageBefore: in the moment between the beginning of a stage and the leader's word on it nobody is told why the one before
// stood still.
func TestGatesOfTheStageBefore(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", func(r *tree.Rollout) { r.State.Stages[1].Since, r.State.Stages[1].Full = t0, time.Time{} })
	for _, c := range [][]string{{"status", "ntp"}, {"explain", "ntp"}, {"list"}} {
		if _, out, _ := s.run(c...); strings.Contains(out, "bakes for 1h") || !strings.Contains(out, "Progressing") {
			t.Errorf("%q:\n%s", c, out)
		}
	}
	s.rollout("ntp", nil)
	if out := s.ok("explain", "ntp"); !strings.Contains(out, "bakes for 1h") {
		t.Errorf("its own gates are gone:\n%s", out)
	}
}

// TestWhyOfWhatHasEnded: no stage of a rollout that is backed out admits anybody, whatever it would have admitted.
func TestWhyOfWhatHasEnded(t *testing.T) {
	s := newSite(t)
	s.publish(func(d *segments.Document) {
		d.Rollouts = []segments.Rollout{{Name: "ntp", Track: "production", Candidate: "production_8f3c2d1a", BackedOut: true}}
	})
	s.rollout("ntp", backOut)
	if out := s.ok("why", "web1.example.com"); strings.Contains(out, "ADMITS") || !strings.Contains(out, "backed out") {
		t.Errorf("%s", out)
	}
	s.rollout("ntp", nil)
	if out := s.ok("why", "web1.example.com"); !strings.Contains(out, "ADMITS") {
		t.Errorf("%s", out)
	}
}

func TestExplain(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", func(r *tree.Rollout) {
		shut(r, gate.Gate{Name: "edges", Source: "edges", Reason: "puppet2 has generation 1"})
	})
	s.edge("puppet1", nil)
	s.edge("puppet2", func(e *edge.Status) {
		e.Generation, e.Refused, e.Clamped, e.Local = 1, "set 1234 is missing", []string{"ntp: stage quarter waits for the speed limit"}, []string{"stop"}
		e.Stops = flags.Latched{Freeze: &flags.Stop{Value: "true"}, Pause: map[string]flags.Stop{"ntp": {}}}
		e.BackedOut, e.Code["production_8f3c2d1a"] = []string{"sshd"}, edge.CodeMissing
	})
	s.put(tree.EdgeKey("puppet3"), "}")
	s.put("flags/ntp/pausee", "true")
	golden(t, "explain.txt", s.transcript("explain", "ntp"))
}

// site with a document in which one rollout admits a set.
func whySite(t *testing.T) (*site, segments.Set) {
	s := newSite(t)
	set := segments.NewSet([]string{"web1", "web2"})
	s.put(edge.SetKey(set.Digest, 0), string(set.Data))
	s.publish(func(d *segments.Document) {
		d.Tracks[0].Members = set.Digest
		d.Tracks = append(d.Tracks, segments.Track{Name: "testing", Baseline: "testing_a", Parameters: map[string]any{"chrony": true}})
		d.Sets = map[string]int{set.Digest: set.Count}
		d.Rollouts = []segments.Rollout{
			{Name: "ntp", Track: "production", Candidate: "production_8f3c2d1a", Stages: []segments.Stage{{Name: "canary", Set: set.Digest, Threshold: segments.All}}},
			{Name: "sshd", Track: "production", Parameters: map[string]any{"hardening": true}, Stages: []segments.Stage{{Name: "all", Threshold: segments.All}},
				Caps: []segments.Cap{{ID: "hold-7", Set: set.Digest, Limit: segments.None}}},
		}
		d.Pins = []segments.Pin{{Certname: "web2", To: segments.ToBaseline, Rollout: "ntp"}}
	})
	return s, set
}

func TestWhy(t *testing.T) {
	s, _ := whySite(t)
	s.edge("puppet1", nil)
	var text strings.Builder
	for _, args := range [][]string{{"why", "web1"}, {"why", "web2", "--track", "production"}, {"why", "db1", "--track", "production"}, {"why", "web1", "--track", "prod"}} {
		text.WriteString(s.transcript(args...) + "\n")
	}
	s.rollout("ntp", nil)
	s.ok("backout", "ntp", "--reason", "x") // the leader has not published it: the answer changes all the same
	text.WriteString(s.transcript("why", "web1", "--track", "production"))
	golden(t, "why.txt", text.String())
}

// TestWhyNext: a node that has nothing yet, what people have said about it, and when it is next; with the attributes of an inventory, and
// without.
func TestWhyNext(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", func(r *tree.Rollout) {
		r.Spec.Segments = map[string]gate.Segment{"fra1": {Selector: `{enc.datacenter="fra1"}`}}
		r.Spec.Schedule.Stages[2].Windows = nil
		r.State.Stages = r.State.Stages[:1]
		shut(r, gate.Gate{Name: "approval", Source: "schedule", Reason: "stage quarter waits for: sluice approve ntp quarter"})
	})
	s.publish(func(d *segments.Document) {
		d.Tracks[0].Nodes = 12_000
		d.Rollouts = []segments.Rollout{{Name: "ntp", Track: "production", Candidate: "production_8f3c2d1a", Salt: "ntp",
			Stages: []segments.Stage{{Name: "one", Threshold: "0000100000000000"}}}}
	})
	s.put(tree.HoldKey("upgrade"), gate.Hold{Selector: `{enc.datacenter="fra1"}`, Until: t0.Add(8 * time.Hour), By: "anna@example.com", Comment: "switch upgrade"})
	s.put(tree.PinKey("web2"), gate.Pin{Certname: "web2", To: segments.ToBaseline, By: "ben@example.com", Comment: "is being debugged"})
	inventory := filepath.Join(t.TempDir(), "inventory.json")
	rows := `[{"certname":"web1","facts":{},"trusted":{},"enc":{"datacenter":"fra1"}},{"certname":"web2","facts":{},"trusted":{},"enc":{"datacenter":"iad1"}}]`
	if err := os.WriteFile(inventory, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, args := range [][]string{{"why", "web1"}, {"why", "web1", "--inventory", inventory}, {"why", "web2", "--inventory", inventory}, {"why", "web2", "--inventory", inventory, "-o", "json"}} {
		text.WriteString(strings.ReplaceAll(s.transcript(args...), inventory, "inventory.json") + "\n")
	}
	golden(t, "why-next.txt", text.String())
	s.fails(ExitError, "node web9 is not in it", "why", "web9", "--inventory", inventory)
	s.fails(ExitError, "no such file", "why", "web9", "--inventory", inventory+"x")
	s.fails(ExitError, "no such file", "why", "web9", "--config.file", inventory+"x")
}

// TestWhyNeedsWhatItRests: an answer that rests on something unreadable is none.
func TestWhyNeedsWhatItRests(t *testing.T) {
	s, set := whySite(t)
	s.put(edge.SetKey(set.Digest, 0), string(set.Data[:segments.LineWidth]))
	s.fails(ExitError, "expected 2 members", "why", "web1")
	s.put(tree.ManifestKey, "torn")
	s.fails(ExitError, "cannot be read", "why", "web1")
}

func TestAudit(t *testing.T) {
	s := newSite(t)
	var head tree.AuditHead
	if err := json.Unmarshal([]byte(s.get(tree.AuditHeadKey)), &head); err != nil {
		t.Fatal(err)
	}
	for i, e := range []tree.AuditEntry{
		{Kind: gate.EventStarted, Rollout: "ntp", By: "ben@example.com", Text: "ntp pools"},
		{Kind: gate.EventStarted, Rollout: "sshd", By: "ben@example.com", Text: "hardening"},
		{Kind: gate.EventBackedOut, Rollout: "ntp", Stage: "quarter", By: "sluice", Text: "backed out: 7 nodes failed", Result: "fail", Evidence: "5e884898da28047151d0e56f8dc6292773603d0d"},
	} {
		e.At = t0.Add(time.Duration(i) * time.Hour)
		var err error
		if head, err = e.Chain(head); err != nil {
			t.Fatal(err)
		}
		s.put(tree.AuditKey(e.Seq), e)
	}
	s.put(tree.AuditHeadKey, head)
	s.put(tree.NotifiedKey, 3)
	golden(t, "audit.txt", s.transcript("audit")+"\n"+s.transcript("audit", "ntp", "-n", "1")+"\n"+s.transcript("audit", "nothing"))

	whole := map[string]string{}
	for _, key := range []string{tree.AuditKey(2), tree.AuditKey(4), tree.AuditHeadKey} {
		whole[key] = s.get(key)
	}
	for name, harm := range map[string]func(){
		"changed":    func() { s.put(tree.AuditKey(2), strings.Replace(whole[tree.AuditKey(2)], "ntp pools", "npt pools", 1)) },
		"moved":      func() { s.put(tree.AuditKey(2), whole[tree.AuditKey(4)]) },
		"unreadable": func() { s.put(tree.AuditKey(2), "{") },
		"left out":   func() { s.delete(tree.AuditKey(2)) },
		"cut short":  func() { s.delete(tree.AuditKey(4)) },
		"headless":   func() { s.delete(tree.AuditHeadKey) },
		"other head": func() { s.put(tree.AuditHeadKey, tree.AuditHead{Seq: 4, Hash: "00"}) },
		"bad head":   func() { s.put(tree.AuditHeadKey, "{") },
	} {
		harm()
		if code, _, errOut := s.run("audit", "-n", "1"); code != ExitError || !strings.Contains(errOut, "cannot be trusted") {
			t.Errorf("%s: exit %d, stderr %q", name, code, errOut)
		}
		for key, value := range whole {
			s.put(key, value)
		}
	}
	s.ok("audit")
}

func (s *site) delete(key string) {
	s.t.Helper()
	if err := s.store.Txn(s.t.Context(), store.Delete(key)); err != nil {
		s.t.Fatal(err)
	}
}

// TestOutputs: YAML and JSON of every reader are the same data with the same names.
func TestOutputs(t *testing.T) {
	s, _ := whySite(t)
	s.edge("puppet1", nil)
	for _, c := range conditions {
		name := strings.ReplaceAll(c.name, "-", "")
		s.rollout(name, nil)
	}
	s.rollout("ntp", backOut)
	for _, args := range [][]string{{"list"}, {"status", "ntp"}, {"explain", "ntp"}, {"why", "web1"}, {"audit"}} {
		_, asJSON, errOut := s.run(append(args, "-o", "json")...)
		_, asYAML, _ := s.run(append(args, "-o", "yaml")...)
		var a, b any
		if err := json.Unmarshal([]byte(asJSON), &a); err != nil {
			t.Fatalf("%v: %v (stderr %q)", args, err, errOut)
		}
		if err := yaml.Unmarshal([]byte(asYAML), &b); err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		if diff := cmp.Diff(canonical(t, a), canonical(t, b)); diff != "" {
			t.Errorf("%v: JSON and YAML differ:\n%s", args, diff)
		}
		if strings.Contains(asYAML, "{\"") {
			t.Errorf("%v: the YAML has JSON in it", args)
		}
		s.fails(ExitUsage, "expected text, json or yaml", append(args, "-o", "xml")...)
	}
}

func canonical(t *testing.T, v any) string {
	t.Helper()
	v = normal(v)
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// normal writes times as YAML reads them the way JSON has them.
func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = normal(e)
		}
	case []any:
		for i, e := range v {
			v[i] = normal(e)
		}
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	return v
}

func TestColours(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	now := t0
	snap, err := tree.Read(t.Context(), s.store)
	if err != nil {
		t.Fatal(err)
	}
	var with, without strings.Builder
	v := viewOf(snap, snap.Rollout("ntp"), now)
	renderStatus(&with, &look{painter: painter{on: true}}, v, now)
	renderStatus(&without, &look{}, v, now)
	if !strings.Contains(with.String(), "\x1b[34m◌ Progressing\x1b[0m") {
		t.Error("a painter that is on paints nothing")
	}
	bare := with.String()
	for _, c := range []colour{red, green, yellow, blue, faint} {
		bare = strings.ReplaceAll(bare, fmt.Sprintf("\x1b[%sm", c), "")
	}
	if bare = strings.ReplaceAll(bare, "\x1b[0m", ""); bare != without.String() {
		t.Errorf("colours change the text:\n%s", cmp.Diff(without.String(), bare))
	}
}
