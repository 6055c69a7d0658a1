package cli

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
)

// inBubble runs a test with a clock that stands still while anybody works, and a site on it.
func inBubble(t *testing.T, test func(s *site)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.p.now = func() time.Time { return t0 }
		test(s)
		s.other.Wait()
	})
}

// leader waits for a request and does what a leader does with it, once.
func (s *site) leader(id string, do func()) {
	s.other.Go(func() {
		for index := uint64(0); ; {
			if _, err := s.store.Get(s.t.Context(), tree.RequestKey(id)); err == nil {
				time.Sleep(5 * time.Second)
				do()
				return
			}
			var err error
			if index, err = s.store.Watch(s.t.Context(), "requests/", index); err != nil {
				return
			}
		}
	})
}

var startNTP = []string{"start", "--environment", "production_8F3", "--change", "8f3", "--schedule", "careful", "--reason", "ntp pools"}

func TestStart(t *testing.T) {
	inBubble(t, func(s *site) {
		s.leader("production_8f3", func() {
			want := tree.Request{Kind: tree.RequestStart, Rollout: "production_8f3", By: "anna@example.com (token 1234abcd)", Reason: "ntp pools", At: t0,
				Start: &tree.Start{Track: "production", Environment: "production_8F3", Change: "8f3", Schedule: "careful", Policy: "default"}}
			if diff := cmp.Diff(want, s.request("production_8f3")); diff != "" {
				s.t.Errorf("request (-want +got):\n%s", diff)
			}
			s.rollout("production_8f3", func(r *tree.Rollout) { r.State, r.Status = gate.State{}, tree.Status{} })
			s.delete(tree.RequestKey("production_8f3"))
			time.Sleep(5 * time.Second) // its first look comes later
			s.rollout("production_8f3", func(r *tree.Rollout) {
				r.State = gate.State{}
				r.Status.Gates = []gate.Gate{{Name: "edges", Reason: "puppet2 has generation 1"}, {Name: "window", Open: true}}
			})
		})
		golden(s.t.(*testing.T), "start.txt", s.transcript(startNTP...))
	})
}

func TestStartParameters(t *testing.T) {
	s := newSite(t)
	out := s.ok("start", "sshd", "--parameter", "hardening=true", "--parameter", "level=3", "--parameter", "motd=be nice", "--parameter", `list=["a"]`,
		"--schedule", "flags", "--policy", "strict", "--wait", "0s", "--reason", "audit")
	if !strings.Contains(out, "queued for the leader (no sluiced has ever led here)") {
		t.Errorf("says %q", out)
	}
	want := map[string]any{"hardening": true, "level": 3.0, "motd": "be nice", "list": []any{"a"}}
	if diff := cmp.Diff(want, s.request("sshd").Start.Parameters); diff != "" {
		t.Error(diff)
	}
	s.fails(ExitConflict, "asked for it already", "start", "sshd", "--parameter", "a=1", "--schedule", "flags", "--wait", "0s", "--reason", "again")
	s.fails(ExitHeld, "no leader has taken it up yet", "status", "sshd")
	r := s.request("sshd")
	r.Refused = "schedules.flags: not there"
	s.put(tree.RequestKey("sshd"), r)
	s.put(tree.RequestKey(verb.ConfirmRestoreID), tree.Request{Kind: tree.RequestConfirmRestore, By: "anna", At: t0.Add(-time.Hour)})
	s.fails(ExitConflict, "not there", "status", "sshd")
	golden(t, "list-requests.txt", s.transcript("list"))
	// One that was refused gives way.
	s.ok("start", "sshd", "--parameter", "a=1", "--schedule", "careful", "--wait", "0s", "--reason", "again")
	if got := s.request("sshd"); got.Refused != "" || got.Reason != "again" {
		t.Errorf("the second request is %+v", got)
	}
}

func TestStartRefused(t *testing.T) {
	inBubble(t, func(s *site) {
		s.leader("production_8f3", func() {
			r := s.request("production_8f3")
			r.Refused = "it is vetoed"
			s.put(tree.RequestKey("production_8f3"), r)
		})
		s.fails(ExitConflict, "the leader refused: it is vetoed", startNTP...)
	})
}

// TestStartGone: a request that vanished without a rollout was not taken up.
func TestStartGone(t *testing.T) {
	inBubble(t, func(s *site) {
		s.leader("production_8f3", func() { s.delete(tree.RequestKey("production_8f3")) })
		s.fails(ExitError, "there is no rollout", startNTP...)
	})
}

func TestStartWithoutLeader(t *testing.T) {
	inBubble(t, func(s *site) {
		began := time.Now()
		s.fails(ExitTimeout, "no leader took it up within 30s (no sluiced has ever led here)", startNTP...)
		if waited := time.Since(began); waited != 30*time.Second {
			s.t.Errorf("waited %s", waited)
		}
		s.put(tree.LeaderKey, store.Holder{Who: "sluiced@a", Since: t0})
		s.fails(ExitTimeout, "the last to lead is sluiced@a", "confirm-restore", "--wait", "1s", "--reason", "drill")
		s.put(tree.LeaderKey, store.Holder{Since: t0})
		s.rollout("sshd", backOut)
		s.fails(ExitTimeout, "nobody leads since", "unveto", "sshd", "--wait", "1s", "--reason", "drill")
	})
}

func TestStartInterrupted(t *testing.T) {
	inBubble(t, func(s *site) {
		ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Second)
		defer cancel()
		if code, _, errOut := s.runIn(ctx, startNTP...); code != ExitError || !strings.Contains(errOut, "stays queued") {
			s.t.Errorf("exit %d, %q", code, errOut)
		}
	})
}

// TestUnveto: the flag is released in the transaction that asks for the unveto, and the request says whose.
func TestUnveto(t *testing.T) {
	inBubble(t, func(s *site) {
		s.rollout("ntp", nil)
		s.ok("backout", "ntp", "--reason", "drill")
		s.fails(ExitConflict, "has not recorded it yet", "unveto", "ntp", "--reason", "too early")
		if got := s.get("flags/ntp/backout"); !strings.HasPrefix(got, "true ") {
			s.t.Errorf("the flag is %q before the leader has recorded it", got)
		}
		s.rollout("ntp", backOut)
		s.leader("unveto-ntp", func() {
			if got := s.get("flags/ntp/backout"); !strings.HasPrefix(got, "false by=anna") {
				s.t.Errorf("the flag is %q", got)
			}
			if r := s.request("unveto-ntp"); r.Kind != tree.RequestUnveto || r.Rollout != "ntp" || r.Reason != "it was the disk" {
				s.t.Errorf("request %+v", r)
			}
			s.rollout("ntp", func(r *tree.Rollout) { backOut(r); r.State.Unvetoed = true })
			s.delete(tree.RequestKey("unveto-ntp"))
		})
		if out := s.ok("unveto", "ntp", "--reason", "it was the disk"); !strings.Contains(out, "may be started again under a new name") {
			s.t.Errorf("says %q", out)
		}
		s.fails(ExitConflict, "lifted already", "unveto", "ntp", "--reason", "again")
	})
}

func TestConfirmRestore(t *testing.T) {
	inBubble(t, func(s *site) {
		s.leader(verb.ConfirmRestoreID, func() { s.delete(tree.RequestKey(verb.ConfirmRestoreID)) })
		if out := s.ok("confirm-restore", "--reason", "Tuesday's snapshot"); !strings.Contains(out, "takes the store for right") {
			s.t.Errorf("says %q", out)
		}
	})
}
