package daemon

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
	"github.com/openinfrastructure/sluice/puppetdb"
)

// reverts asks as `sluice revert` and the API do.
func (l *lab) reverts(name string) error {
	l.Helper()
	v, _ := verb.Named("revert")
	d, _, err := verb.Sit(l.Context(), l.kv, v, "anna", func() time.Time { return l.now })
	l.must(err)
	_, err = d.Do(l.Context(), v, verb.Ask{Reason: "mail is slow", Rollout: name, Schedule: "three"})
	return err
}

// given counts the nodes by the parameters that the classifier gives them.
func (l *lab) given() map[string]int {
	l.Helper()
	out := map[string]int{}
	for _, n := range l.nodes {
		_, a, err := l.edges[0].Answer(l.Context(), n)
		l.must(err)
		data, err := json.Marshal(a.Parameters)
		l.must(err)
		out[string(data)]++
	}
	return out
}

// TestRevertOfParameters: a finished rollout of several parameters is undone by one that gives back, stage by stage, the values that they had
// by default, and takes away the one that there was not. Only while its values are the default does that undo it and no other.
func TestRevertOfParameters(t *testing.T) {
	l := newLab(t, 12).lead()
	start := func(name string, parameters map[string]any) {
		l.request(name, tree.Request{Kind: tree.RequestStart, Rollout: name, Start: &tree.Start{Track: "production", Parameters: parameters, Schedule: "three", Policy: "default"}})
		l.until(name, gate.Completed)
		l.tick()
		l.tick()
	}
	const before, after = `{"level":3,"sshd":true}`, `{"level":5,"motd":"x","sshd":true}`
	start("first", map[string]any{"sshd": true, "level": 3})
	start("second", map[string]any{"level": 5, "motd": "x"})
	if diff := cmp.Diff(map[string]int{after: 12}, l.given()); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(map[string]any{"level": 3.0, "motd": nil}, l.state("second").Former); diff != "" {
		t.Errorf("on record:\n%s", diff)
	}
	var e *verb.Error
	if err := l.reverts("first"); !errors.As(err, &e) || e.Kind != verb.Refused || !strings.Contains(e.Error(), "parameter level of track production has been changed since") {
		t.Errorf("the first is undone although the second changed its value: %v", err)
	}

	l.must(l.reverts("second"))
	l.untilStage("revert-second", 1)
	l.accept()
	if got := l.given(); got[before] == 0 || got[after] == 0 || got[before]+got[after] != 12 {
		t.Errorf("in its first stage nodes have %v", got)
	}
	l.until("revert-second", gate.Completed)
	l.tick()
	l.tick()
	if diff := cmp.Diff(map[string]int{before: 12}, l.given()); diff != "" {
		t.Errorf("after it:\n%s", diff)
	}

	// A revert is a rollout like others: it can be undone, and what it took away comes back.
	l.must(l.reverts("revert-second"))
	l.until("revert-revert-second", gate.Completed)
	l.tick()
	l.tick()
	if diff := cmp.Diff(map[string]int{after: 12}, l.given()); diff != "" {
		t.Errorf("after the revert of the revert:\n%s", diff)
	}
}

// TestRevertOfOneThatWaited: what a revert gives back is the environment that was there when the rollout took its place, not the one
// when the rollout was asked for.
func TestRevertOfOneThatWaited(t *testing.T) {
	l := newLab(t, 12).lead()
	l.start("first", "production_2")
	l.tick()
	l.start("second", "production_3")
	l.until("second", gate.Completed)
	l.tick()
	l.tick()
	l.must(l.reverts("second"))
	l.until("revert-second", gate.Completed)
	if got := l.snapshot().Track("production").Baseline; got != "production_2" {
		t.Errorf("second came after production_2, and its revert gives %s", got)
	}
}

// TestRevertThatCameTooLate: whoever asks for a revert sees what is in force then; where the leader takes it up after something else has
// come, it would undo that as well, and is refused.
func TestRevertThatCameTooLate(t *testing.T) {
	l := newLab(t, 12).lead()
	l.start("first", "production_2")
	l.until("first", gate.Completed)
	l.must(l.reverts("first"))
	asked := l.snapshot().Requests["revert-first"]
	l.remove(tree.RequestKey("revert-first"))
	l.start("second", "production_3")
	l.until("second", gate.Completed)
	l.request("revert-first", asked)
	l.look()
	if why := l.snapshot().Requests["revert-first"].Refused; !strings.Contains(why, "first cannot be reverted any more: its environment is not the baseline any more") {
		t.Errorf("refused because %q", why)
	}
	l.must(l.reverts("second"))
	l.until("revert-second", gate.Completed)
}

// TestRevertBehindAnother: a revert that waits for a rollout that is ahead of it would undo that one, too, once that is completed: it ends
// instead and says so. Where the other is taken back it goes on.
func TestRevertBehindAnother(t *testing.T) {
	behind := func(t *testing.T) *lab {
		l := newLab(t, 12).lead()
		l.start("first", "production_2")
		l.until("first", gate.Completed)
		l.tick()
		l.start("second", "production_3")
		l.until("second", gate.Running)
		l.must(l.reverts("first"))
		l.tick()
		if why := l.closed("revert-first"); !strings.Contains(why, "waits for second, which is ahead of it on track production; it undoes first and nothing else") {
			t.Errorf("closed gates: %s", why)
		}
		return l
	}
	t.Run("completed", func(t *testing.T) {
		l := behind(t)
		l.until("second", gate.Completed)
		l.tick()
		l.tick()
		s := l.state("revert-first")
		if want := "first cannot be reverted any more: its environment is not the baseline any more"; s.Phase != gate.Superseded || !strings.Contains(s.Reason, want) || l.snapshot().Track("production").Baseline != "production_3" {
			t.Errorf("%s: %q; the baseline is %s", s.Phase, s.Reason, l.snapshot().Track("production").Baseline)
		}
		l.must(l.reverts("second"))
		l.until("revert-second", gate.Completed)
	})
	t.Run("taken back", func(t *testing.T) {
		l := behind(t)
		l.set("flags/second/backout", "true")
		l.until("revert-first", gate.Completed)
		if got := l.snapshot().Track("production").Baseline; got != "production_1" {
			t.Errorf("the baseline is %s", got)
		}
	})
}

// TestProofOfAbsence: a parameter that was taken away is proven by a catalog without it.
func TestProofOfAbsence(t *testing.T) {
	for _, c := range []struct {
		have string
		want bool
	}{
		{`{"given":{"level":3}}`, true}, {`{"given":{"level":3,"motd":null}}`, true}, {`{"given":{"level":3,"motd":"x"}}`, false},
		{`{"given":{}}`, false}, {`{"given":{"motd":null}}`, false}, {`{}`, false},
	} {
		class := classOf(t, c.have, t0)
		if got := given(class, map[string]any{"level": 3, "motd": nil}, t0); got != c.want {
			t.Errorf("%s: proven %v", c.have, got)
		}
	}
}

func classOf(t *testing.T, parameters string, produced time.Time) puppetdb.Class {
	t.Helper()
	class := puppetdb.Class{Produced: produced}
	if err := json.Unmarshal([]byte(parameters), &class.Parameters); err != nil {
		t.Fatal(err)
	}
	return class
}
