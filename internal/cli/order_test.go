package cli

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// TestOrders: what is asked for is what the leader reads; the stage is the one that the person saw.
func TestOrders(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	ask := func(args ...string) { t.Helper(); s.run(append(args, "--wait", "0", "--reason", "incident")...) }
	ask("promote", "ntp", "--now")
	if r := s.snapshot().Requests["promote-ntp"]; r.Kind != tree.RequestPromote || r.Stage != "quarter" || r.Reason != "incident" {
		t.Errorf("%+v", r)
	}
	s.fails(ExitConflict, "asked for it already", "promote", "ntp", "--now", "--wait", "0", "--reason", "again")
	s.rollout("dns", func(r *tree.Rollout) { r.State = gate.State{} })
	ask("skip", "dns", "quarter")
	if r := s.snapshot().Requests["skip-dns"]; r.Kind != tree.RequestSkip || r.Stage != "quarter" {
		t.Errorf("%+v", r)
	}
	s.rollout("sshd", func(r *tree.Rollout) { r.State.Phase, r.State.FormerBaseline = gate.Completed, "production_a" })
	s.publish(func(d *segments.Document) { d.Tracks[0].Baseline = "production_8f3c2d1a" })
	s.put(tree.TrackKey("production"), tree.Track{Name: "production", Baseline: "production_8f3c2d1a"})
	s.put(tree.TrackKey("production"), tree.Track{Name: "production", Baseline: "production_8f3c2d1a", Parameters: map[string]any{"level": 5, "motd": "x"}})
	s.rollout("flag", func(r *tree.Rollout) {
		r.State.Phase, r.Spec.Candidate, r.Spec.Parameters = gate.Completed, "", map[string]any{"level": 5, "motd": "x"}
		r.State.Former = map[string]any{"level": 3, "motd": nil}
	})
	ask("revert", "flag", "--schedule", "flags", "--policy", "strict")
	want := &tree.Start{Track: "production", Parameters: map[string]any{"level": 3.0, "motd": nil}, Schedule: "flags", Policy: "strict", Reverts: "flag"}
	if r := s.snapshot().Requests["revert-flag"]; r.Kind != tree.RequestStart || !cmp.Equal(r.Start, want) {
		t.Errorf("%+v", r)
	}
	ask("revert", "sshd", "--schedule", "careful")
	if r := s.snapshot().Requests["revert-sshd"]; r.Kind != tree.RequestStart || r.Start.Environment != "production_a" || r.Start.Track != "production" {
		t.Errorf("%+v", r)
	}
}

// TestOrderRefusals: clear errors, and nothing is written.
func TestOrderRefusals(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", func(r *tree.Rollout) {
		r.Spec.Schedule.Stages[2].Approvers = []string{"ben@example.com", "*@board.example.com"}
	})
	s.rollout("new", func(r *tree.Rollout) { r.State = gate.State{} })
	s.rollout("bad", backOut)
	s.rollout("old", func(r *tree.Rollout) { r.State.Phase = gate.Completed })
	s.rollout("flag", func(r *tree.Rollout) {
		r.State.Phase, r.Spec.Candidate, r.Spec.Parameters = gate.Completed, "", map[string]any{"a": 1}
	})
	s.rollout("over", func(r *tree.Rollout) {
		r.State.Phase, r.Spec.Candidate, r.Spec.Parameters = gate.Completed, "", map[string]any{"b": 1}
		r.State.Former = map[string]any{"b": nil}
	})
	s.rollout("early", func(r *tree.Rollout) { r.State.Phase, r.Spec.Candidate = gate.Completed, "production_a" })
	before := s.all()
	for _, c := range []struct {
		exit int
		want string
		args []string
	}{
		{ExitConflict, "may be approved by ben@example.com, *@board.example.com, not by anna@example.com", []string{"approve", "ntp", "rest"}},
		{ExitUsage, "say --now", []string{"promote", "ntp"}},
		{ExitConflict, "it is waiting", []string{"promote", "new", "--now"}},
		{ExitConflict, "flags are dead", []string{"promote", "bad", "--now"}},
		{ExitConflict, "the first or the last", []string{"skip", "ntp", "rest"}},
		{ExitConflict, "has begun already", []string{"skip", "ntp", "quarter"}},
		{ExitConflict, `no stage "all"`, []string{"skip", "ntp", "all"}},
		{ExitConflict, "it is running; sluice backout ntp takes it back", []string{"revert", "ntp", "--schedule", "careful"}},
		{ExitConflict, "nothing to undo", []string{"revert", "bad", "--schedule", "careful"}},
		{ExitConflict, "not the baseline any more", []string{"revert", "old", "--schedule", "careful"}},
		{ExitConflict, "which environment was the baseline before is not on record", []string{"revert", "early", "--schedule", "careful"}},
		{ExitConflict, "what parameter a had before is not on record", []string{"revert", "flag", "--schedule", "careful"}},
		{ExitConflict, "parameter b of track production has been changed since", []string{"revert", "over", "--schedule", "careful"}},
		{ExitError, "did you mean old?", []string{"revert", "odl", "--schedule", "careful"}},
	} {
		s.fails(c.exit, c.want, append(c.args, "--reason", "drill")...)
	}
	if after := s.all(); before != after {
		t.Errorf("a refused verb wrote something:\n%s", after)
	}
}
