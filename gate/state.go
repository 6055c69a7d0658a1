package gate

import (
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/segments"
)

// Phase is where a rollout is in its life.
type Phase string

// The phases. Waiting is the zero value: nobody is admitted.
const (
	Waiting    Phase = ""           // queued, or a gate of the first stage is closed
	Running    Phase = "running"    // a stage is admitted
	Settling   Phase = "settling"   // every stage has passed: the holdback is released, stragglers have yet to run
	Completed  Phase = "completed"  // the candidate is the baseline
	BackedOut  Phase = "backed_out" // baseline was given back; vetoed
	Superseded Phase = "superseded" // a newer rollout took its place before it began, or that of what it was to undo
)

// String is the phase in words; "waiting" for the zero value.
func (p Phase) String() string {
	if p == Waiting {
		return "waiting"
	}
	return string(p)
}

// MarshalText writes String.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (p *Phase) UnmarshalText(text []byte) error {
	if *p = Phase(text); *p == "waiting" {
		*p = Waiting
	}
	return nil
}

// Ended says whether nothing happens to the rollout any more.
func (p Phase) Ended() bool { return p == Completed || p == BackedOut || p == Superseded }

// Active says whether edges are told about admissions of the rollout.
func (p Phase) Active() bool { return p == Running || p == Settling }

// State is what the leader remembers of a rollout. It changes only by a transaction of the leader.
type State struct {
	Phase  Phase     `json:"phase"`
	Since  time.Time `json:"since"` // of the phase
	Reason string    `json:"reason,omitempty"`
	// Stages are the admitted ones; the last of them is the current one.
	Stages []StageState `json:"stages,omitempty"`
	// Admissions is the history of thresholds: it says when each node was admitted.
	Admissions []Admission `json:"admissions,omitempty"`
	// Code is the identity of baseline and candidate, frozen when the first stage was admitted.
	Code map[string]string `json:"code,omitempty"`
	// Snapshots are the sets of the segments that were resolved when the rollout began.
	Snapshots map[string]SetRef `json:"snapshots,omitempty"`
	// DelaySeen is when the leader first saw the delay flag that stands now.
	DelaySeen *DelaySeen `json:"delay_seen,omitempty"`
	// Denied stages, until an approval; Approvals by stage, as they were first seen.
	Denied    map[string]bool      `json:"denied,omitempty"`
	Approvals map[string]DelaySeen `json:"approvals,omitempty"`
	// Caps keep nodes from the change, or give them baseline, while the rest goes on; those that are over tell when their
	// nodes came back.
	Caps []Cap `json:"caps,omitempty"`
	// Promoted is an order to leave the current stage that waits for its gates; Skips are stages to pass over, with who asked.
	Promoted *Promotion        `json:"promoted,omitempty"`
	Skips    map[string]string `json:"skips,omitempty"`
	// Former are the track's defaults that parameters of this rollout took the place of when it was completed, nil for one that
	// there was not: what a revert gives back.
	Former map[string]any `json:"former,omitempty"`
	// FormerBaseline is the same of an environment: the track's baseline may have moved while this rollout waited for its turn.
	FormerBaseline string `json:"former_baseline,omitempty"`
	// Unvetoed: a person allowed the change to be started again.
	Unvetoed bool `json:"unvetoed,omitempty"`
	// Looks are those that the judge took at magnitudes in the current stage: the boundary of the next rests on them.
	Looks []analyzer.MagnitudeLook `json:"looks,omitempty"`
	// Accounts are what the budgets of the judge's checks had come to when the current stage began; nil in the first one.
	Accounts map[string]analyzer.Account `json:"accounts,omitempty"`
	// FormerAccounts are those of the stage that was judged before the current one: it is judged again if this one is passed over.
	FormerAccounts map[string]analyzer.Account `json:"former_accounts,omitempty"`
	// Verdict is the last one that moved the rollout.
	Verdict *analyzer.Verdict `json:"verdict,omitempty"`
}

// StageState is one admitted stage.
type StageState struct {
	Name      string             `json:"name"`
	Set       string             `json:"set,omitempty"`     // "" = everyone on the track
	Count     int                `json:"count"`             // nodes of the segment when the stage started
	Admitted  int                `json:"admitted,omitzero"` // nodes of the segment below Threshold when it was last raised, those that a cap keeps included
	Target    segments.Threshold `json:"target"`
	Threshold segments.Threshold `json:"threshold"`
	Since     time.Time          `json:"since"`            // first admission
	Full      time.Time          `json:"full,omitzero"`    // when Threshold reached Target; the bake begins
	Passed    time.Time          `json:"passed,omitzero"`  // when it was left
	Verdict   string             `json:"verdict,omitzero"` // digest of the evidence it was left on
	Skipped   bool               `json:"skipped,omitzero"` // it added nobody: earlier stages had all of its nodes
	// Came are, in a stage for everyone, nodes that are there now and were not when Count and Admitted were taken: they make up for none that left.
	Came Came `json:"came,omitzero"`
	// Recounted is when a person took the nodes that were there for all.
	Recounted time.Time `json:"recounted,omitzero"`
}

// Admission is one step of a threshold.
type Admission struct {
	At        time.Time          `json:"at"`
	Stage     int                `json:"stage"`
	Set       string             `json:"set,omitempty"`
	Threshold segments.Threshold `json:"threshold"`
}

// DelaySeen remembers a flag's value, and when the leader first saw it.
type DelaySeen struct {
	Raw string    `json:"raw"`
	At  time.Time `json:"at"`
}

// Current is the index of the current stage, -1 before the first.
func (s *State) Current() int { return len(s.Stages) - 1 }

// AdmittedAt says when and by which stage a node was admitted; the zero time and -1 where it was not, or where a cap keeps
// it. A node that came back from a cap was admitted then. in answers whether the node is in the set with that digest.
func (s *State) AdmittedAt(position string, in func(set string) bool) (time.Time, int) {
	at, stage := s.ReachedAt(position, in)
	if at.IsZero() {
		return at, stage
	}
	for i := range s.Caps {
		c := &s.Caps[i]
		if !c.Holds(position, in) {
			continue
		}
		switch back := c.back(position); {
		case back.IsZero():
			return time.Time{}, -1
		case back.After(at):
			at = back
		}
	}
	return at, stage
}

// ReachedAt is AdmittedAt without regard to caps: when a stage's threshold first passed the node.
func (s *State) ReachedAt(position string, in func(set string) bool) (time.Time, int) {
	for _, a := range s.Admissions {
		if a.Threshold.Admits(position) && (a.Set == "" || in(a.Set)) {
			return a.At, a.Stage
		}
	}
	return time.Time{}, -1
}
