package schedule

import (
	"fmt"
	"math"
	globs "path"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

const (
	maxStages = 100
	// maxWait keeps a sum of waits far from overflow; nobody waits longer.
	maxWait = 366 * 24 * time.Hour
)

// Names is what a schedule may refer to.
type Names struct {
	Segments []string
	Windows  []string
	Policies []string
	// Zoneless are the windows that need the zone of a stage.
	Zoneless []string
}

// Validate returns everything that makes the schedule impossible, joined, each
// a *FieldError below path (for instance "schedules.careful"). It expects
// defaults to be filled in: a stage without a size is an error.
func (s Schedule) Validate(path string, known Names) error {
	var f fields
	if len(s.Stages) == 0 || len(s.Stages) > maxStages {
		f.add(path+".stages", "expected 1 to %d stages, got %d", maxStages, len(s.Stages))
		return f.err()
	}
	if s.Growth < 1 || math.IsNaN(s.Growth) || math.IsInf(s.Growth, 0) {
		f.add(path+".growth", "expected a factor of at least 1, got %v", s.Growth)
	}
	if s.Holdback != nil && *s.Holdback >= Hundred {
		f.add(path+".holdback", "is %s, which leaves nobody to have the change", *s.Holdback)
	}
	if s.Start != nil && s.Start.NotBefore.IsZero() {
		f.add(path+".start.not_before", "expected a time such as 2027-01-31T08:00:00+01:00")
	}
	f.oneOf(path+".supersede", s.Supersede, SupersedeQueue, SupersedeTrain, SupersedeReplace)
	for i, stage := range s.Stages {
		stage.validate(&f, s.at(path, i), known)
		s.validateGrade(&f, s.at(path, i), stage)
	}
	s.validateNames(&f, path)
	s.validateOrder(&f, path)
	s.validateDeadline(&f, path)
	return f.err()
}

func (s Schedule) validateNames(f *fields, path string) {
	first := map[string]int{}
	for i, stage := range s.Stages {
		if earlier, taken := first[stage.Name]; taken {
			f.add(s.at(path, i)+".name", "stage %q is already %s", stage.Name, s.label(earlier))
			continue
		}
		first[stage.Name] = i
	}
}

func (s Schedule) validateDeadline(f *fields, path string) {
	s.Deadline.validate(f, path+".deadline")
	var bakes time.Duration
	for _, stage := range s.Stages {
		if stage.Bake.Time < 0 || stage.Bake.Time > model.Duration(maxWait) || stage.Deadline.After <= stage.Bake.Time {
			return // the stage says so itself
		}
		bakes += time.Duration(stage.Bake.Time)
	}
	if after := time.Duration(s.Deadline.After); after > 0 && after <= bakes {
		f.add(path+".deadline.after", "%s is not longer than the bakes of all stages together, %s",
			s.Deadline.After, model.Duration(bakes))
	}
}

// validateGrade refuses a certified pass where there is no control to compare
// with: the whole of a segment, or the whole fleet without a holdback.
func (s Schedule) validateGrade(f *fields, path string, stage Stage) {
	if stage.Pass != PassCertified || stage.Nodes > 0 || stage.Percent < Hundred {
		return
	}
	switch {
	case stage.Segment != "":
		f.add(path+".pass", "certified needs a random part of segment %q as control, and the stage takes all of it", stage.Segment)
	case s.Holdback != nil && *s.Holdback == 0:
		f.add(path+".pass", "certified needs a control, and the stage takes everyone with no holdback")
	}
}

func (s Stage) validate(f *fields, path string, known Names) {
	if !ValidName(s.Name) {
		f.add(path+".name", "expected [a-z0-9][a-z0-9_-]* of at most %d characters, got %q", maxName, s.Name)
	}
	if s.Segment != "" && !slices.Contains(known.Segments, s.Segment) {
		f.add(path+".segment", "segment %q is not known", s.Segment)
	}
	for i, who := range s.Approvers {
		if _, err := globs.Match(who, "x"); err != nil || who == "" || strings.ContainsAny(who, " \t\n") {
			f.add(fmt.Sprintf("%s.approvers[%d]", path, i), "expected a name or a glob such as *@example.com, got %q", who)
		}
	}
	if len(s.Approvers) > 0 && !s.Approval {
		f.add(path+".approvers", "expected approval: true beside it")
	}
	for i, window := range s.Windows {
		if !slices.Contains(known.Windows, window) {
			f.add(fmt.Sprintf("%s.windows[%d]", path, i), "window %q is not known", window)
		}
		if s.TimeZone == nil && slices.Contains(known.Zoneless, window) {
			f.add(fmt.Sprintf("%s.windows[%d]", path, i), "window %q has no zone: give the stage a time_zone, or the window", window)
		}
	}
	validateZone(f, path+".time_zone", s.TimeZone)
	if s.Policy != "" && !slices.Contains(known.Policies, s.Policy) {
		f.add(path+".policy", "policy %q is not known", s.Policy)
	}
	if s.Coverage != nil && (*s.Coverage == 0 || *s.Coverage > Hundred) {
		f.add(path+".coverage", "expected more than 0%% and at most 100%%, got %s", *s.Coverage)
	}
	if s.MinNodes < 0 {
		f.add(path+".min_nodes", "expected 0 or more, got %d", s.MinNodes)
	}
	s.validateSize(f, path)
	s.Ramp.validate(f, path+".ramp")
	s.Bake.validate(f, path+".bake")
	f.oneOf(path+".pass", s.Pass, PassClean, PassCertified)
	s.Deadline.validate(f, path+".deadline")
	if s.Deadline.After > model.Duration(maxWait) {
		f.add(path+".deadline.after", "expected at most %s, got %s", model.Duration(maxWait), s.Deadline.After)
	}
	if s.Deadline.After > 0 && s.Deadline.After <= s.Bake.Time {
		f.add(path+".deadline.after", "%s is not longer than the bake of %s", s.Deadline.After, s.Bake.Time)
	}
}

func (s Stage) validateSize(f *fields, path string) {
	switch {
	case s.Nodes < 0:
		f.add(path+".nodes", "expected at least 1 node, got %d", s.Nodes)
	case s.Percent > Hundred:
		f.add(path+".percent", "expected at most 100%%, got %s", s.Percent)
	case s.Nodes > 0 && s.Percent > 0:
		f.add(path+".percent", "expected exactly one of nodes and percent, got both")
	case s.Nodes == 0 && s.Percent == 0:
		f.add(path+".percent", "neither nodes nor percent is above zero: the stage would admit nobody")
	}
}

func (r Ramp) validate(f *fields, path string) {
	if r.InFlight.Nodes < 0 || r.InFlight.Percent > Hundred {
		f.add(path+".in_flight", "expected a number of nodes or up to 100%%, got %s", r.InFlight)
	}
	if r.InFlight.Nodes == 0 && r.InFlight.Percent == 0 {
		f.add(path+".in_flight", "the stage could never admit a node")
	}
}

func (b Bake) validate(f *fields, path string) {
	if b.Time < 0 || b.Time > model.Duration(maxWait) {
		f.add(path+".time", "expected a duration from 0s to %s, got %s", model.Duration(maxWait), time.Duration(b.Time))
	}
	if b.Runs < 1 {
		f.add(path+".runs", "expected at least 1 Puppet run, got %d", b.Runs)
	}
}

func (d Deadline) validate(f *fields, path string) {
	if d.After <= 0 {
		f.add(path+".after", "expected a duration above zero, got %s", time.Duration(d.After))
	}
	f.oneOf(path+".then", d.Then, ThenHold, ThenBackout)
}

func (f *fields) oneOf(path, got string, allowed ...string) {
	if !slices.Contains(allowed, got) {
		f.add(path, "expected one of %s, got %q", strings.Join(allowed, ", "), got)
	}
}

func stagePath(path string, i int) string { return fmt.Sprintf("%s.stages[%d]", path, i) }

// at is where stage i was written.
func (s Schedule) at(path string, i int) string {
	if s.Stages[i].Written != "" {
		return s.Stages[i].Written
	}
	return stagePath(path, i)
}

// label names stage i in a sentence about another one.
func (s Schedule) label(i int) string {
	if s.Stages[i].Written != "" {
		return fmt.Sprintf("stage %q", s.Stages[i].Name)
	}
	return fmt.Sprintf("stages[%d]", i)
}
