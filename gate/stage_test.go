package gate

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

func closedBy(d Decision, name string) string {
	var out []string
	for _, g := range d.Gates[name] {
		if !g.Open {
			out = append(out, g.Name+": "+g.Reason)
		}
	}
	return strings.Join(out, "; ")
}

// A stage that asks for more nodes than it has cannot end; its own coverage and policy count before the rollout's.
func TestStageTerms(t *testing.T) {
	s := newSite(t, 8)
	s.w.Rollouts[0].Spec.Schedule.Stages[0].MinNodes = 2
	s.run(2 * time.Hour)
	if n, why := len(s.state("ntp").Stages), closedBy(s.look(), "ntp"); n != 1 || !strings.Contains(why, "coverage: 1 nodes have run the change, stage canary needs 2 at least") {
		t.Errorf("%d stages: %s", n, why)
	}
	s.w.Rollouts[0].Spec.Schedule.Stages[0].MinNodes = 1
	s.run(30 * time.Minute)
	if n := len(s.state("ntp").Stages); n < 2 {
		t.Errorf("%d stages", n)
	}
	strict, half := analyzer.DefaultPolicy(), schedule.Hundred/2
	strict.Runs = 7
	spec := Spec{Policy: analyzer.DefaultPolicy(), Policies: Policies{"strict": strict}, Schedule: schedule.Schedule{Stages: []schedule.Stage{{Policy: "strict"}, {Coverage: &half}}}}
	if a, b := spec.PolicyOf(0), spec.PolicyOf(1); a.Runs != 7 || a.Coverage != .95 || b.Runs != 2 || b.Coverage != .5 {
		t.Errorf("%+v, %+v", a, b)
	}
}

// No calendar freeze lets anything forward, and none keeps a back-out.
func TestCalendarFreezeHolds(t *testing.T) {
	s := newSite(t, 8)
	s.w.Freezes = []schedule.Freeze{{Name: "x", Err: "gone"}}
	s.run(time.Hour)
	if s.state("ntp").Phase != Waiting {
		t.Error("a rollout began beside a freeze that cannot be read")
	}
	s.w.Freezes = nil
	s.run(5 * time.Minute)
	s.w.Freezes = []schedule.Freeze{{Name: "x", Spans: []schedule.Span{{From: s.w.Now, To: s.w.Now.Add(time.Hour)}}}}
	s.tree["ntp/backout"] = "true"
	s.run(2 * time.Minute)
	if s.state("ntp").Phase != BackedOut {
		t.Error("a freeze kept a back-out")
	}
}

// A spec is kept as JSON: a stage must open at the same times after it was read back.
func TestSpecRoundTrip(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	coverage := schedule.Hundred / 3
	spec := Spec{Name: "ntp", Windows: schedule.Presets(), Policies: Policies{"strict": analyzer.DefaultPolicy()}, Schedule: schedule.Schedule{Stages: []schedule.Stage{{
		Name: "s", Windows: []string{schedule.BusinessHours}, TimeZone: &timeinterval.Location{Location: berlin}, Policy: "strict", Coverage: &coverage, MinNodes: 3, Percent: 1}}},
		Segments: map[string]Segment{"s": {AnyOf: []string{"a"}, AllOf: []string{"b"}, Not: "c", Membership: Snapshot}}}
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var again Spec
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(again)
	if err != nil || string(second) != string(data) {
		t.Errorf("%v\n%s\n%s", err, data, second)
	}
	for at, opened := t0, 0; ; at = at.Add(7 * time.Minute) {
		before, err := spec.Schedule.Stages[0].Open(spec.Windows, at)
		after, errAgain := again.Schedule.Stages[0].Open(again.Windows, at)
		if err != nil || errAgain != nil || before != after {
			t.Fatalf("%s: %+v %v, read back %+v %v", at, before, err, after, errAgain)
		}
		if before.Open {
			opened++
		}
		if at.After(t0.AddDate(0, 0, 7)) {
			if opened == 0 {
				t.Error("it never opened")
			}
			break
		}
	}
}
