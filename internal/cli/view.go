package cli

import (
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// stale is how long after its last word the leader is missed. It has one every minute.
const stale = 5 * time.Minute

// rolloutView is what list, status and explain show of one rollout.
type rolloutView struct {
	Name       string         `json:"name"`
	Track      string         `json:"track"`
	Status     string         `json:"status"` // one of the words in condition.go
	Phase      gate.Phase     `json:"phase"`
	Exit       int            `json:"exit"` // what `sluice status` exits with
	Change     string         `json:"change,omitempty"`
	Candidate  string         `json:"candidate,omitempty"`
	Baseline   string         `json:"baseline,omitempty"`
	Parameters map[string]any `json:"parameters,omitempty"`
	By         string         `json:"by"`
	Reason     string         `json:"reason"`
	Created    time.Time      `json:"created"`
	Since      time.Time      `json:"since,omitzero"`
	Stage      string         `json:"stage,omitempty"` // the current one
	Index      int            `json:"index"`           // of the current stage, -1 before the first
	Nodes      int            `json:"nodes"`           // on the track
	Counts     counts         `json:"counts"`
	StillToRun int            `json:"still_to_run"`
	Why        string         `json:"why,omitempty"`
	Next       *time.Time     `json:"next,omitempty"` // it does not move before
	Waits      []string       `json:"waits,omitempty"`
	LookedAt   time.Time      `json:"looked_at,omitzero"`
	Leader     string         `json:"leader,omitempty"`
	Stages     []stageView    `json:"stages"`
	Cohorts    []cohortView   `json:"cohorts,omitempty"`
	EdgeLine   string         `json:"edge_summary,omitempty"` // the puppetservers, in one line
	Checks     []checkView    `json:"checks,omitempty"`
	Gates      []gate.Gate    `json:"gates,omitempty"`
	Culprit    *culpritView   `json:"culprit,omitempty"`
	Problems   []string       `json:"problems,omitempty"` // damaged keys, flags that cannot be read
}

// counts are nodes of the whole rollout; known is false where no leader has counted them yet.
type counts struct {
	Known    bool `json:"known"`
	Admitted int  `json:"admitted"`
	Live     int  `json:"live"`
	Exposed  int  `json:"exposed"`
	Silent   int  `json:"silent"`
	Failed   int  `json:"failed"` // failed runs, compile failures and hidden ones; a node can count twice
}

// culpritView is what a verdict blames.
type culpritView struct {
	Kind     string   `json:"kind"`
	Resource string   `json:"resource,omitempty"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Message  string   `json:"message,omitempty"`
	Nodes    []string `json:"nodes"`
	Count    int      `json:"count"`

	Strata []analyzer.StratumShare `json:"strata,omitempty"`
}

// checkView is one question of the verdict.
type checkView struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Reason string `json:"reason"`
}

// viewOf says all that the store knows about a rollout.
func viewOf(snap *tree.Snapshot, r *tree.Rollout, now time.Time) rolloutView {
	spec, state, status := &r.Spec, &r.State, &r.Status
	v := rolloutView{
		Name: spec.Name, Track: spec.Track, Phase: state.Phase, Change: spec.Change, Candidate: spec.Candidate, Baseline: spec.Baseline,
		Parameters: spec.Parameters, By: spec.By, Reason: spec.Reason, Created: spec.Created, Since: state.Since,
		Index: state.Current(), Counts: countsOf(r), StillToRun: status.StillToRun,
		LookedAt: status.At, Leader: status.Leader, Gates: status.Gates, Culprit: culpritOf(r),
		Problems: slices.Concat(snap.Damaged, trouble(snap), flags.Read(snap.Flags).Loud),
	}
	if i := v.Index; i >= 0 {
		v.Stage = state.Stages[i].Name
		if status.At.Before(state.Stages[i].Since) {
			v.Gates = nil // those of the stage before: the leader writes the others a moment later
		}
	}
	if t := snap.Document.Track(spec.Track); t != nil {
		v.Nodes = t.Nodes
	}
	if state.Phase.Ended() {
		v.Gates, v.Problems, v.StillToRun = nil, nil, 0
	}
	if !state.Phase.Ended() || verdictOf(r).Result == analyzer.Fail {
		for _, c := range verdictOf(r).Checks {
			if c.Optional && c.Result == analyzer.Inconclusive {
				continue // nothing waits for it: sluice explain tells
			}
			v.Checks = append(v.Checks, checkView{Name: c.Name, Result: c.Result.String(), Reason: c.Reason})
		}
	}
	v.condition(snap, now)
	v.Stages = stagesOf(r, &v, now)
	if !state.Phase.Ended() {
		v.Cohorts, v.EdgeLine = cohortsOf(r, &v), edgesLine(snap, now)
	}
	return v
}

// verdictOf is the verdict that matters: of an ended rollout the one that moved it last.
func verdictOf(r *tree.Rollout) analyzer.Verdict {
	if r.State.Phase.Ended() && r.State.Verdict != nil {
		return *r.State.Verdict
	}
	return r.Status.Verdict
}

func countsOf(r *tree.Rollout) counts {
	c := verdictOf(r).Counts
	return counts{
		Known:    !r.Status.At.IsZero() || r.State.Verdict != nil,
		Admitted: c.Admitted, Live: c.Live, Exposed: c.Exposed, Silent: c.Silent, Failed: c.Failed + c.CompileFailed + c.Hidden,
	}
}

func culpritOf(r *tree.Rollout) *culpritView {
	c := verdictOf(r).Culprit
	if c == nil || r.State.Phase == gate.Completed || r.State.Phase == gate.Superseded {
		return nil
	}
	return &culpritView{Kind: c.Kind, Resource: c.Resource, File: c.File, Line: c.Line, Message: c.Message, Nodes: c.Nodes, Count: c.Count, Strata: c.Strata}
}

// trouble is the leader's, if it has any.
func trouble(snap *tree.Snapshot) []string {
	if t := snap.Trouble.String(); t != "" {
		return []string{t}
	}
	return nil
}
