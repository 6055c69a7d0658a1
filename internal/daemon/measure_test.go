package daemon

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// slowCatalogs makes catalogs of an environment take longer, and a node's runs differ from each other.
func slowCatalogs(environment string, times float64) func(node, env string) []puppetdb.Metric {
	return func(node, env string) []puppetdb.Metric {
		h := fnv.New32a()
		_, _ = h.Write([]byte(node))
		seconds := 2 + float64(h.Sum32()%100)/100
		if env == environment {
			seconds *= times
		}
		return []puppetdb.Metric{{Category: "time", Name: "config_retrieval", Value: seconds}, {Category: "resources", Name: "corrective_change", Value: 0}}
	}
}

// metricsBefore gives the lab a leader, once its nodes have run with metrics for as long as a stage looks back: the runs that a lab
// begins with have none.
func (l *lab) metricsBefore() {
	l.Helper()
	for range 13 {
		l.now = l.now.Add(10 * time.Minute)
		for i, node := range l.nodes {
			l.report(i, node, "production_1")
		}
	}
	l.lead().look()
}

func retrievalOf(l *lab, name string) analyzer.Check {
	l.Helper()
	for _, c := range l.snapshot().Rollout(name).Status.Verdict.Checks {
		if c.Name == "config_retrieval" {
			return c
		}
	}
	l.Fatal("no check config_retrieval")
	return analyzer.Check{}
}

// TestSlowCatalogsAreTakenBack: nothing fails and runs take as long as ever, but catalogs take three times as long. It is found with
// the leader changed in the middle too, and not with nobody measured.
func TestSlowCatalogsAreTakenBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		extra string
		times float64
		over  bool
		want  gate.Phase
	}{
		{"slow", "", 3, false, gate.BackedOut},
		{"slow, and another leader", "", 3, true, gate.BackedOut},
		{"as before", "", 1, false, gate.Completed},
		{"nobody is measured", ", measured: 0", 3, false, gate.Completed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, 200)
			l.inPuppetDB = c.extra
			l.metrics = slowCatalogs("production_2", c.times)
			l.metricsBefore()
			l.startBy("half", "r", "production_2")
			l.untilStage("r", 1)
			for k := range 60 {
				if p := l.state("r").Phase; p == gate.BackedOut || p == gate.Completed {
					break
				}
				if k == 2 && c.over {
					l.failover()
				}
				l.tick()
			}
			if got := l.state("r").Phase; got != c.want {
				t.Fatalf("%s, want %s; closed: %s", got, c.want, l.closed("r"))
			}
			check := retrievalOf(l, "r")
			switch {
			case c.want == gate.BackedOut && !strings.Contains(l.state("r").Verdict.Reason, "config_retrieval: catalogs took longer to come"):
				t.Errorf("%s", l.state("r").Verdict.Reason)
			case c.extra != "" && (check.Result != analyzer.Inconclusive || !strings.HasPrefix(check.Reason, "not measured")):
				t.Errorf("%+v", check)
			}
		})
	}
}

// TestOnlySomeAreMeasured: those who are admitted first and those who stay controls for longest, whoever draws them; PuppetDB is asked
// about no other.
func TestOnlySomeAreMeasured(t *testing.T) {
	l := newLab(t, 60)
	l.inPuppetDB = ", measured: 7"
	l.metrics = slowCatalogs("", 1)
	l.metricsBefore()
	l.startBy("half", "r", "production_2")
	l.untilStage("r", 1)
	l.tick()
	drawn := func() (names []string) {
		c := l.l.collector.ledger.courses["r"]
		for _, n := range c.nodes {
			if n.Measured != nil {
				names = append(names, n.Certname)
			}
		}
		if len(c.measured) != len(names) {
			t.Errorf("%d are measured, %d are shown", len(c.measured), len(names))
		}
		return names
	}
	first := drawn()
	c := l.l.collector.ledger.courses["r"]
	for k, i := range c.roster.order {
		if want := k < 7 || k >= len(c.roster.order)-7; slices.Contains(first, c.nodes[i].Certname) != want {
			t.Errorf("place %d of %d: measured %t", k, len(c.roster.order), !want)
		}
	}
	l.failover()
	l.tick()
	if again := drawn(); !slices.Equal(first, again) {
		t.Errorf("another leader drew %v, the first %v", again, first)
	}
	asked := 0
	for _, r := range l.pdb.Requests() {
		if !strings.Contains(r.Body, `"metrics"`) || strings.Contains(r.Body, `"logs"`) {
			continue
		}
		asked++
		for _, n := range l.nodes {
			if strings.Contains(r.Body, `"`+n+`"`) && !slices.Contains(first, n) {
				t.Errorf("%s was asked about: %s", n, r.Body)
			}
		}
	}
	if asked == 0 {
		t.Error("nobody was asked about")
	}
}

// TestAReportWithoutMetricsIsNotMeasured: of one canary and one control a report says nothing, one had such a report before the stage.
// They take no part, instead of counting as nodes that put nothing back; another leader sees the same.
func TestAReportWithoutMetricsIsNotMeasured(t *testing.T) {
	l := newLab(t, 60)
	null := map[string]bool{}
	before := false
	has := slowCatalogs("", 1)
	l.metrics = func(node, env string) []puppetdb.Metric {
		if null[node] || before && node == "n00" {
			return nil
		}
		return has(node, env)
	}
	l.metricsBefore()
	before = true
	l.tick()
	before = false
	l.startBy("half", "r", "production_2")
	l.untilStage("r", 1)
	l.tick()
	arms := func() (measured [2]int, without []string) {
		for _, n := range l.l.collector.ledger.courses["r"].nodes {
			if n.Measured == nil {
				without = append(without, n.Certname)
				continue
			}
			if n.Admitted() {
				measured[1]++
			} else {
				measured[0]++
			}
		}
		return measured, without
	}
	if got, without := arms(); !slices.Equal(without, []string{"n00"}) {
		t.Fatalf("%v measured, without %v, want all but the one without metrics before the stage", got, without)
	}
	want := []string{"n00"}
	picked := map[bool]bool{}
	for _, n := range l.l.collector.ledger.courses["r"].nodes {
		if n.Measured != nil && !picked[n.Admitted()] {
			picked[n.Admitted()], null[n.Certname] = true, true
			want = append(want, n.Certname)
		}
	}
	if len(want) != 3 {
		t.Fatalf("without metrics are to be %v, one of each arm", want)
	}
	l.tick()
	clear(null) // one such report is enough
	l.tick()
	check := func(when string) {
		t.Helper()
		slices.Sort(want)
		got, without := arms()
		if !slices.Equal(without, want) || got[0]+got[1] != len(l.nodes)-len(want) {
			t.Errorf("%s: %v measured, without %v, want all but %v", when, got, without, want)
		}
		for _, c := range l.snapshot().Rollout("r").Status.Verdict.Checks {
			if c.Name == "corrective" && (c.ControlTotal != got[0] || c.CanaryTotal != got[1]) {
				t.Errorf("%s: corrective is of %d canaries and %d controls, want %v", when, c.CanaryTotal, c.ControlTotal, got)
			}
		}
	}
	check("after a report without metrics")
	l.failover()
	l.tick()
	check("with another leader")
}

// TestUnreadMetricsHold: while PuppetDB does not say, its sources are not fresh.
func TestUnreadMetricsHold(t *testing.T) {
	l := newLab(t, 60).lead()
	l.look()
	l.start("r", "production_2")
	l.untilStage("r", 1)
	l.l.collector.metrics = func(context.Context, []string, time.Time, time.Time, func(puppetdb.Report, []puppetdb.Metric) error) error {
		return errors.New("PuppetDB is tired")
	}
	for range 12 {
		l.tick()
	}
	if n := len(l.state("r").Stages); n != 1 || !strings.Contains(l.closed("r"), "metrics of") {
		t.Errorf("%d stages; %s", n, l.closed("r"))
	}
}

// TestMetricsLetTheFeedGoFirst: a leader that has much to read reads reports in between, and nothing passes until it has all metrics.
func TestMetricsLetTheFeedGoFirst(t *testing.T) {
	l := newLab(t, 250).lead()
	l.look()
	l.startBy("half", "r", "production_2")
	l.untilStage("r", 1)
	l.tick()
	c := l.l.collector
	for _, m := range c.ledger.courses["r"].measured {
		m.due = l.now.Add(-time.Hour) // as a new leader has it
	}
	asked := 0
	slow := c.metrics
	c.metrics = func(ctx context.Context, certnames []string, from, to time.Time, fn func(puppetdb.Report, []puppetdb.Metric) error) error {
		asked++
		l.now = l.now.Add(40 * time.Second)
		return slow(ctx, certnames, from, to, fn)
	}
	for k, want := range []string{"metrics of 150 nodes have yet to be read", "metrics of 50 nodes have yet to be read", ""} {
		err := c.poll(t.Context())
		if got := fmt.Sprint(err); asked != k+1 || want == "" && err != nil || want != "" && got != want {
			t.Fatalf("poll %d: %v, asked %d times, want %q", k, err, asked, want)
		}
		if want != "" && !c.polled.IsZero() && c.polled.Equal(l.now) {
			t.Error("the poll counts as a whole one")
		}
	}
}

// TestMetricsOfAnotherRollout: an answer that was asked for a rollout that has ended since is none of its successor's of the same name.
func TestMetricsOfAnotherRollout(t *testing.T) {
	l, spec, state, r := withCourse(t, 20)
	l.measured = 100
	l.courses["ntp"].draw(l, time.Hour)
	asked := l.unmeasured()
	if len(asked) != 1 || len(asked[0].certnames) != 20 {
		t.Fatalf("%+v", asked)
	}
	delete(l.courses, "ntp")
	spec.Salt = "another"
	l.follow(spec, state, r, 24*time.Hour, nil)
	l.tookMeasure(asked[0], nil)
	if left := l.unmeasured(); len(left) != 1 || len(left[0].certnames) != 20 {
		t.Errorf("its successor has %+v to read", left)
	}
}
