package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// writeVerbs is every verb that writes, with its arguments.
var writeVerbs = [][]string{
	{"start", "--environment", "production_b", "--schedule", "careful"}, {"pause", "ntp"}, {"resume", "ntp"}, {"freeze"}, {"freeze", "--end"},
	{"delay", "ntp", "2h"}, {"delay", "ntp", "--end"}, {"backout", "ntp"}, {"approve", "ntp", "rest"}, {"deny", "ntp", "rest"},
	{"unveto", "ntp"}, {"confirm-restore"}, {"hold", "add", "h1", "{}", "--for", "1h"}, {"hold", "expire", "h1"},
}

// TestWritesNeedReason: without one, and with an empty one, nothing is written.
func TestWritesNeedReason(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	before := s.all()
	for _, verb := range writeVerbs {
		s.fails(ExitUsage, "--reason is required", verb...)
		s.fails(ExitUsage, "--reason is required", append(verb, "--reason", " \n ")...)
		s.fails(ExitUsage, "at most 2000", append(verb, "--reason", strings.Repeat("x", 2001))...)
	}
	if after := s.all(); before != after {
		t.Errorf("something was written:\n%s\n%s", before, after)
	}
}

// all is everything in the store.
func (s *site) all() string {
	s.t.Helper()
	entries, _, err := s.store.List(s.t.Context(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		fmt.Fprintf(&b, "%s=%s\n", e.Key, e.Value)
	}
	return b.String()
}

func (s *site) reading() flags.Reading {
	s.t.Helper()
	snap, err := tree.Read(s.t.Context(), s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	return flags.Read(snap.Flags)
}

// TestFlags: what a verb writes is read by the leader and the edges as what it says, and says who and why.
func TestFlags(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	because := []string{"--reason", "link\n flaps"}
	const by = "by=anna@example.com (token 1234abcd): link flaps"
	for _, c := range []struct {
		args []string
		key  string
		word string
		read func(r flags.Reading, f *flags.Rollout) bool
	}{
		{[]string{"pause", "ntp"}, "flags/ntp/pause", "true", func(_ flags.Reading, f *flags.Rollout) bool { return f.Pause == flags.Set }},
		{[]string{"resume", "ntp"}, "flags/ntp/pause", "false", func(_ flags.Reading, f *flags.Rollout) bool { return f.Pause == flags.Released }},
		{[]string{"freeze"}, "flags/freeze", "true", func(r flags.Reading, _ *flags.Rollout) bool { return r.Freeze == flags.Set }},
		{[]string{"freeze", "--end"}, "flags/freeze", "false", func(r flags.Reading, _ *flags.Rollout) bool { return r.Freeze == flags.Released }},
		{[]string{"delay", "ntp", "1d2h"}, "flags/ntp/delay", "1d2h", func(_ flags.Reading, f *flags.Rollout) bool { return f.Delay.For == 26*time.Hour }},
		{[]string{"delay", "ntp", "2026-11-03T08:00:00+01:00"}, "flags/ntp/delay", "2026-11-03T08:00:00+01:00",
			func(_ flags.Reading, f *flags.Rollout) bool { return f.Delay.Until.Equal(t0.Add(23 * time.Hour)) }},
		{[]string{"delay", "ntp", "--end"}, "flags/ntp/delay", "false", func(_ flags.Reading, f *flags.Rollout) bool { return f.Delay.Raw == "" }},
		{[]string{"approve", "ntp", "rest"}, "flags/ntp/approve/rest", "true", func(_ flags.Reading, f *flags.Rollout) bool { return f.Approve["rest"] == flags.Set }},
		{[]string{"deny", "ntp", "rest"}, "flags/ntp/approve/rest", "false", func(_ flags.Reading, f *flags.Rollout) bool { return f.Approve["rest"] == flags.Released }},
		{[]string{"backout", "ntp"}, "flags/ntp/backout", "true", func(_ flags.Reading, f *flags.Rollout) bool { return f.BackOut == flags.Set }},
	} {
		s.ok(append(c.args, because...)...)
		if got, want := s.get(c.key), c.word+" "+by; got != want {
			t.Errorf("%v wrote %q, want %q", c.args, got, want)
		}
		r := s.reading()
		if len(r.Loud) > 0 || r.Rollouts["ntp"] == nil && strings.HasPrefix(c.key, "flags/ntp") || !c.read(r, r.Rollouts["ntp"]) {
			t.Errorf("%v is read as %+v %+v", c.args, r, r.Rollouts["ntp"])
		}
	}
}

// TestSayings holds what the verbs tell people.
func TestSayings(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	var text strings.Builder
	for _, args := range [][]string{
		{"freeze"}, {"pause", "ntp"}, {"resume", "ntp"}, {"freeze", "--end"}, {"delay", "ntp", "2h"}, {"approve", "ntp", "rest"},
		{"delay", "ntp", "--end"}, {"backout", "ntp"}, {"resume", "ntp"}, {"unveto", "ntp"},
	} {
		text.WriteString(s.transcript(append(args, "--reason", "drill")...) + "\n")
	}
	golden(t, "sayings.txt", text.String())
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	s.rollout("sshd", backOut)
	s.rollout("chrony", func(r *tree.Rollout) { r.State.Phase = gate.Completed })
	before := s.all()
	for _, c := range []struct {
		exit int
		want string
		args []string
	}{
		{ExitError, "did you mean ntp?", []string{"pause", "npt"}},
		{ExitError, "did you mean sshd?", []string{"backout", "ssh"}},
		{ExitError, "there are ", []string{"status", "zzzzzzzz"}},
		{ExitUsage, "no name of a rollout", []string{"pause", "ntp/pause"}},
		{ExitConflict, "flags are dead", []string{"pause", "sshd"}},
		{ExitConflict, "flags are dead", []string{"backout", "chrony"}},
		{ExitConflict, "flags are dead", []string{"approve", "chrony", "rest"}},
		{ExitError, "its stages are one, quarter, rest", []string{"approve", "ntp", "all"}},
		{ExitConflict, "passed already", []string{"approve", "ntp", "one"}},
		{ExitConflict, "use pause or backout", []string{"deny", "ntp", "quarter"}},
		{ExitConflict, "not backed out", []string{"unveto", "ntp"}},
		{ExitError, "did you mean ntp?", []string{"unveto", "nttp"}},
		{ExitUsage, "expected a duration, a time, or --end", []string{"delay", "ntp"}},
		{ExitUsage, "expected a duration, a time, or --end", []string{"delay", "ntp", "2h", "--end"}},
		{ExitUsage, "neither a time nor a duration", []string{"delay", "ntp", "soon"}},
		{ExitUsage, "neither a time nor a duration", []string{"delay", "ntp", "false"}},
		{ExitUsage, "neither a time nor a duration", []string{"delay", "ntp", "1"}},
		{ExitUsage, "is over", []string{"delay", "ntp", "2026-11-02T08:00:00Z"}},
		{ExitUsage, "exactly one of", []string{"start", "--schedule", "careful"}},
		{ExitUsage, "exactly one of", []string{"start", "--schedule", "careful", "--environment", "b", "--parameter", "a=1"}},
		{ExitUsage, "--schedule", []string{"start", "--environment", "production_b"}},
		{ExitUsage, "--environment", []string{"start", "--environment", "a-b", "--schedule", "careful"}},
		{ExitUsage, "cannot be a name", []string{"start", "unveto-ntp", "--environment", "production_b", "--schedule", "careful"}},
		{ExitUsage, "cannot be a name", []string{"start", "confirm-restore", "--environment", "production_b", "--schedule", "careful"}},
		{ExitUsage, "needs a name", []string{"start", "--parameter", "a=1", "--schedule", "careful"}},
		{ExitUsage, "expected NAME=VALUE", []string{"start", "x", "--parameter", "a", "--schedule", "careful"}},
		{ExitUsage, "given twice", []string{"start", "x", "--parameter", "a=1", "--parameter", "a=2", "--schedule", "careful"}},
		{ExitUsage, "expected one of production", []string{"start", "--environment", "b", "--schedule", "careful", "--track", "p"}},
		{ExitUsage, "expected 0 or more", []string{"start", "--environment", "b", "--schedule", "careful", "--wait", "-1s"}},
		{ExitConflict, "baseline of track", []string{"start", "--environment", "production_a", "--schedule", "careful"}},
		{ExitConflict, "a rollout sshd already", []string{"start", "sshd", "--environment", "b", "--schedule", "careful"}},
	} {
		args := c.args
		if args[0] != "status" {
			args = append(args, "--reason", "drill")
		}
		s.fails(c.exit, c.want, args...)
	}
	if after := s.all(); before != after {
		t.Errorf("a refused verb wrote something:\n%s", after)
	}
}

// sick is a store of which a part cannot be read.
type sick struct {
	store.Store
	list func(prefix string) error
	txn  func() error // after the transaction
}

func (s sick) List(ctx context.Context, prefix string) ([]store.Entry, uint64, error) {
	if s.list != nil {
		if err := s.list(prefix); err != nil {
			return nil, 0, err
		}
	}
	return s.Store.List(ctx, prefix)
}

func (s sick) Txn(ctx context.Context, ops ...store.Op) error {
	if err := s.Store.Txn(ctx, ops...); err != nil || s.txn == nil {
		return err
	}
	return s.txn()
}

func (s sick) Identity(context.Context) (string, error) { return "", errors.New("no answer") }

// TestStopsNeedLittle: pause, backout and freeze are written although neither rollouts nor the person can be read,
// although the spec is damaged, and although the answer to the write is lost. What lets go is not.
func TestStopsNeedLittle(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	whole := s.store
	s.store = sick{Store: whole, list: func(prefix string) error {
		if prefix == "rollouts/" {
			return store.ErrForbidden
		}
		return nil
	}, txn: func() error { return store.ErrUnavailable }}
	for _, args := range [][]string{{"pause", "ntp"}, {"backout", "ntp"}, {"freeze"}} {
		if code, _, errOut := s.run(append(args, "--reason", "drill")...); code != ExitOK || !strings.Contains(errOut, "name is not checked") {
			t.Errorf("%v: exit %d, %q", args, code, errOut)
		}
	}
	for _, args := range [][]string{{"resume", "ntp"}, {"freeze", "--end"}, {"delay", "ntp", "2h"}, {"approve", "ntp", "rest"}, {"unveto", "ntp"}, {"status", "ntp"}, {"list"}} {
		if args[0] != "status" && args[0] != "list" {
			args = append(args, "--reason", "drill")
		}
		if code, _, _ := s.run(args...); code != ExitError {
			t.Errorf("%v: exit %d, want %d", args, code, ExitError)
		}
	}
	s.store = whole
	if r := s.reading(); r.Freeze != flags.Set || r.Rollouts["ntp"].Pause != flags.Set || r.Rollouts["ntp"].BackOut != flags.Set {
		t.Errorf("the stops are read as %+v, %+v", r, r.Rollouts["ntp"])
	}
	if got := s.get("flags/ntp/pause"); got != "true by=root@admin1 (unverified): drill" {
		t.Errorf("an unknown person pauses as %q", got)
	}
	s.put(tree.SpecKey("chrony"), "{")
	s.ok("backout", "chrony", "--reason", "its spec is damaged")
	s.fails(ExitError, "cannot be read", "approve", "chrony", "rest", "--reason", "drill")
}

// TestLostWrite: an answer that was lost, with nothing written, is no success.
func TestLostWrite(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	s.store = lost{s.store}
	s.fails(ExitError, "may not have been written", "pause", "ntp", "--reason", "drill")
}

type lost struct{ store.Store }

func (lost) Txn(context.Context, ...store.Op) error { return store.ErrUnavailable }

func TestInit(t *testing.T) {
	s := bareSite(t)
	for _, args := range [][]string{{"list"}, {"status", "ntp"}, {"pause", "ntp", "--reason", "x"}, {"freeze", "--reason", "x"}} {
		s.fails(ExitError, "run `sluice init` first", args...)
	}
	for want, track := range map[string]string{"is required": "", "expected NAME=BASELINE": "production", "both of letters": "a-b=c"} {
		args := []string{"init"}
		if track != "" {
			args = append(args, "--track", track)
		}
		s.fails(ExitUsage, want, args...)
	}
	s.fails(ExitUsage, "twice", "init", "--track", "a=b", "--track", "a=c")
	s.put(tree.FreezeKey, "true")
	s.fails(ExitConflict, "flags/freeze exists", "init", "--track", "production=production")
	s.delete(tree.FreezeKey)
	golden(t, "init.txt", s.transcript("init", "--track", "production=production", "--track", "testing=testing_a", "--reason", "first day"))

	snap, err := tree.Read(t.Context(), s.store)
	if err != nil {
		t.Fatal(err)
	}
	if len(snap.Damaged) > 0 || len(snap.Tracks) != 2 || snap.Document.Generation != 1 || snap.Document.Epoch != snap.Init.Epoch || len(snap.Init.Epoch) != 32 {
		t.Errorf("what init wrote is read as %+v", snap)
	}
	if _, _, err := enc.Decode([]byte(s.get(tree.ManifestKey))); err != nil {
		t.Error(err)
	}
	if got, want := fmt.Sprint(snap.Document.Tracks), fmt.Sprint([]segments.Track{{Name: "production", Baseline: "production"}, {Name: "testing", Baseline: "testing_a"}}); got != want {
		t.Errorf("tracks %s, want %s", got, want)
	}
	if r := s.reading(); r.Freeze != flags.Released || r.Force != 0 || len(r.Loud) > 0 {
		t.Errorf("the first flags are read as %+v", r)
	}
	s.ok("audit")
	before := s.all()
	s.fails(ExitConflict, "initialised already: epoch "+snap.Init.Epoch, "init", "--track", "production=production")
	if s.all() != before {
		t.Error("the second init wrote something")
	}
}

func (s *site) request(id string) tree.Request {
	s.t.Helper()
	var r tree.Request
	if err := json.Unmarshal([]byte(s.get(tree.RequestKey(id))), &r); err != nil {
		s.t.Fatal(err)
	}
	return r
}
