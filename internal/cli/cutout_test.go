package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
	"github.com/openinfrastructure/sluice/segments"
)

func (s *site) snapshot() *tree.Snapshot {
	s.t.Helper()
	snap, err := tree.Read(s.t.Context(), s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	return snap
}

// TestCutOut: what backout --where writes is what the leader reads; unveto --where takes the key away and asks the leader, by
// the selector or by the ID.
func TestCutOut(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	s.ok("backout", "ntp", "--where", fra1, "--reason", "switches")
	id := verb.CutOutID("ntp", fra1)
	want := []gate.Veto{{ID: id, Rollout: "ntp", Selector: fra1, By: "anna@example.com (token 1234abcd)", Comment: "switches"}}
	if diff := cmp.Diff(want, s.snapshot().Vetoes); diff != "" {
		t.Error(diff)
	}
	for _, where := range []string{fra1, id} {
		s.rollout("ntp", func(r *tree.Rollout) { r.State.Caps = []gate.Cap{{ID: "veto/" + id, Set: "s", Count: 2, Since: t0}} })
		s.ok("unveto", "ntp", "--where", where, "--wait", "0", "--reason", "they are back")
		snap := s.snapshot()
		if r := snap.Requests["unveto-ntp"]; r.Kind != tree.RequestUnveto || r.Veto != id || len(snap.Vetoes) != 0 {
			t.Errorf("%+v, vetoes %+v", r, snap.Vetoes)
		}
		s.fails(ExitConflict, "asked for it already", "unveto", "ntp", "--where", where, "--wait", "0", "--reason", "x")
		s.put(tree.RequestKey("unveto-ntp"), tree.Request{Kind: tree.RequestUnveto, Refused: "no"})
	}
}

// TestPin: a pin has an end, is of one node, and is what the leader reads.
func TestPin(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	s.ok("pin", "db1.example.com", "--to", "baseline", "--for", "2d", "--reason", "restore")
	want := []gate.Pin{{Certname: "db1.example.com", To: segments.ToBaseline, Until: t0.Add(48 * time.Hour), By: "anna@example.com (token 1234abcd)", Comment: "restore"}}
	if diff := cmp.Diff(want, s.snapshot().Pins); diff != "" {
		t.Error(diff)
	}
	s.ok("unpin", "db1.example.com", "--reason", "restored")
	if n := len(s.snapshot().Pins); n != 0 {
		t.Errorf("%d pins", n)
	}
}

// TestVeto: an environment is vetoed by name, and that ends by name.
func TestVeto(t *testing.T) {
	s := newSite(t)
	s.ok("veto", "production_bad", "--reason", "CVE")
	if v := s.snapshot().Vetoes; len(v) != 1 || v[0].Environment != "production_bad" || v[0].Check() != nil {
		t.Errorf("%+v", v)
	}
	s.ok("unveto", "production_bad", "--reason", "mended")
	if v := s.snapshot().Vetoes; len(v) != 0 {
		t.Errorf("%+v", v)
	}
}

// TestSeveral: a verb acts on all rollouts that have not ended, on those that a selector matches, or on those named; on all of
// them or on none.
func TestSeveral(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	s.rollout("sshd", func(r *tree.Rollout) { r.Spec.Candidate, r.Spec.Parameters = "", map[string]any{"sshd": true} })
	s.rollout("old", func(r *tree.Rollout) { r.State.Phase = gate.Completed })
	paused := func() string {
		var names []string
		for _, name := range []string{"ntp", "old", "sshd"} {
			if strings.HasPrefix(s.snapshot().Flags[name+"/pause"], "true") {
				names = append(names, name)
			}
		}
		return strings.Join(names, " ")
	}
	for _, c := range []struct{ args, want string }{
		{"--all", "ntp sshd"}, {`-l kind="parameters"`, "sshd"}, {`-l {track="production",name!="sshd"}`, "ntp"}, {"ntp sshd", "ntp sshd"}, {`-l phase=running`, "ntp sshd"},
	} {
		s.ok(append(append([]string{"pause"}, strings.Fields(c.args)...), "--reason", "drill")...)
		if got := paused(); got != c.want {
			t.Errorf("pause %s: %s are paused, want %s", c.args, got, c.want)
		}
		s.ok("resume", "--all", "--reason", "drill")
	}
	s.fails(ExitError, "no rollout", "pause", "ntp", "nobody", "--reason", "x")
	if got := paused(); got != "" {
		t.Errorf("%s paused, although the verb was refused", got)
	}
}

// TestControlRefusals: clear errors, and nothing is written.
func TestControlRefusals(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	s.rollout("sshd", backOut)
	before := s.all()
	for _, c := range []struct {
		exit int
		want string
		args []string
	}{
		{ExitUsage, "unknown attribute", []string{"backout", "ntp", "--where", `{datacenter="fra1"}`}},
		{ExitUsage, "is every node", []string{"backout", "ntp", "--where", "{}"}},
		{ExitUsage, "for one rollout", []string{"backout", "--all", "--where", fra1}},
		{ExitUsage, "for one rollout", []string{"backout", "ntp", "sshd", "--where", fra1}},
		{ExitConflict, "flags are dead", []string{"backout", "sshd", "--where", fra1}},
		{ExitUsage, "expected the names of rollouts, --all, or --select", []string{"backout"}},
		{ExitUsage, "expected the names of rollouts, --all, or --select", []string{"pause", "ntp", "--all"}},
		{ExitUsage, "unknown attribute", []string{"pause", "-l", `datacenter="fra1"`}},
		{ExitUsage, "expected matchers", []string{"pause", "-l", "{"}},
		{ExitError, "no rollout that has not ended matches", []string{"pause", "-l", `track="staging"`}},
		{ExitError, "no nodes are cut out of ntp", []string{"unveto", "ntp", "--where", fra1}},
		{ExitUsage, "expected baseline or candidate", []string{"pin", "a", "--to", "production_b", "--for", "1h"}},
		{ExitUsage, "pin: a pin needs an end", []string{"pin", "a", "--to", "baseline"}},
		{ExitUsage, "pin: --until", []string{"pin", "a", "--to", "baseline", "--until", "2026-11-03 08:00 Europe/Berlin"}},
		{ExitUsage, "is no certname", []string{"pin", "a/b", "--to", "baseline", "--for", "1h"}},
		{ExitError, "did you mean ntp?", []string{"pin", "a", "--to", "candidate", "--rollout", "npt", "--for", "1h"}},
		{ExitError, "there is no pin of a", []string{"unpin", "a"}},
		{ExitUsage, "no environment", []string{"veto", "a-b"}},
		{ExitConflict, "is the baseline", []string{"veto", "production_a"}},
	} {
		s.fails(c.exit, c.want, append(c.args, "--reason", "drill")...)
	}
	if after := s.all(); before != after {
		t.Errorf("a refused verb wrote something:\n%s", after)
	}
}

// TestStopsWithoutAReadableStore: what stops, stops by name where the rest of the store cannot be read; a choice among rollouts
// that cannot be seen is refused.
func TestStopsWithoutAReadableStore(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	s.store = sick{Store: s.store, list: func(prefix string) error {
		if prefix == "rollouts/" {
			return errors.New("no answer")
		}
		return nil
	}}
	for _, args := range [][]string{{"pause", "ntp"}, {"backout", "ntp"}, {"backout", "ntp", "--where", fra1}, {"veto", "production_bad"}, {"hold", "add", "h", fra1, "--for", "1h"}, {"freeze"}} {
		if code, _, errOut := s.run(append(args, "--reason", "x")...); code != ExitOK {
			t.Errorf("%v: exit %d: %s", args, code, errOut)
		}
	}
	if code, _, errOut := s.run("pause", "--all", "--reason", "x"); code != ExitError || !strings.Contains(errOut, "name the rollouts") {
		t.Errorf("pause --all: exit %d: %s", code, errOut)
	}
	var v gate.Veto
	if err := json.Unmarshal([]byte(s.get(tree.VetoKey(verb.CutOutID("ntp", fra1)))), &v); err != nil || v.Selector != fra1 {
		t.Errorf("%+v, %v", v, err)
	}
}
