package gate

import (
	"slices"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// TestComing: who came since the nodes of a stage for everyone were counted is told by name, whoever left meanwhile, came back, or came and left;
// what an earlier leader knew is a number.
func TestComing(t *testing.T) {
	points := func(ps ...segments.Point) []segments.Point { return ps }
	at := segments.Threshold(segments.Point(50).String())
	everyone := func(steps int, recounted time.Time, came Came) *State {
		return &State{Phase: Running, Admissions: make([]Admission, steps), Stages: []StageState{{Threshold: at, Recounted: recounted, Came: came}}}
	}
	var c Coming
	now := time.Time{}
	for i, step := range []struct {
		what  string
		state *State
		there []segments.Point
		want  Came
	}{
		{"it waits", &State{}, points(10, 20, 60), Came{}},
		{"it begins, and one joined since the look before", everyone(1, now, Came{}), points(10, 20, 30, 60), Came{1, 1}},
		{"one is replaced", everyone(1, now, Came{1, 1}), points(10, 30, 40, 60), Came{2, 2}},
		{"it comes back", everyone(1, now, Came{2, 2}), points(10, 20, 30, 40, 60), Came{2, 2}},
		{"those that came leave", everyone(1, now, Came{2, 2}), points(10, 20, 60), Came{}},
		{"one comes above the threshold", everyone(1, now, Came{}), points(10, 20, 60, 70), Came{1, 0}},
		{"more are admitted, and one joins", everyone(2, now, Came{1, 0}), points(10, 15, 20, 60, 70), Came{2, 1}},
		{"a person takes those for all", everyone(2, t0, Came{}), points(10, 15, 20, 60, 70), Came{}},
		{"a stage with a set", &State{Phase: Running, Stages: []StageState{{Set: "c"}}}, points(10, 20), Came{}},
	} {
		if got := c.Look(step.state, step.there); got != step.want {
			t.Errorf("%d, %s: %+v, want %+v", i, step.what, got, step.want)
		}
	}
	var next Coming // another leader, which finds two on record
	if got := next.Look(everyone(2, now, Came{2, 1}), points(10, 20, 60)); got != (Came{2, 1}) {
		t.Errorf("another leader says %+v", got)
	}
	if got := next.Look(everyone(2, now, Came{2, 1}), points(20, 25, 60)); got != (Came{3, 2}) {
		t.Errorf("and after one was replaced %+v", got)
	}
}

// TestNewcomersMakeUpForNobody: nodes that were replaced under other names have left, whatever the count says, until a person takes those that
// are there for all.
func TestNewcomersMakeUpForNobody(t *testing.T) {
	s := newSite(t, 40)
	for len(s.state("ntp").Stages) < 3 || s.state("ntp").Stages[2].Full.IsZero() {
		s.run(time.Minute)
	}
	s.w.Rollouts[0].Came = Came{Segment: 8, Admitted: 8} // and 40 are there: 8 have left
	if s.run(2 * time.Hour); s.state("ntp").Phase != Running {
		t.Fatalf("it is %s", s.state("ntp").Phase)
	}
	if got := closedGates(s.look(), "ntp"); !slices.Contains([]string{"coverage"}, got) {
		t.Errorf("closed %s", got)
	}
	s.order(Order{Promote: &Promotion{Stage: "everyone"}})
	s.w.Rollouts[0].Came = Came{}
	if s.run(time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("%s, closed %s", s.state("ntp").Phase, closedGates(s.look(), "ntp"))
	}
}

func BenchmarkComing(b *testing.B) {
	const nodes = 1_000_000
	was, now := make([]segments.Point, nodes), make([]segments.Point, nodes)
	for i := range was {
		was[i], now[i] = segments.Point(2*i), segments.Point(2*i+i%1000/999)
	}
	state := &State{Phase: Running, Stages: []StageState{{Threshold: segments.All}}}
	for b.Loop() {
		var c Coming
		c.Look(state, was)
		c.Look(state, now)
	}
}
