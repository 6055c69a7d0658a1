// Package tree is the shape of sluice's keys in the store: their names, what is in them, and how all of it is
// read at once. DESIGN.md section 4 says who writes what.
package tree

import (
	"fmt"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/segments"
)

// Fixed keys.
const (
	InitKey      = "init"
	LeaderKey    = "leader"
	ManifestKey  = "enc/manifest"
	StopsKey     = "enc/stops"
	TroubleKey   = "status"
	AuditHeadKey = "audit/head"
	NotifiedKey  = "audit/notified"
	FreezeKey    = "flags/freeze"
	ForceKey     = "flags/force"
)

// Keys of one thing each.
func SpecKey(rollout string) string            { return "rollouts/" + rollout + "/spec" }
func StateKey(rollout string) string           { return "rollouts/" + rollout + "/state" }
func StatusKey(rollout string) string          { return "rollouts/" + rollout + "/status" }
func RequestKey(id string) string              { return "requests/" + id }
func TrackKey(track string) string             { return "tracks/" + track }
func EdgeKey(host string) string               { return "edges/" + host }
func HoldKey(id string) string                 { return "holds/" + id }
func PinKey(certname string) string            { return "pins/" + certname }
func VetoKey(id string) string                 { return "vetoes/" + id }
func AuditKey(seq uint64) string               { return fmt.Sprintf("audit/%012d", seq) }
func FlagsPrefix(rollout string) string        { return "flags/" + rollout }
func FlagKey(rollout, flag string) string      { return "flags/" + rollout + "/" + flag }
func ApprovalKey(rollout, stage string) string { return "flags/" + rollout + "/approve/" + stage }

// RolloutOf takes "rollouts/NAME/spec" apart; ok is false for other keys.
func RolloutOf(key string) (name, what string, ok bool) {
	rest, ok := strings.CutPrefix(key, "rollouts/")
	if !ok {
		return "", "", false
	}
	name, what, ok = strings.Cut(rest, "/")
	return name, what, ok
}

// Init is what `sluice init` leaves: the identity of the installation.
type Init struct {
	Format  int       `json:"format"`
	Epoch   string    `json:"epoch"`
	Created time.Time `json:"created"`
	By      string    `json:"by"`
}

// Track is where a track stands.
type Track struct {
	Name       string         `json:"name"`
	Baseline   string         `json:"baseline"`
	Parameters map[string]any `json:"parameters,omitempty"`
	Members    string         `json:"members,omitempty"` // digest of the set of nodes for which upstream names no environment
	Count      int            `json:"count,omitempty"`   // of that set
	Nodes      int            `json:"nodes"`
	Waiting    int            `json:"waiting,omitempty"` // new nodes that belong into the set and wait until it is written again
}

// Kinds of request.
const (
	RequestStart          = "start"
	RequestUnveto         = "unveto"
	RequestConfirmRestore = "confirm_restore"
	RequestPromote        = "promote" // leave stage Stage now
	RequestSkip           = "skip"    // stage Stage is to admit nobody
)

// Request is what a person asks the leader to do. The leader removes it when it is done, and says in Refused why
// it will not be.
type Request struct {
	Kind    string    `json:"kind"`
	Rollout string    `json:"rollout,omitempty"` // start: its name; unveto: whose change
	Veto    string    `json:"veto,omitempty"`    // unveto: of these nodes only
	Stage   string    `json:"stage,omitempty"`   // promote, skip
	Start   *Start    `json:"start,omitempty"`
	By      string    `json:"by"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	Refused string    `json:"refused,omitempty"`
}

// Start asks for a rollout; schedule and policy are names in the leader's configuration.
type Start struct {
	Track       string         `json:"track"`
	Environment string         `json:"environment,omitempty"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	Change      string         `json:"change,omitempty"`
	Schedule    string         `json:"schedule"`
	Policy      string         `json:"policy"`
	Reverts     string         `json:"reverts,omitempty"` // the rollout that this one is to undo
}

// Status is what the leader last saw of a rollout: why it stands still, in full.
type Status struct {
	At      time.Time        `json:"at"`
	Leader  string           `json:"leader"`
	Gates   []gate.Gate      `json:"gates,omitempty"`
	Verdict analyzer.Verdict `json:"verdict"`
	// StillToRun counts nodes that are admitted and have not run the change: they get it on their next run even
	// while the rollout is paused.
	StillToRun int `json:"still_to_run"`
	// Kept says whom holds, pins and vetoes keep from the rollout while the rest goes on.
	Kept []gate.Kept `json:"kept,omitempty"`
	// Planned is how many nodes each stage of the schedule admits in total, -1 where that is not known yet.
	Planned []int `json:"planned,omitempty"`
	// Targets are the thresholds at which stages to come that are given in nodes would end as of this look, by index in the
	// schedule; "" for all others, and where it is not known who is in the stage.
	Targets []segments.Threshold `json:"targets,omitempty"`
}

// Stops is what the leader remembers of people's flags.
type Stops struct {
	Latched flags.Latched     `json:"latched"`
	Seen    map[string]string `json:"seen,omitempty"`  // flags as they were at the last look, for the audit
	Asked   map[string]string `json:"asked,omitempty"` // the same of holds, pins and vetoes, in words, by key
}

// Trouble is why the leader cannot finish a look: nothing goes forward while it stands. Empty when all is well.
type Trouble struct {
	Since  time.Time `json:"since,omitzero"`
	Leader string    `json:"leader,omitempty"`
	Error  string    `json:"error,omitempty"`
}

// String is the trouble in a sentence, "" for none.
func (t Trouble) String() string {
	if t.Error == "" {
		return ""
	}
	return fmt.Sprintf("leader %s cannot finish a look since %s, so nothing goes forward: %s", t.Leader, t.Since.UTC().Format(time.RFC3339), t.Error)
}

// AuditHead names the last entry of the audit chain.
type AuditHead struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash"`
}
