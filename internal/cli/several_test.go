package cli

import (
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// said is which of the flags a word was written to.
func (s *site) said(key func(name string) string, word string, names ...string) string {
	s.t.Helper()
	var found []string
	for _, name := range names {
		if strings.HasPrefix(s.snapshot().Flags[strings.TrimPrefix(key(name), "flags/")], word+" by=anna") {
			found = append(found, name)
		}
	}
	return strings.Join(found, " ")
}

// TestDecideSeveral: delay, approve and deny act on the rollouts that are named, that a selector matches, or on all of them.
func TestDecideSeveral(t *testing.T) {
	delay := func(name string) string { return tree.FlagKey(name, "delay") }
	rest := func(name string) string { return tree.ApprovalKey(name, "rest") }
	for _, c := range []struct {
		args string
		key  func(string) string
		word string
		want string
	}{
		{"delay ntp sshd 2h", delay, "2h", "ntp sshd"},
		{"delay -l kind=parameters 2026-11-03T08:00:00Z", delay, "2026-11-03T08:00:00Z", "sshd"},
		{"delay --all 1d", delay, "1d", "dns ntp sshd"},
		{"delay ntp dns --end", delay, "false", "dns ntp"},
		{"delay -l name=~(n|d).* --end", delay, "false", "dns ntp"},
		{"approve --all rest", rest, "true", "dns ntp sshd"},
		{`approve -l track="production",name!=dns rest`, rest, "true", "ntp sshd"},
		{"approve ntp dns rest", rest, "true", "dns ntp"},
		{"deny -l kind=parameters rest", rest, "false", "sshd"},
	} {
		s := newSite(t)
		s.rollout("dns", nil)
		s.rollout("ntp", nil)
		s.rollout("sshd", func(r *tree.Rollout) { r.Spec.Candidate, r.Spec.Parameters = "", map[string]any{"sshd": true} })
		s.rollout("old", func(r *tree.Rollout) { r.State.Phase = gate.Completed })
		s.ok(append(strings.Fields(c.args), "--reason", "drill")...)
		if got := s.said(c.key, c.word, "dns", "ntp", "old", "sshd"); got != c.want {
			t.Errorf("%s: written for %q, want %q", c.args, got, c.want)
		}
	}
}

// TestPartly: rollouts for which a verb has no meaning are named, each with the reason, the others get it, and the exit says that it
// was not for all. A name that does not exist may be a slip in all of them: nothing is written.
func TestPartly(t *testing.T) {
	s := newSite(t)
	s.rollout("dns", func(r *tree.Rollout) {
		r.Spec.Schedule.Stages = append([]schedule.Stage(nil), r.Spec.Schedule.Stages...)
		r.Spec.Schedule.Stages[2].Name = "everyone"
	})
	s.rollout("ntp", nil)
	s.rollout("sshd", func(r *tree.Rollout) { r.Spec.Schedule.Stages[2].Approvers = []string{"ben@example.com"} })
	s.rollout("old", func(r *tree.Rollout) { r.State.Phase = gate.Completed })
	rest := func(name string) string { return tree.ApprovalKey(name, "rest") }

	code, out, errOut := s.run("approve", "--all", "rest", "--reason", "drill")
	for _, want := range []string{"not for 2 of 3 rollouts:", "  dns: dns has no stage \"rest\"; its stages are one, quarter, everyone", "  sshd: stage rest of sshd may be approved by ben@example.com, not by anna@example.com"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("it does not say %q:\n%s", want, errOut)
		}
	}
	if got := s.said(rest, "true", "dns", "ntp", "sshd"); code == ExitOK || got != "ntp" || !strings.Contains(out, "stage rest of ntp is approved") {
		t.Errorf("exit %d, approved %q, says %q", code, got, out)
	}

	delay := func(name string) string { return tree.FlagKey(name, "delay") }
	s.fails(ExitConflict, "old: old is completed since", "delay", "ntp", "old", "2h", "--reason", "drill")
	if got := s.said(delay, "2h", "ntp", "old"); got != "ntp" {
		t.Errorf("delayed %q", got)
	}
	before := s.all()
	s.fails(ExitError, `no rollout "npt"; did you mean ntp?`, "delay", "dns", "npt", "1d", "--reason", "drill")
	s.fails(ExitError, "no rollout that has not ended matches", "approve", "-l", "track=staging", "rest", "--reason", "drill")
	s.fails(ExitError, "no rollout that has not ended matches", "delay", "-l", "track=staging", "2h", "--reason", "drill")
	s.fails(ExitError, "not for 3 of 3", "deny", "--all", "nothing", "--reason", "drill")
	s.fails(ExitUsage, "and then the stage", "approve", "rest", "--reason", "drill")
	s.fails(ExitUsage, "expected the names of rollouts, --all, or --select", "approve", "ntp", "rest", "--all", "--reason", "drill")
	s.fails(ExitUsage, "expected a duration, a time, or --end", "delay", "-l", "track=production", "--reason", "drill")
	if s.all() != before {
		t.Error("a refused verb wrote something")
	}
}
