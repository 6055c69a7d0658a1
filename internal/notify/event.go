// Package notify tells other systems what a rollout does: regions and points
// in Grafana, JSON to webhooks.
//
// Notifications are best effort by design. A Queue never delays or fails its
// caller, and nothing here is read back into a decision: a rollout goes on,
// and stops, exactly the same with every receiver down. What is lost is
// logged and counted.
package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// The kinds of event.
const (
	KindRolloutStarted = "rollout_started"
	KindStageStarted   = "stage_started"
	KindStageEnded     = "stage_ended"
	KindHeld           = "held"
	KindPaused         = "paused"
	KindResumed        = "resumed"
	KindBackedOut      = "backed_out"
	KindSettling       = "settling"
	KindCompleted      = "completed"
	KindFailed         = "failed"
)

var kinds = []string{
	KindRolloutStarted, KindStageStarted, KindStageEnded, KindHeld, KindPaused,
	KindResumed, KindBackedOut, KindSettling, KindCompleted, KindFailed,
}

// Event is one thing that happened to a rollout.
type Event struct {
	// ID is unique and stable: the same transition has the same ID after a
	// restart or a failover, so that receivers can tell a repetition.
	ID      string `json:"id"`
	Rollout string `json:"rollout"`
	Track   string `json:"track,omitempty"`
	// Stage is the stage's name, empty for an event of the whole rollout.
	Stage string `json:"stage,omitempty"`
	// StageIndex counts from 0 and means nothing without Stage.
	StageIndex int `json:"stage_index"`
	// Kind is one of the Kind constants.
	Kind string `json:"kind"`
	// Verdict is "pass", "fail" or "inconclusive", empty where none was given.
	Verdict string `json:"verdict,omitempty"`
	// Text is the sentence for people.
	Text string `json:"text,omitempty"`
	// At is when it happened, not when it was told.
	At time.Time `json:"at"`
	// Tags are the site's own, as "key:value" or a word.
	Tags []string `json:"tags,omitempty"`
}

// Check reports what makes e unfit to be told.
func (e Event) Check() error {
	var errs []error
	if e.ID == "" || strings.ContainsFunc(e.ID, unicode.IsControl) || strings.TrimSpace(e.ID) != e.ID {
		errs = append(errs, fmt.Errorf("id: expected printable text, got %q", e.ID))
	}
	if e.Rollout == "" {
		errs = append(errs, errors.New("rollout: expected a name, got none"))
	}
	if !slices.Contains(kinds, e.Kind) {
		errs = append(errs, fmt.Errorf("kind: expected one of %s, got %q", strings.Join(kinds, ", "), e.Kind))
	}
	if e.Stage == "" && (e.Kind == KindStageStarted || e.Kind == KindStageEnded) {
		errs = append(errs, fmt.Errorf("stage: expected a name with kind %q, got none", e.Kind))
	}
	if e.At.IsZero() {
		errs = append(errs, errors.New("at: expected a time, got none"))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("event %q: %w", e.ID, err)
	}
	return nil
}
