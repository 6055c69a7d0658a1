package edge

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/internal/store"
)

// Status is what an edge says of itself: to its status file, to edges/HOST, and in metrics.
type Status struct {
	Host       string        `json:"host"`
	At         time.Time     `json:"at"`
	Ready      bool          `json:"ready"` // a document was accepted once
	Epoch      string        `json:"epoch,omitempty"`
	Generation uint64        `json:"generation"`           // of the document in force
	Written    time.Time     `json:"written,omitzero"`     // when the leader wrote it, by its clock
	AcceptedAt time.Time     `json:"accepted_at,omitzero"` // when it was accepted here
	Refused    string        `json:"refused,omitempty"`    // why the rendered one is not in force
	Reason     enc.Reason    `json:"reason,omitempty"`     // the same in a word
	Clamped    []string      `json:"clamped,omitempty"`    // what is in force only in part
	Allowance  float64       `json:"allowance"`            // nodes that may still go forward now
	Forced     bool          `json:"forced,omitempty"`     // a person let this generation past the speed limit
	Sets       int           `json:"sets,omitempty"`       // sets that the document names
	Stops      flags.Latched `json:"stops"`
	BackedOut  []string      `json:"backed_out,omitempty"` // rollouts that are backed out here, by flag or document
	Loud       []string      `json:"loud,omitempty"`       // flags that cannot be read
	Problems   []string      `json:"problems,omitempty"`   // what else went wrong: code that cannot be told, a report that cannot be sent
	Local      []string      `json:"local,omitempty"`      // local files that are there: baseline, stop
	// Code is the identity of the code behind every environment that the document names, or CodeMissing, CodeUnpinned
	// or CodeFailed.
	Code    map[string]string `json:"code,omitempty"`
	Version string            `json:"version,omitempty"`
}

const statusFile = "status.json"

// Version is set by the program.
var Version = "unknown"

func (e *Edge) status(ctx context.Context, out enc.Outcome, r flags.Reading) Status {
	s := Status{
		Host: e.Config.Host, At: e.Now().UTC(), Ready: out.State.Effective.Epoch != "", Epoch: out.State.Published.Epoch,
		Generation: out.State.Published.Generation, Written: out.State.Published.Written, AcceptedAt: out.State.AcceptedAt.UTC(),
		Refused: out.Refused, Reason: out.Reason, Clamped: out.Clamped, Allowance: out.State.Saved, Sets: len(out.State.Effective.Sets),
		Forced: r.Force != 0 && r.Force == out.State.Published.Generation,
		Stops:  out.State.Stops, Loud: r.Loud, Version: Version,
	}
	code, problems := e.codes(ctx, out.State.Published, out.State.Effective)
	s.Code, s.Problems = code, problems
	for _, r := range out.State.Effective.Rollouts {
		if r.BackedOut || s.Stops.BackedOut(r.Name) {
			s.BackedOut = append(s.BackedOut, r.Name)
		}
	}
	s.Local = e.localFiles()
	return s
}

// localFiles lists the local files that act: there, or not to be told.
func (e *Edge) localFiles() []string {
	var names []string
	for _, name := range []string{lookup.BaselineFile, lookup.StopFile} {
		if _, err := os.Lstat(filepath.Join(e.Config.StateDir, name)); !errors.Is(err, fs.ErrNotExist) {
			names = append(names, name)
		}
	}
	return names
}

// report publishes the status. Nothing here may fail an accept: the document is in force already.
func (e *Edge) report(ctx context.Context, sets *setCache, s Status) Status {
	if s.Host == "" { // the state could not be read
		s.Host, s.At, s.Version = e.Config.Host, e.Now().UTC(), Version
	}
	if e.Config.MetricsFile != "" {
		if err := e.writeMetrics(s, e.count(s, sets)); err != nil {
			s.Problems = append(s.Problems, "cannot write metrics: "+err.Error())
		}
	}
	data, err := json.Marshal(s)
	if err != nil {
		return s
	}
	_ = renameio.WriteFile(filepath.Join(e.Config.StateDir, statusFile), data, 0o644)
	kv, err := sets.open()
	if err == nil {
		err = kv.Txn(ctx, store.Set("edges/"+e.Config.Host, data))
	}
	if err != nil {
		s.Problems = append(s.Problems, "cannot report to the store: "+err.Error())
	}
	return s
}
