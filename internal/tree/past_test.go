package tree

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/segments"
)

// grown is a rollout after some steps, the first of a new stage at every tenth.
func grown(steps int) gate.State {
	state := gate.State{Phase: gate.Running, Since: t0}
	for i := range steps {
		at := t0.Add(time.Duration(i) * time.Minute)
		if i%10 == 0 {
			if n := len(state.Stages); n > 0 {
				state.Stages[n-1].Passed, state.Stages[n-1].Verdict = at, strings.Repeat("d", 64)
			}
			state.Stages = append(state.Stages, gate.StageState{Name: fmt.Sprintf("stage-%d", i/10), Set: strings.Repeat("5", 64), Count: 100_000, Since: at})
		}
		t := segments.FromShare(uint64(i+1) * 100_000)
		state.Stages[len(state.Stages)-1].Threshold = t
		state.Admissions = append(state.Admissions, gate.Admission{At: at, Stage: i / 10, Set: strings.Repeat("5", 64), Threshold: t})
	}
	return state
}

// ramp stores a rollout's state after every step, or every so many, and returns the most that one wrote.
func ramp(s *site, steps, every int) (most int) {
	s.Helper()
	for i := every; i <= steps; i += every {
		most = max(most, s.store(grown(i)))
	}
	return most
}

// store puts a state in the place of the one that is there, and returns how many bytes that wrote.
func (s *site) store(state gate.State) int {
	s.Helper()
	snap := s.read()
	if len(snap.Damaged) > 0 {
		s.Fatal(snap.Damaged)
	}
	ops := snap.PutState(snap.Rollout("ntp"), state, true)
	if err := s.kv.Txn(s.Context(), ops...); err != nil {
		s.Fatal(err)
	}
	n := 0
	for _, op := range ops {
		n += len(op.Key) + len(op.Value)
	}
	return n
}

func (s *site) pages() (out []string) {
	s.Helper()
	entries, _, err := s.kv.List(s.Context(), "rollouts/ntp/past/")
	if err != nil {
		s.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Key)
	}
	return out
}

// TestLongPast: however long a rollout's past is, a step writes no more than at its beginning, and what is read is what was written.
func TestLongPast(t *testing.T) {
	s := newSite(t)
	most := ramp(s, 1000, 1)
	if diff := cmp.Diff(grown(1000), s.read().Rollout("ntp").State); diff != "" {
		t.Error(diff)
	}
	if pages := len(s.pages()); most > 3600 || pages < 50 {
		t.Errorf("a step wrote up to %d bytes beside %d pages", most, pages)
	}
}

// TestPastIsWrittenOnce: a page that is there stays as it is, and nothing of it is written again.
func TestPastIsWrittenOnce(t *testing.T) {
	s := newSite(t)
	ramp(s, 100, 1)
	state := grown(100)
	before := s.read().Versions
	state.Phase = gate.BackedOut
	s.store(state)
	after := s.read().Versions
	for _, key := range s.pages() {
		if before[key] != after[key] {
			t.Errorf("%s was written again", key)
		}
	}
	if before[StateKey("ntp")] == after[StateKey("ntp")] {
		t.Error("the state was not written")
	}
}

// TestAnotherPast: a state whose past is another one, or a shorter one, is stored as it is all the same.
func TestAnotherPast(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSite(t)
		ramp(s, 60, 12)
		for range 4 {
			next := s.read().Rollout("ntp").State
			next.Stages = slices.Clone(next.Stages[:rapid.IntRange(1, len(next.Stages)).Draw(rt, "stages")])
			next.Admissions = slices.Clone(next.Admissions[:rapid.IntRange(0, len(next.Admissions)).Draw(rt, "admissions")])
			for range rapid.IntRange(0, 2).Draw(rt, "changes") {
				if n := len(next.Admissions); n > 0 {
					next.Admissions[rapid.IntRange(0, n-1).Draw(rt, "which")].At = t0.Add(-time.Hour)
				}
			}
			s.store(next)
			if diff := cmp.Diff(next, s.read().Rollout("ntp").State, cmpopts.EquateEmpty()); diff != "" {
				rt.Fatal(diff)
			}
		}
	})
}

// TestDamagedPast: a page that is gone, in the wrong place or unreadable is named, and nothing goes forward.
func TestDamagedPast(t *testing.T) {
	for what, c := range map[string]struct {
		harm func(s *site, pages []string)
		want string
	}{
		"last gone":    {func(s *site, p []string) { s.del(p[len(p)-1]) }, "pages, expected"},
		"first gone":   {func(s *site, p []string) { s.del(p[0]) }, p("00001") + ": expected"},
		"all gone":     {func(s *site, p []string) { s.del(p...) }, "its past has 0 pages"},
		"unreadable":   {func(s *site, p []string) { s.set(p[0], "{") }, p("00000")},
		"one too many": {func(s *site, q []string) { s.set(p(fmt.Sprintf("%05d", len(q))), "{}") }, "pages, expected"},
		"by hand":      {func(s *site, _ []string) { s.set(p("x"), "{}") }, p("x") + ": expected"},
	} {
		s := newSite(t)
		ramp(s, 60, 12)
		c.harm(s, s.pages())
		if got := strings.Join(s.read().Damaged, "; "); !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, expected %q in it", what, got, c.want)
		}
	}
}

func p(page string) string { return "rollouts/ntp/past/" + page }

func (s *site) del(keys ...string) {
	s.Helper()
	var ops []store.Op
	for _, key := range keys {
		ops = append(ops, store.Delete(key))
	}
	if err := s.kv.Txn(s.Context(), ops...); err != nil {
		s.Fatal(err)
	}
}
