package schedule

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
)

var known = Names{Segments: []string{"fra1", "canary"}, Windows: []string{"office"}}

// valid returns a schedule of three stages with every default filled in.
func valid() Schedule {
	s := Schedule{Stages: []Stage{
		{Name: "canary", Segment: "canary", Nodes: 3},
		{Name: "one", Percent: Hundred / 100, Windows: []string{"office"}},
		{Name: "rest"},
	}}
	for i := range s.Stages {
		s.Stages[i].SetDefaults(func(key string) bool {
			return key == "nodes" && s.Stages[i].Nodes > 0 || key == "percent" && s.Stages[i].Percent > 0
		})
	}
	s.SetDefaults(func(string) bool { return false })
	return s
}

func TestDefaults(t *testing.T) {
	s := valid()
	if err := s.Validate("schedules.s", known); err != nil {
		t.Fatal(err)
	}
	week := model.Duration(7 * 24 * time.Hour)
	want := Stage{
		Name: "rest", Percent: Hundred, Ramp: Ramp{DefaultInFlight}, Bake: Bake{model.Duration(time.Hour), 2},
		Pass: PassClean, Deadline: Deadline{week + model.Duration(time.Hour), ThenHold},
	}
	if diff := cmp.Diff(want, s.Stages[2]); diff != "" {
		t.Errorf("last stage (-want +got):\n%s", diff)
	}
	if s.Growth != 4 || s.Supersede != SupersedeQueue || s.Deadline != (Deadline{3 * (week + model.Duration(time.Hour)), ThenHold}) {
		t.Errorf("defaults of the schedule: %+v", s)
	}
	if s.HoldbackFor(4999) != 0 || s.HoldbackFor(5000) != 2*Hundred/100 {
		t.Errorf("default holdback: %s below 5000 nodes, %s above", s.HoldbackFor(4999), s.HoldbackFor(5000))
	}
	none := Percent(0)
	s.Holdback = &none
	if s.HoldbackFor(1_000_000) != 0 {
		t.Error("a holdback of 0% is not kept")
	}
}

func TestStageOf(t *testing.T) {
	for _, test := range []struct {
		stage       Stage
		nodes, want int
	}{
		{Stage{Nodes: 5}, 100, 5}, {Stage{Nodes: 5}, 3, 3}, {Stage{Nodes: 5}, 0, 0},
		{Stage{Percent: Hundred / 2}, 3, 2}, {Stage{Percent: Hundred}, 3, 3}, {Stage{}, 3, 0},
	} {
		if got := test.stage.Of(test.nodes); got != test.want {
			t.Errorf("%+v of %d = %d, want %d", test.stage, test.nodes, got, test.want)
		}
	}
}

func TestValidate(t *testing.T) {
	share := func(p Percent) *Percent { return &p }
	for _, test := range []struct {
		change func(s *Schedule)
		want   string
	}{
		{func(s *Schedule) { *s = Schedule{} }, "s.stages: expected 1 to 100 stages, got 0"},
		{func(s *Schedule) { s.Stages = make([]Stage, 101) }, "s.stages: expected 1 to 100 stages, got 101"},
		{func(s *Schedule) { s.Stages[1].Bake.Time = math.MaxInt64 },
			"s.stages[1].bake.time: expected a duration from 0s to 366d, got 2562047h47m16.854775807s"},
		{func(s *Schedule) { s.Stages[1].Deadline.After = model.Duration(367 * 24 * time.Hour) },
			"s.stages[1].deadline.after: expected at most 366d, got 367d"},
		{func(s *Schedule) { s.Growth = 0.5 }, "s.growth: expected a factor of at least 1, got 0.5"},
		{func(s *Schedule) { s.Growth = math.NaN() }, "s.growth: expected a factor of at least 1, got NaN"},
		{func(s *Schedule) { s.Growth = math.Inf(1) }, "s.growth: expected a factor of at least 1, got +Inf"},
		{func(s *Schedule) { s.Holdback = share(Hundred) }, "s.holdback: is 100%, which leaves nobody to have the change"},
		{func(s *Schedule) { s.Start = &Start{} }, "s.start.not_before: expected a time such as 2027-01-31T08:00:00+01:00"},
		{func(s *Schedule) { s.Supersede = "skip" }, `s.supersede: expected one of queue, train, replace, got "skip"`},
		{func(s *Schedule) { s.Deadline.Then = "" }, `s.deadline.then: expected one of hold, backout, got ""`},
		{func(s *Schedule) { s.Deadline.After = 0 }, "s.deadline.after: expected a duration above zero, got 0s"},
		{func(s *Schedule) { s.Deadline.After = model.Duration(time.Hour) },
			"s.deadline.after: 1h is not longer than the bakes of all stages together, 3h"},
		{func(s *Schedule) { s.Stages[1].Name = "canary" }, `s.stages[1].name: stage "canary" is already stages[0]`},
		{func(s *Schedule) { s.Stages[1].Name = "One" }, `s.stages[1].name: expected [a-z0-9][a-z0-9_-]* of at most 63 characters, got "One"`},
		{func(s *Schedule) { s.Stages[1].Name = "one\n" }, `s.stages[1].name: expected [a-z0-9][a-z0-9_-]* of at most 63 characters, got "one\n"`},
		{func(s *Schedule) { s.Stages[1].Nodes = 5 }, "s.stages[1].percent: expected exactly one of nodes and percent, got both"},
		{func(s *Schedule) { s.Stages[1].Percent = 0 }, "s.stages[1].percent: neither nodes nor percent is above zero: the stage would admit nobody"},
		{func(s *Schedule) { s.Stages[1].Percent = Hundred + 1 }, "s.stages[1].percent: expected at most 100%, got 100.0000001%"},
		{func(s *Schedule) { s.Stages[0].Nodes = -1 }, "s.stages[0].nodes: expected at least 1 node, got -1"},
		{func(s *Schedule) { s.Stages[0].Segment = "fra2" }, `s.stages[0].segment: segment "fra2" is not known`},
		{func(s *Schedule) { s.Stages[1].Windows = []string{"office", "night"} }, `s.stages[1].windows[1]: window "night" is not known`},
		{func(s *Schedule) { s.Stages[1].Ramp = Ramp{} }, "s.stages[1].ramp.in_flight: the stage could never admit a node"},
		{func(s *Schedule) { s.Stages[1].Ramp.InFlight.Nodes = -2 },
			"s.stages[1].ramp.in_flight: expected a number of nodes or up to 100%, got max(-2, 2%)"},
		{func(s *Schedule) { s.Stages[1].Bake.Time = -1 }, "s.stages[1].bake.time: expected a duration from 0s to 366d, got -1ns"},
		{func(s *Schedule) { s.Stages[1].Bake.Runs = 0 }, "s.stages[1].bake.runs: expected at least 1 Puppet run, got 0"},
		{func(s *Schedule) { s.Stages[1].Pass = "green" }, `s.stages[1].pass: expected one of clean, certified, got "green"`},
		{func(s *Schedule) { s.Stages[1].Deadline.After = -1 }, "s.stages[1].deadline.after: expected a duration above zero, got -1ns"},
		{func(s *Schedule) { s.Stages[1].Deadline.After = s.Stages[1].Bake.Time },
			"s.stages[1].deadline.after: 1h is not longer than the bake of 1h"},
		{func(s *Schedule) {
			s.Stages[0] = s.Stages[1]
			s.Stages[0].Name, s.Stages[0].Segment, s.Stages[0].Percent, s.Stages[0].Pass = "dc", "fra1", Hundred, PassCertified
		}, `s.stages[0].pass: certified needs a random part of segment "fra1" as control, and the stage takes all of it`},
		{func(s *Schedule) { s.Holdback, s.Stages[2].Pass = share(0), PassCertified },
			"s.stages[2].pass: certified needs a control, and the stage takes everyone with no holdback"},
		{func(s *Schedule) { s.Stages[2].Percent = Hundred / 100 },
			"s.stages[2].percent: 1% is not more than the 1% of stages[1] in the same segment"},
		{func(s *Schedule) { s.Stages[1].Segment, s.Stages[1].Nodes, s.Stages[1].Percent = "canary", 3, 0 },
			"s.stages[1].nodes: 3 is not more than the 3 of stages[0] in the same segment"},
		{func(s *Schedule) { s.Stages[2].Nodes, s.Stages[2].Percent = 50, 0 },
			"s.stages[2].nodes: 50 nodes after the 1% of stages[1]: expected a percentage, which is known to grow"},
		{func(s *Schedule) { s.Stages[1], s.Stages[2] = s.Stages[2], s.Stages[1] },
			"s.stages[2]: nobody is left: stages[1] admits everyone"},
	} {
		s := valid()
		test.change(&s)
		var got []string
		if err := s.Validate("s", known); err != nil {
			got = strings.Split(err.Error(), "\n")
			var field *FieldError
			if !errors.As(err, &field) {
				t.Errorf("%v is no *FieldError", err)
			}
		}
		found := false
		for _, line := range got {
			found = found || line == test.want
		}
		if !found {
			t.Errorf("want %q, got %q", test.want, got)
		}
	}
}

func TestValidateFindsEverything(t *testing.T) {
	s := valid()
	s.Growth, s.Stages[0].Bake.Runs, s.Stages[2].Pass = 0, 0, ""
	err := s.Validate("s", known)
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three errors, got %v", err)
	}
}

func TestScheduleJSONRoundTrip(t *testing.T) {
	want := valid()
	want.Start = &Start{NotBefore: time.Date(2027, 1, 31, 8, 0, 0, 0, time.UTC)}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Schedule
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", data, diff)
	}
}

// TestMissingJSONIsRefused: a stored schedule that lost a field must not get
// a default that admits everyone.
func TestMissingJSONIsRefused(t *testing.T) {
	var s Schedule
	if err := json.Unmarshal([]byte(`{"stages":[{"name":"one"}],"growth":4}`), &s); err != nil {
		t.Fatal(err)
	}
	err := s.Validate("s", known)
	if err == nil || !strings.Contains(err.Error(), "s.stages[0].percent: neither nodes nor percent is above zero: the stage would admit nobody") {
		t.Errorf("a stage without a size gives %v", err)
	}
}

// TestAsks: only stages that ask for a certified pass are counted, in their order.
func TestAsks(t *testing.T) {
	s := valid()
	s.Stages[0].Pass, s.Stages[2].Pass = PassCertified, PassCertified
	for i, want := range [][2]int{{1, 2}, {0, 2}, {2, 2}} {
		if ask, asks := s.Asks(i); ask != want[0] || asks != want[1] {
			t.Errorf("stage %d: %d of %d, want %v", i, ask, asks, want)
		}
	}
	if ask, asks := valid().Asks(0); ask != 0 || asks != 0 {
		t.Errorf("nobody asks: %d of %d", ask, asks)
	}
}
