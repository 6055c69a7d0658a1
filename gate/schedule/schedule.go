// Package schedule holds the organisation's cadence: the ordered stages of a
// rollout and the calendar windows in which it may go on. It is pure: no clock
// and no input or output, the time is always a parameter.
package schedule

import (
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
)

// What a rollout does to the one before it on the same track.
const (
	SupersedeQueue   = "queue"   // wait in order
	SupersedeTrain   = "train"   // only the newest waiting rollout starts
	SupersedeReplace = "replace" // back the running one out, then start at stage 1
)

// What happens when a deadline passes.
const (
	ThenHold    = "hold"
	ThenBackout = "backout"
)

// The grade of verdict that a stage needs to go on.
const (
	PassClean     = "clean"
	PassCertified = "certified"
)

// Schedule is a named cadence. A rollout freezes a copy of it when it starts.
// A usable schedule went through SetDefaults and Validate; the zero value is
// invalid because it has no stages.
type Schedule struct {
	// Stages in the order in which they admit nodes, at least one.
	Stages []Stage `yaml:"stages" json:"stages"`
	// Holdback is the part of the fleet kept as control to the last stage,
	// below 100%. Nil leaves it to the size of the fleet, see HoldbackFor.
	Holdback *Percent `yaml:"holdback,omitempty" json:"holdback,omitempty"`
	// Growth is how many times the nodes already exposed a clean pass may
	// admit, at least 1. More needs a certified pass or an approval.
	Growth float64 `yaml:"growth,omitempty" json:"growth,omitempty"`
	// Start delays the first stage; nil starts when the rollout is created.
	Start *Start `yaml:"start,omitempty" json:"start,omitempty"`
	// Supersede is SupersedeQueue, SupersedeTrain or SupersedeReplace.
	Supersede string `yaml:"supersede,omitempty" json:"supersede,omitempty"`
	// Deadline bounds the whole rollout.
	Deadline Deadline `yaml:"deadline,omitempty" json:"deadline"`
}

// Start says when the first stage may begin.
type Start struct {
	NotBefore time.Time `yaml:"not_before" json:"not_before"`
}

// Stage says which nodes may have the change next, how fast, how long it
// bakes and what must be true to go on.
type Stage struct {
	// Name is unique in its schedule and matches [a-z0-9][a-z0-9_-]*.
	Name string `yaml:"name" json:"name"`
	// Segment limits the stage to a named segment; "" is everyone on the track.
	Segment string `yaml:"segment,omitempty" json:"segment,omitempty"`
	// Nodes and Percent size the stage within its segment. Exactly one is
	// more than zero.
	Nodes   int     `yaml:"nodes,omitempty" json:"nodes,omitempty"`
	Percent Percent `yaml:"percent,omitempty" json:"percent,omitempty"`
	// Ramp limits how fast the stage's nodes are admitted.
	Ramp Ramp `yaml:"ramp,omitempty" json:"ramp"`
	// Bake is the wait after the stage's nodes have the change.
	Bake Bake `yaml:"bake,omitempty" json:"bake"`
	// Approval makes the stage wait for a person before it starts.
	Approval bool `yaml:"approval,omitempty" json:"approval,omitempty"`
	// Approvers are who may approve it: names, or globs such as *@example.com; empty is anybody.
	Approvers []string `yaml:"approvers,omitempty" json:"approvers,omitempty"`
	// Windows are names of windows; the stage moves only while at least one
	// of them contains the present. Empty means at any time.
	Windows []string `yaml:"windows,omitempty" json:"windows,omitempty"`
	// TimeZone is where the clock hangs for those windows that name no zone.
	TimeZone *timeinterval.Location `yaml:"time_zone,omitempty" json:"time_zone,omitempty"`
	// Policy is the name of the analysis policy of the stage, "" is the rollout's.
	Policy string `yaml:"policy,omitempty" json:"policy,omitempty"`
	// Coverage is the share of live admitted nodes that must be exposed; nil is the policy's.
	Coverage *Percent `yaml:"coverage,omitempty" json:"coverage,omitempty"`
	// MinNodes is how many nodes must be exposed, in all stages so far, before the stage can end.
	MinNodes int `yaml:"min_nodes,omitempty" json:"min_nodes,omitempty"`
	// Pass is the grade needed to leave the stage: PassClean or PassCertified.
	Pass string `yaml:"pass,omitempty" json:"pass,omitempty"`
	// Deadline bounds the time from the start of the stage to its end.
	Deadline Deadline `yaml:"deadline,omitempty" json:"deadline"`

	// Template makes several stages of one; Expand leaves none of it.
	Template `yaml:",inline" json:"-"`
	// Rest marks a stage of those that for_each does not list: it may turn out to have nobody.
	Rest bool `yaml:"-" json:"rest,omitempty"`
	// Written is the path at which an expanded stage was written.
	Written string `yaml:"-" json:"-"`
}

// Ramp keeps the number of nodes that are admitted and not yet exposed at or
// under InFlight, which counts against the nodes of the stage.
type Ramp struct {
	InFlight Amount `yaml:"in_flight,omitempty" json:"in_flight"`
}

// Bake ends when both are met: wall time since the stage was fully admitted,
// and Puppet runs with the change on every live node of it.
type Bake struct {
	Time model.Duration `yaml:"time,omitempty" json:"time"`
	Runs int            `yaml:"runs,omitempty" json:"runs"`
}

// Deadline is the longest wait and what follows it: ThenHold or ThenBackout.
type Deadline struct {
	After model.Duration `yaml:"after,omitempty" json:"after"`
	Then  string         `yaml:"then,omitempty" json:"then"`
}

// HoldbackFor returns the part of a fleet of that many nodes that stays
// control: the one that is configured, else 2% from 5,000 nodes on and none
// below, where the statistics cannot use it.
func (s Schedule) HoldbackFor(nodes int) Percent {
	if s.Holdback != nil {
		return *s.Holdback
	}
	if nodes < 5000 {
		return 0
	}
	return 2 * Hundred / 100
}

// Asks says how many stages ask for a certified pass, and counts up to stage i which of them it is; 0 if it does not ask.
func (s Schedule) Asks(i int) (ask, asks int) {
	for k, stage := range s.Stages {
		if stage.Pass != PassCertified {
			continue
		}
		if asks++; k == i {
			ask = asks
		}
	}
	return ask, asks
}

// Of returns how many of the nodes of its segment the stage admits in total.
// It is never more than there are, and 0 for an empty segment.
func (s Stage) Of(nodes int) int {
	if nodes <= 0 {
		return 0
	}
	if s.Nodes > 0 {
		return min(s.Nodes, nodes)
	}
	return s.Percent.Of(nodes)
}
