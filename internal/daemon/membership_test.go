package daemon

import (
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

// TestMembership: a node that comes into a segment under way is in its stage where the segment is live, and waits for the
// stage of everyone where it is a snapshot, after a failover too.
func TestMembership(t *testing.T) {
	for membership, joins := range map[string]bool{gate.Live: true, gate.Snapshot: false} {
		t.Run(membership, func(t *testing.T) {
			l := newLab(t, 22)
			use := func() {
				s := l.l.site.cfg.Segments["fra1"]
				s.Membership = membership
				l.l.site.cfg.Segments["fra1"] = s
			}
			l.lead()
			use()
			l.start("ntp", "production_2")
			l.until("ntp", gate.Running)
			l.nodes = append(l.nodes, "n22") // in fra1
			l.failover()
			use()
			l.untilStage("ntp", 2)
			l.tick()
			l.tick()
			if got := strings.Contains(l.ranEver("production_2"), "n22"); got != joins {
				t.Errorf("in the stage of fra1 the newcomer has run the candidate: %t; %s", got, l.ranEver("production_2"))
			}
			l.until("ntp", gate.Completed)
			l.tick()
			l.on("production_2", l.nodes...)
		})
	}
}

// TestCalendarFreeze: a freeze of the configuration holds a rollout that has started before, and lets it go on after it.
func TestCalendarFreeze(t *testing.T) {
	l := newLab(t, 6).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	var rule schedule.FreezeRule
	from, to := new(schedule.Moment), new(schedule.Moment)
	l.must(from.UnmarshalText([]byte(l.now.Format(time.RFC3339))))
	l.must(to.UnmarshalText([]byte(l.now.Add(3 * time.Hour).Format(time.RFC3339))))
	rule.From, rule.To = from, to
	l.l.site.cfg.Freezes = map[string]schedule.FreezeRule{"sale": rule}
	for range 10 {
		l.tick()
	}
	if n, why := len(l.state("ntp").Stages), l.closed("ntp"); n != 1 || !strings.Contains(why, "freeze: freeze sale until") {
		t.Errorf("%d stages, closed gates: %s", n, why)
	}
	l.until("ntp", gate.Completed)
	if l.now.Before(t0.Add(3 * time.Hour)) {
		t.Errorf("completed at %s", l.now)
	}
	l.l.site.cfg.Freezes["holidays"] = schedule.FreezeRule{ICal: l.path("gone.ics")}
	l.start("ntp2", "production_3")
	for range 3 {
		l.tick()
	}
	if why := l.closed("ntp2"); !strings.Contains(why, "freeze holidays cannot be read, so it holds") {
		t.Errorf("with a freeze file that is gone: %s", why)
	}
}
