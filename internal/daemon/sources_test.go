package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/puppetdb/puppetdbtest"
)

// TestSourcesThatFail: while PuppetDB is down, slow, cut off or far behind, no stage passes and the gate says why; a
// person's back-out is carried out all the same. Once it is mended the rollout goes on by itself.
func TestSourcesThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(l *lab)
		want string
	}{
		"an error": {func(l *lab) {
			l.pdb.BreakUntilMended(puppetdbtest.Fault{Status: 500, Body: "Query backend terminated"})
		}, "PuppetDB"},
		"cut off":        {func(l *lab) { l.pdb.BreakUntilMended(puppetdbtest.Fault{Cut: true}) }, "PuppetDB"},
		"aborted":        {func(l *lab) { l.pdb.BreakUntilMended(puppetdbtest.Fault{Abort: true}) }, "PuppetDB"},
		"garbage":        {func(l *lab) { l.pdb.BreakUntilMended(puppetdbtest.Fault{Garbage: "]"}) }, "PuppetDB"},
		"slow":           {func(l *lab) { l.pdb.BreakUntilMended(puppetdbtest.Fault{Delay: time.Hour}) }, "deadline"},
		"maintenance":    {func(l *lab) { l.pdb.SetMaintenance(true) }, "maintenance"},
		"starting":       {func(l *lab) { l.pdb.SetState("starting") }, "starting"},
		"a deep queue":   {func(l *lab) { l.pdb.SetQueueDepth(1001) }, "1001 commands wait"},
		"nobody polls":   {func(l *lab) { l.l.collector.polled = l.l.collector.polled.Add(-time.Hour) }, "last read"},
		"never heard of": {func(l *lab) { l.failoverBlind() }, "not read yet"},
	} {
		t.Run(name, func(t *testing.T) {
			l := running(t)
			blind := name == "nobody polls" || name == "never heard of"
			l.agents() // enough for a pass
			c.fail(l)
			for range 4 {
				l.accept()
				if !blind {
					patience := 200 * time.Millisecond
					if name == "maintenance" || name == "starting" || name == "a deep queue" {
						patience = time.Minute // the answer itself is asked for, and may come late on a busy machine
					}
					l.collectWithin(patience)
				}
				l.look()
				if why := l.closed("ntp"); !strings.Contains(why, "sources: ") || !strings.Contains(why, c.want) {
					t.Errorf("closed gates: %s; want %q", why, c.want)
				}
				if !blind {
					l.agents()
				}
			}
			if got := l.ranEver("production_2"); got != "n00" || len(l.state("ntp").Stages) != 1 {
				t.Fatalf("%q ran the candidate, %d stages", got, len(l.state("ntp").Stages))
			}
			l.mend()
			l.until("ntp", gate.Completed)
		})
	}
	t.Run("a person takes it back", func(t *testing.T) {
		l := running(t)
		l.pdb.BreakUntilMended(puppetdbtest.Fault{Status: 500})
		l.agents()
		l.set("flags/ntp/backout", "true")
		l.accept()
		l.collectWithin(200 * time.Millisecond)
		l.look()
		if s := l.state("ntp"); s.Phase != gate.BackedOut {
			t.Errorf("%s", s.Phase)
		}
	})
}

func (l *lab) mend() {
	l.pdb.Mend()
	l.pdb.SetMaintenance(false)
	l.pdb.SetState("running")
	l.pdb.SetQueueDepth(0)
}

// collectWithin is collect with less patience than PuppetDB's client has.
func (l *lab) collectWithin(d time.Duration) {
	l.Helper()
	for source, read := range map[string]func(context.Context) error{sourceReports: l.l.collector.poll, sourceInventory: l.l.collector.readInventory} {
		ctx, cancel := context.WithTimeout(l.Context(), d)
		l.l.collector.note(source, read(ctx))
		cancel()
	}
}

// failoverBlind is failover to a leader that has not read PuppetDB yet.
func (l *lab) failoverBlind() {
	l.Helper()
	l.failover()
	c := l.l.collector
	l.l.collector = newCollector(c.cfg, c.pdb, c.prom, c.log, c.now, c.wake, c.since)
}

// TestNodesFallSilent: nodes that stop to report are no pass, and a stage that nobody reports from is left by nobody.
func TestNodesFallSilent(t *testing.T) {
	l := newLab(t, 6).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.agents() // one run of the candidate; two are needed
	for range 12 {
		l.now = l.now.Add(10 * time.Minute)
		l.accept()
		l.collect(l.l)
		l.look()
	}
	if n := len(l.state("ntp").Stages); n != 1 {
		t.Errorf("%d stages", n)
	}
	if v := l.snapshot().Rollout("ntp").Status.Verdict; v.Counts.Silent != 1 || v.Result != analyzer.Inconclusive {
		t.Errorf("%s, %d silent: %s", v.Result, v.Counts.Silent, v.Reason)
	}
	l.until("ntp", gate.Completed)
}

// TestLongRolloutSurvivesItsLeader: a leader that comes days after the first admission reads far enough back to know that
// the admitted nodes were alive before it.
func TestLongRolloutSurvivesItsLeader(t *testing.T) {
	l := running(t)
	l.set("flags/ntp/pause", "true")
	for range 40 { // longer than the configured history of 3 h
		l.tick()
	}
	l.failover()
	l.set("flags/ntp/pause", "false")
	l.until("ntp", gate.Completed)
}
