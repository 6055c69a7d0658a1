package daemon

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// ended leaves in the store a rollout that ended so long ago, with flags of people.
func (l *lab) ended(name string, phase gate.Phase, ago time.Duration, change func(*gate.State)) {
	l.Helper()
	at := l.now.Add(-ago)
	state := gate.State{Phase: phase, Since: at, Stages: []gate.StageState{{Name: "everyone", Threshold: segments.All, Since: at, Full: at, Passed: at}}}
	if change != nil {
		change(&state)
	}
	l.must(l.kv.Txn(l.Context(), tree.Put(tree.SpecKey(name), gate.Spec{Name: name, Track: "production", Candidate: "production_" + name, Created: at.Add(-time.Hour)}, 0),
		tree.Put(tree.StateKey(name), state, 0), tree.Put(tree.StatusKey(name), tree.Status{At: at}, 0),
		store.Set(tree.FlagKey(name, "pause"), []byte("false"))))
}

// TestOldRolloutsAreLetGo: of the ended rollouts of a track the newest stay on record, and those whose veto must last. Of the others
// their name stays, which is not used twice, and their flags stop nobody and are no news.
func TestOldRolloutsAreLetGo(t *testing.T) {
	l := newLab(t, 12)
	for i := range 14 {
		l.ended(fmt.Sprintf("old%02d", i), gate.Completed, time.Duration(100-i)*24*time.Hour, nil)
	}
	l.ended("vetoed", gate.BackedOut, 200*24*time.Hour, nil)
	l.ended("unvetoed", gate.BackedOut, 300*24*time.Hour, func(s *gate.State) { s.Unvetoed = true })
	for n := range 60 {
		l.set(tree.PastKey("old00", n), "{}")
	}
	s := l.get(tree.StateKey("old00"))
	l.set(tree.StateKey("old00"), strings.TrimSuffix(s, "}")+`,"pages":60}`)
	l.lead()
	l.l.site.cfg.Controller.History = 10
	l.start("now", "production_2")
	for range 3 {
		l.tick()
	}
	l.set(tree.FlagKey("old01", "pause"), "true") // by somebody who does not know
	audit := len(l.chain())
	for range 10 {
		l.tick()
	}
	snap := l.snapshot()
	if len(snap.Damaged) > 0 {
		t.Fatal(snap.Damaged)
	}
	if gone := slices.Sorted(maps.Keys(snap.Gone)); !slices.Equal(gone, []string{"old00", "old01", "old02", "old03", "unvetoed"}) {
		t.Errorf("let go: %q", gone)
	}
	for _, name := range []string{"old04", "old13", "vetoed", "now"} {
		if snap.Rollout(name) == nil {
			t.Errorf("%s is not on record any more", name)
		}
	}
	entries, _, err := l.kv.List(t.Context(), "rollouts/old00/")
	l.must(err)
	if len(entries) != 1 || entries[0].Key != tree.GoneKey("old00") {
		t.Errorf("%d keys are left, expected %s", len(entries), tree.GoneKey("old00"))
	}
	if kinds := l.kinds("old00"); !strings.HasSuffix(kinds, "forgotten") {
		t.Errorf("the audit has %q", kinds)
	}
	for _, a := range l.chain()[audit:] {
		if a.Kind == "flag" {
			t.Errorf("flags of a rollout that is gone are news: %s", a.Text)
		}
	}
	if len(snap.Stops.Latched.Pause) > 0 {
		t.Errorf("stops in force: %v", snap.Stops.Latched.Pause)
	}
	l.request("old00", tree.Request{Kind: tree.RequestStart, Rollout: "old00", Start: startOf("production_3")})
	l.tick()
	if refused := l.snapshot().Requests["old00"].Refused; !strings.Contains(refused, "never used twice") || !strings.Contains(refused, "completed") {
		t.Errorf("its name was used again: %q", refused)
	}
	l.until("now", gate.Completed)
}

// TestLetGoHoldsWhatItCannotRead: nothing is let go while something is damaged, and a record that came back is somebody's doing.
func TestLetGoHoldsWhatItCannotRead(t *testing.T) {
	l := newLab(t, 12)
	for i := range 12 {
		l.ended(fmt.Sprintf("old%02d", i), gate.Completed, time.Duration(100-i)*24*time.Hour, nil)
	}
	l.set("rollouts/old05/gone", `{"phase":"running"}`)
	l.lead()
	l.l.site.cfg.Controller.History = 10
	if _, err := l.l.look(t.Context()); err == nil {
		t.Error("a look at damage went on")
	}
	if snap := l.snapshot(); len(snap.Gone) > 0 || !strings.Contains(strings.Join(snap.Damaged, " "), "not one in which a rollout ends") {
		t.Errorf("gone %v, damaged %q", snap.Gone, snap.Damaged)
	}
	l.remove("rollouts/old05/gone")
	spec := l.get(tree.SpecKey("old00"))
	for range 6 {
		l.tick()
	}
	l.set(tree.SpecKey("old00"), spec)
	if _, err := l.l.look(t.Context()); err == nil {
		t.Error("a look at damage went on")
	}
	if snap := l.snapshot(); len(snap.Gone) != 2 || !strings.Contains(strings.Join(snap.Damaged, " "), "says that the rollout is gone") {
		t.Errorf("gone %v, damaged %q", snap.Gone, snap.Damaged)
	}
}

// TestRefusedRequestsAreLetGo: what was refused can be read for a month. What cannot be read stays: nobody knows how old it is.
func TestRefusedRequestsAreLetGo(t *testing.T) {
	l := newLab(t, 12).lead()
	l.request("wrong", tree.Request{Kind: tree.RequestStart, Rollout: "wrong", Start: &tree.Start{Track: "nowhere"}})
	l.set(tree.RequestKey("torn"), `{"kind":`)
	there := func() string { return strings.Join(slices.Sorted(maps.Keys(l.snapshot().Requests)), " ") }
	for _, step := range []struct {
		wait time.Duration
		want string
	}{{0, "torn wrong"}, {29 * 24 * time.Hour, "torn wrong"}, {2 * 24 * time.Hour, "torn"}, {100 * 24 * time.Hour, "torn"}} {
		l.now = l.now.Add(step.wait)
		l.tick()
		l.tick()
		if got := there(); got != step.want {
			t.Errorf("after %s more: %q, expected %q", step.wait, got, step.want)
		}
	}
}

// publish leaves a set in the store.
func (l *lab) publish(set segments.Set) {
	l.Helper()
	for n, shard := range set.Shards() {
		l.must(l.kv.Txn(l.Context(), store.Set(edge.SetKey(set.Digest, n), shard)))
	}
}

// TestOldSetsAreDeleted: a set that nothing has named for a day leaves the store, whole; what a document, a rollout under way or one
// that ended a moment ago names stays.
func TestOldSetsAreDeleted(t *testing.T) {
	l := newLab(t, 12).lead()
	l.request("r", tree.Request{Kind: tree.RequestStart, Rollout: "r", Start: &tree.Start{Track: "production", Environment: "production_2", Schedule: "three", Policy: "default"}})
	l.untilStage("r", 2)
	named := l.snapshot().Document.Sets
	var names []string
	for i := range 3 * segments.ShardLines {
		names = append(names, fmt.Sprintf("gone%d", i))
	}
	old := segments.NewSet(names)
	l.publish(old)
	there := func(digest string) int {
		keys, err := l.kv.Keys(t.Context(), edge.SetsPrefix+digest+"/")
		l.must(err)
		return len(keys)
	}
	l.now = l.now.Add(2 * time.Hour)
	l.tick()
	l.now = l.now.Add(20 * time.Hour)
	l.tick()
	if n := there(old.Digest); n != 3 {
		t.Fatalf("%d shards of 3 after 20 hours", n)
	}
	down := errors.New("no route")
	l.l.faults.Plan(func(c storetest.Call) storetest.Fault {
		if c.Method == "Keys" {
			return storetest.Fault{Before: fmt.Errorf("%w: %w", store.ErrUnavailable, down)}
		}
		return storetest.Fault{}
	})
	l.now = l.now.Add(6 * time.Hour)
	l.tick()
	if n := there(old.Digest); n != 3 {
		t.Fatalf("%d shards of 3 after a list that failed", n)
	}
	l.l.faults.Plan(nil)
	l.now = l.now.Add(2 * time.Hour)
	l.tick()
	if n := there(old.Digest); n != 0 {
		t.Errorf("%d shards are left after a day", n)
	}
	if len(named) == 0 {
		t.Fatal("no document names a set: the test looks at nothing")
	}
	for digest := range named {
		if there(digest) == 0 {
			t.Errorf("set %s of the document was deleted", digest)
		}
	}
}

// TestDue: only what has been there unused for a day without a break is due.
func TestDue(t *testing.T) {
	var td tidier
	there := []string{"a", "b", "c"}
	if due := td.due(there, map[string]bool{"a": true}, t0); len(due) > 0 {
		t.Errorf("due at once: %q", due)
	}
	td.due(there, map[string]bool{"a": true, "b": true}, t0.Add(12*time.Hour))
	if due := td.due(there, nil, t0.Add(24*time.Hour)); !slices.Equal(due, []string{"c"}) {
		t.Errorf("due after a day: %q", due)
	}
	if due := td.due([]string{"b"}, nil, t0.Add(49*time.Hour)); !slices.Equal(due, []string{"b"}) || len(td.unused) != 1 {
		t.Errorf("due after two days: %q, %v", due, td.unused)
	}
}

// TestOldEvidenceIsDeleted: evidence goes with the rollouts that it is of, not before.
func TestOldEvidenceIsDeleted(t *testing.T) {
	dir, now := t.TempDir(), t0
	file := func(digest string, age time.Duration) string {
		path := filepath.Join(dir, "evidence", digest+".json")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("{}"), 0o644), os.Chtimes(path, now.Add(-age), now.Add(-age))); err != nil {
			t.Fatal(err)
		}
		return path
	}
	day := 24 * time.Hour
	old, named, young := file("old", 50*day), file("named", 50*day), file("young", 30*day)
	snap := &tree.Snapshot{Rollouts: []tree.Rollout{
		{Spec: gate.Spec{Created: now.Add(-40 * day)}, State: gate.State{Phase: gate.Completed}},
		{Spec: gate.Spec{Created: now.Add(-60 * day)}, State: gate.State{Phase: gate.BackedOut, Stages: []gate.StageState{{Verdict: "named"}}}},
	}}
	left := func() (out []string) {
		for _, path := range []string{old, named, young} {
			if _, err := os.Stat(path); err == nil {
				out = append(out, strings.TrimSuffix(filepath.Base(path), ".json"))
			}
		}
		return out
	}
	if err := tidyEvidence(dir, snap, now); err != nil || len(left()) != 3 {
		t.Errorf("nothing was let go yet, left: %q, %v", left(), err)
	}
	snap.Gone = map[string]tree.Gone{"older": {}}
	if err := tidyEvidence(dir, snap, now); err != nil || !slices.Equal(left(), []string{"named", "young"}) {
		t.Errorf("left: %q, %v", left(), err)
	}
	if err := tidyEvidence(t.TempDir(), snap, now); err != nil {
		t.Errorf("without evidence: %v", err)
	}
}
