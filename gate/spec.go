// Package gate decides when a rollout goes on, waits, settles or is taken back. Decide is a pure function of
// what is known (World); it reads no clock and does no I/O, so every decision can be replayed.
//
//	world.go     what is known          step.go      what a rollout does next
//	gates.go     why it stands still    document.go  what the edges are told
package gate

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// Segment is a named part of the fleet: exactly one of Selector, PQL, Certnames, AnyOf, AllOf and Not, optionally cut to a
// share. Certnames may be globs; AnyOf, AllOf and Not name other segments.
type Segment struct {
	Selector   string            `json:"selector,omitempty"`
	PQL        string            `json:"pql,omitempty"`
	Certnames  []string          `json:"certnames,omitempty"`
	AnyOf      []string          `json:"any_of,omitempty"`
	AllOf      []string          `json:"all_of,omitempty"`
	Not        string            `json:"not,omitempty"`
	Membership string            `json:"membership,omitempty"`
	Percent    *schedule.Percent `json:"percent,omitempty"`
}

// When a segment is resolved. In either case a node that a stage has admitted stays in it.
const (
	Live     = "live"     // when a stage that names it begins; "" means this
	Snapshot = "snapshot" // once, when the rollout begins
)

// Policies are analysis policies by name.
type Policies map[string]analyzer.Policy

// Spec is a rollout as it was started: one change, one schedule, one analysis policy. It is frozen then.
type Spec struct {
	Name       string                     `json:"name"`
	Track      string                     `json:"track"`
	Candidate  string                     `json:"candidate,omitempty"`  // environment change
	Baseline   string                     `json:"baseline,omitempty"`   // environment, when it started
	Parameters map[string]any             `json:"parameters,omitempty"` // parameters change
	Change     string                     `json:"change,omitempty"`     // the site's name of it, such as a commit
	Reverts    string                     `json:"reverts,omitempty"`    // the completed rollout that this one is to undo
	Salt       string                     `json:"salt"`
	Schedule   schedule.Schedule          `json:"schedule"`
	Policy     analyzer.Policy            `json:"policy"`
	Policies   Policies                   `json:"policies,omitempty"` // of the stages that name one
	Segments   map[string]Segment         `json:"segments,omitempty"`
	Windows    map[string]schedule.Window `json:"windows,omitempty"`
	By         string                     `json:"by"`
	Reason     string                     `json:"reason"`
	Created    time.Time                  `json:"created"`
}

// Kind is analyzer.KindEnvironment or analyzer.KindParameters.
func (s *Spec) Kind() string {
	if s.Candidate != "" {
		return analyzer.KindEnvironment
	}
	return analyzer.KindParameters
}

// Validate refuses a spec that could not be carried out, naming the field.
func (s *Spec) Validate() error {
	var errs []error
	add := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(schedule.ValidName(s.Name), "name: %q, expected lower-case letters, digits, - and _, at most 63", s.Name)
	add((s.Candidate != "") != (len(s.Parameters) > 0), "expected exactly one of an environment and parameters")
	add(s.Candidate == "" || segments.IsEnvironment(s.Candidate), "environment: %q, expected letters, digits and _", s.Candidate)
	add(s.Candidate == "" || s.Candidate != s.Baseline, "environment: %s is the baseline of track %s already", s.Candidate, s.Track)
	add(s.Candidate == "" || s.Candidate != s.Track, "environment: %s is the track itself; name one environment per change, such as %s_8f3c2d1a", s.Candidate, s.Track)
	add(s.Reason != "", "reason: missing, expected a sentence for the audit")
	names := make([]string, 0, len(s.Segments))
	for name := range s.Segments {
		names = append(names, name)
	}
	if len(s.Schedule.Stages) == 0 {
		return errors.Join(append(errs, errors.New("schedule: no stages"))...)
	}
	for i, stage := range s.Schedule.Stages {
		add(stage.Segment == "" || slices.Contains(names, stage.Segment), "schedule.stages[%d].segment: %q is not a segment", i, stage.Segment)
		for _, w := range stage.Windows {
			_, ok := s.Windows[w]
			add(ok, "schedule.stages[%d].windows: %q is not a window", i, w)
		}
		if p, ok := s.Policies[stage.Policy]; stage.Policy != "" {
			add(ok, "schedule.stages[%d].policy: %q is not a policy", i, stage.Policy)
			add(!ok || p.Validate() == nil, "schedule.stages[%d].policy: %q is not valid", i, stage.Policy)
		}
	}
	last := s.Schedule.Stages[len(s.Schedule.Stages)-1]
	add(last.Segment == "" && last.Nodes == 0 && last.Percent == schedule.Hundred,
		"schedule.stages[%d]: the last stage must admit everyone (no segment, 100%%), because what follows it does", len(s.Schedule.Stages)-1)
	if err := s.Policy.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("policy: %w", err))
	}
	return errors.Join(errs...)
}
