package gate

import (
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// TestOutdatedRevert: a revert that waits ends where something else is in force by now, and until then neither takes another rollout back nor
// another one's place. While a store looks restored, or where it does undo what it was asked to, it waits.
func TestOutdatedRevert(t *testing.T) {
	for name, c := range map[string]struct {
		baseline, supersede, halt string
		forget                    bool
		revert, third             Phase
		why                       string
	}{
		"in force, replaces":     {baseline: "b", supersede: schedule.SupersedeReplace, revert: Waiting, third: BackedOut},
		"outdated, to replace":   {baseline: "x", supersede: schedule.SupersedeReplace, revert: Superseded, third: Running, why: "its environment is not the baseline any more"},
		"outdated, to queue":     {baseline: "x", supersede: schedule.SupersedeQueue, revert: Superseded, third: Running, why: "its environment is not the baseline any more"},
		"outdated, on a train":   {baseline: "x", supersede: schedule.SupersedeTrain, revert: Superseded, third: Running, why: "its environment is not the baseline any more"},
		"not on record any more": {baseline: "b", supersede: schedule.SupersedeReplace, forget: true, revert: Superseded, third: Running, why: "is not on record"},
		"a restored store":       {baseline: "x", supersede: schedule.SupersedeReplace, halt: "restored", revert: Waiting, third: Running},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 24)
			s.w.Rollouts = nil
			for _, r := range [][2]string{{"first", "b"}, {"third", "c"}, {"waits", "d"}, {"revert-first", "a"}} {
				s.start(r[0], r[1])
			}
			first, third, waits, revert := &s.w.Rollouts[0], &s.w.Rollouts[1], &s.w.Rollouts[2], &s.w.Rollouts[3]
			first.State = State{Phase: Completed, FormerBaseline: "a"}
			third.State = State{Phase: Running, Stages: []StageState{{Name: "canary", Set: "c", Count: 1, Target: segments.All, Threshold: segments.All, Since: s.w.Now, Full: s.w.Now}}}
			revert.Spec.Reverts, revert.Spec.Schedule.Supersede = "first", c.supersede
			if c.supersede == schedule.SupersedeTrain {
				waits.Spec.Schedule.Supersede = c.supersede
			}
			if c.forget {
				revert.Spec.Reverts = "zeroth"
			}
			s.w.Tracks[0].Baseline, s.w.Halt = c.baseline, c.halt
			s.look()
			if got := s.state("revert-first"); got.Phase != c.revert || !strings.Contains(got.Reason, c.why) {
				t.Errorf("the revert is %s: %q", got.Phase, got.Reason)
			}
			if got := s.state("third").Phase; got != c.third {
				t.Errorf("third is %s", got)
			}
			if got := s.state("waits").Phase; got != Waiting {
				t.Errorf("the one that waits is %s", got)
			}
		})
	}
}
