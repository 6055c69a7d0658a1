package schedule

import (
	"time"

	"github.com/prometheus/common/model"
)

const (
	defaultGrowth   = 4
	defaultBakeTime = time.Hour
	defaultBakeRuns = 2
	// defaultPatience is what a stage gets beyond its bake before its deadline:
	// a long weekend must not end a rollout.
	defaultPatience = 7 * 24 * time.Hour
)

// DefaultInFlight is the ramp of a stage that states none.
var DefaultInFlight = Amount{Nodes: 10, Percent: 2 * Hundred / 100}

// SetDefaults fills in what the author left out. given says whether a key was
// written, so that an explicit zero stays zero and is refused by Validate.
func (s *Stage) SetDefaults(given func(key string) bool) {
	if !given("nodes") && !given("percent") && !s.grows() {
		s.Percent = Hundred
	}
	if !given("pass") {
		s.Pass = PassClean
	}
	if !given("ramp") {
		s.Ramp.InFlight = DefaultInFlight
	}
	if !given("bake") {
		s.Bake.SetDefaults(func(string) bool { return false })
	}
	if s.Deadline.After == 0 && !given("deadline.after") {
		s.Deadline.After = s.Bake.Time + model.Duration(defaultPatience)
	}
	if !given("deadline") {
		s.Deadline.Then = ThenHold
	}
}

// SetDefaults fills in the ramp of a stage that states none.
func (r *Ramp) SetDefaults(given func(key string) bool) {
	if !given("in_flight") {
		r.InFlight = DefaultInFlight
	}
}

// SetDefaults fills in what the author left out of a bake.
func (b *Bake) SetDefaults(given func(key string) bool) {
	if !given("time") {
		b.Time = model.Duration(defaultBakeTime)
	}
	if !given("runs") {
		b.Runs = defaultBakeRuns
	}
}

// SetDefaults fills in what follows a deadline.
func (d *Deadline) SetDefaults(given func(key string) bool) {
	if !given("then") {
		d.Then = ThenHold
	}
}

// SetDefaults fills in what the author left out. The stages must have theirs
// already: the deadline of the whole is the sum of their deadlines.
func (s *Schedule) SetDefaults(given func(key string) bool) {
	if !given("growth") {
		s.Growth = defaultGrowth
	}
	if !given("supersede") {
		s.Supersede = SupersedeQueue
	}
	if s.Deadline.After == 0 && !given("deadline.after") {
		for _, stage := range s.Stages {
			s.Deadline.After += stage.Deadline.After
		}
	}
	if !given("deadline") {
		s.Deadline.Then = ThenHold
	}
}
