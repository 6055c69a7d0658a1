package daemon

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/config"
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

// TestNodesThatMoveBetweenSegments: nodes that change their facts in mid-rollout neither lose the change by it nor gain it, while leaders
// come and go and the configuration's segments become others. Whoever has it once has it to the end.
func TestNodesThatMoveBetweenSegments(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 5))
			l := newLab(t, 22)
			l.moved = map[string]string{}
			l.lead()
			l.l.site.cfg.Schedules["three"].Stages[1].Bake.Runs = 6
			l.start("ntp", "production_2")
			l.untilStage("ntp", 2)
			l.tick() // everyone of the stage has it
			begun, with := map[string]bool{}, 0
			for _, n := range l.nodes {
				if begun[n] = l.answer(n) == "production_2"; begun[n] {
					with++
				}
			}
			if with != 11 {
				t.Fatalf("%d nodes are in fra1, of 11", with)
			}
			had, looks := map[string]bool{}, 0
			for range 40 {
				if l.state("ntp").Phase == gate.Completed {
					break
				}
				for _, n := range l.nodes {
					if r.IntN(3) == 0 {
						l.moved[n] = []string{"fra1", "ams1", "iad1"}[r.IntN(3)]
					}
				}
				switch r.IntN(4) {
				case 0:
					l.failover()
				case 1: // as after a reload
					l.l.site.cfg.Segments["fra1"] = config.Segment{Selector: `{facts.datacenter="iad1"}`}
				}
				l.tick()
				for _, n := range l.nodes {
					has := l.answer(n) == "production_2"
					if had[n] && !has {
						t.Errorf("%s had the change, moved to %q, and lost it", n, l.moved[n])
					}
					if len(l.state("ntp").Stages) == 2 && has != begun[n] {
						t.Errorf("%s: in the stage of fra1 it has the change %t, had %t when it began", n, has, begun[n])
					}
					had[n] = has
				}
				if len(l.state("ntp").Stages) == 2 {
					looks++
				}
			}
			if l.state("ntp").Phase != gate.Completed || looks == 0 {
				t.Errorf("%s after %d looks at the stage of fra1; closed gates: %s", l.state("ntp").Phase, looks, l.closed("ntp"))
			}
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
