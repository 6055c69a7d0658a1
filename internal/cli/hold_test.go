package cli

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
)

const fra1 = `{enc.datacenter="fra1"}`

func (s *site) holds() []gate.Hold {
	s.t.Helper()
	snap, err := tree.Read(s.t.Context(), s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	return snap.Holds
}

// TestHold: what add writes is what the leader reads; expire ends it, and its ID is free again.
func TestHold(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", func(r *tree.Rollout) { shut(r, gate.Gate{Name: "hold", Source: "holds/fra1-network"}) })
	s.ok("hold", "add", "fra1-network", fra1, "--for", "1d2h", "--reason", "switch\n upgrade")
	want := gate.Hold{ID: "fra1-network", Selector: fra1, Until: t0.Add(26 * time.Hour), By: "anna@example.com (token 1234abcd)", Comment: "switch upgrade"}
	if diff := cmp.Diff([]gate.Hold{want}, s.holds()); diff != "" {
		t.Error(diff)
	}
	s.fails(ExitConflict, "hold fra1-network exists, of anna", "hold", "add", "fra1-network", "{}", "--for", "1h", "--reason", "x")

	var views []holdView
	if err := json.Unmarshal([]byte(s.ok("hold", "list", "-o", "json")), &views); err != nil {
		t.Fatal(err)
	}
	if len(views) != 1 || views[0].State != verb.HoldStands || len(views[0].Stops) != 1 || views[0].Stops[0] != "ntp" {
		t.Errorf("listed as %+v", views)
	}

	s.now = t0.Add(time.Hour)
	s.ok("hold", "expire", "fra1-network", "--reason", "done early")
	want.Until, want.Ended = s.now, "by anna@example.com (token 1234abcd): done early"
	if diff := cmp.Diff([]gate.Hold{want}, s.holds()); diff != "" {
		t.Error(diff)
	}
	if out := s.ok("hold", "list"); !strings.Contains(out, verb.HoldExpired) || !strings.Contains(out, "done early") || strings.Contains(out, "ntp") {
		t.Errorf("listed as\n%s", out)
	}
	s.fails(ExitConflict, "ended at", "hold", "expire", "fra1-network", "--reason", "again")
	s.ok("hold", "add", "fra1-network", "{}", "--until", "2026-11-03T08:00:00+01:00", "--reason", "again")
	if h := s.holds(); len(h) != 1 || h[0].Selector != "{}" || h[0].Ended != "" || !h[0].Until.Equal(t0.Add(23*time.Hour)) {
		t.Errorf("the second hold is %+v", h)
	}
}

// TestHoldRefusals: nothing is written by what is not understood.
func TestHoldRefusals(t *testing.T) {
	s := newSite(t)
	before := s.all()
	for _, c := range []struct {
		exit int
		want string
		args []string
	}{
		{ExitUsage, "a hold needs an end", []string{"add", "a", fra1}},
		{ExitUsage, "a hold needs an end", []string{"add", "a", fra1, "--for", "1h", "--until", "2026-11-03T08:00:00Z"}},
		{ExitUsage, "is over", []string{"add", "a", fra1, "--until", "2026-11-02T08:00:00Z"}},
		{ExitUsage, "is no time", []string{"add", "a", fra1, "--until", "2h"}},
		{ExitUsage, "is no duration", []string{"add", "a", fra1, "--for", "soon"}},
		{ExitUsage, "is no duration", []string{"add", "a", fra1, "--for", "0s"}},
		{ExitUsage, "is no duration", []string{"add", "a", fra1, "--for", "-1h"}},
		{ExitUsage, "is no duration", []string{"add", "a", fra1, "--for", "false"}},
		{ExitUsage, "is no duration", []string{"add", "a", fra1, "--for", "2026-11-03T08:00:00Z"}},
		{ExitUsage, "is no duration", []string{"add", "a", fra1, "--for", "1h and more"}},
		{ExitUsage, "unknown attribute", []string{"add", "a", `{datacenter="fra1"}`, "--for", "1h"}},
		{ExitUsage, "selector is empty", []string{"add", "a", " ", "--for", "1h"}},
		{ExitUsage, "no ID of a hold", []string{"add", "a/b", fra1, "--for", "1h"}},
		{ExitUsage, "no ID of a hold", []string{"expire", "a/b"}},
		{ExitError, "there is no hold a", []string{"expire", "a"}},
	} {
		s.fails(c.exit, c.want, append(append([]string{"hold"}, c.args...), "--reason", "drill")...)
	}
	s.fails(ExitUsage, "expected add, list or expire", "hold", "remove")
	if after := s.all(); before != after {
		t.Errorf("something was written:\n%s\n%s", before, after)
	}
}

// TestHoldByHand: a hold that cannot be read, or has no end, is shown as what it does, and can be ended.
func TestHoldByHand(t *testing.T) {
	s := newSite(t)
	for key, value := range map[string]string{"holds/torn": "{", "holds/wrong": `{"selector":"{x=\"1\"}"}`, "holds/endless": `{"selector":"{}","by":"bob"}`} {
		if err := s.store.Txn(t.Context(), store.Set(key, []byte(value))); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]string{}
	for _, h := range holdsOf(&tree.Snapshot{Holds: s.holds()}, s.now) {
		got[h.ID] = h.State
	}
	if diff := cmp.Diff(map[string]string{"torn": verb.HoldUnreadable, "wrong": verb.HoldUnreadable, "endless": verb.HoldStands}, got); diff != "" {
		t.Error(diff)
	}
	if out := s.ok("hold", "list"); !strings.Contains(out, "no end") || strings.Count(out, "holds everything") != 2 {
		t.Errorf("listed as\n%s", out)
	}
	for id := range got {
		s.fails(ExitConflict, "exists", "hold", "add", id, fra1, "--for", "1h", "--reason", "x")
		s.ok("hold", "expire", id, "--reason", "by mistake")
	}
	for _, h := range s.holds() {
		if verb.StateOf(h, s.now) != verb.HoldExpired {
			t.Errorf("after expire: %+v", h)
		}
	}
}

// TestHoldOverDamage: a hold stops, so it can be added while other keys cannot be read; it never replaces what it cannot see.
func TestHoldOverDamage(t *testing.T) {
	s := newSite(t)
	s.ok("hold", "add", "old", fra1, "--for", "1h", "--reason", "x")
	s.store = sick{Store: s.store, list: func(prefix string) error {
		if prefix == "rollouts/" {
			return errors.New("no answer")
		}
		return nil
	}}
	if code, _, errOut := s.run("hold", "add", "new", "{}", "--for", "1h", "--reason", "x"); code != ExitOK {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if code, _, _ := s.run("hold", "add", "old", "{}", "--for", "1h", "--reason", "x"); code == ExitOK {
		t.Error("a hold was replaced unseen")
	}
	if code, _, _ := s.run("hold", "expire", "old", "--reason", "x"); code == ExitOK {
		t.Error("a hold was ended unseen")
	}
	if got := s.get("holds/old"); !strings.Contains(got, "fra1") {
		t.Errorf("holds/old is %s", got)
	}
	if got := s.get("holds/new"); !strings.Contains(got, `"{}"`) {
		t.Errorf("holds/new is %s", got)
	}
}
