package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/segments"
)

// Status is what an edge says of itself: to its status file, to edges/HOST, and in metrics.
type Status struct {
	Host       string        `json:"host"`
	At         time.Time     `json:"at"`
	Ready      bool          `json:"ready"` // a document was accepted once
	Epoch      string        `json:"epoch,omitempty"`
	Generation uint64        `json:"generation"`        // of the document in force
	Refused    string        `json:"refused,omitempty"` // why the rendered one is not in force
	Clamped    []string      `json:"clamped,omitempty"` // what is in force only in part
	Stops      flags.Latched `json:"stops"`
	BackedOut  []string      `json:"backed_out,omitempty"` // rollouts that are backed out here, by flag or document
	Loud       []string      `json:"loud,omitempty"`       // flags that cannot be read
	Local      []string      `json:"local,omitempty"`      // local files that are there: baseline, stop
	// Code is the identity of the code behind every environment that the document names; "missing" where
	// it is not deployed here, "unpinned" where nothing tells one version from another.
	Code    map[string]string `json:"code,omitempty"`
	Version string            `json:"version,omitempty"`
}

// The two identities that are none.
const (
	CodeMissing  = "missing"
	CodeUnpinned = "unpinned"
)

const statusFile = "status.json"

// Version is set by the program.
var Version = "unknown"

func (e *Edge) status(out enc.Outcome, r flags.Reading) Status {
	s := Status{
		Host: e.Config.Host, At: e.Now().UTC(), Ready: out.State.Effective.Epoch != "", Epoch: out.State.Published.Epoch,
		Generation: out.State.Published.Generation, Refused: out.Refused, Clamped: out.Clamped,
		Stops: out.State.Stops, Loud: r.Loud, Version: Version, Code: map[string]string{},
	}
	for _, d := range []segments.Document{out.State.Published, out.State.Effective} {
		for _, t := range d.Tracks {
			s.Code[t.Baseline] = e.codeOf(t.Baseline)
		}
		for _, r := range d.Rollouts {
			if r.Candidate != "" {
				s.Code[r.Candidate] = e.codeOf(r.Candidate)
			}
		}
	}
	for _, r := range out.State.Effective.Rollouts {
		if r.BackedOut || s.Stops.BackedOut(r.Name) {
			s.BackedOut = append(s.BackedOut, r.Name)
		}
	}
	for _, name := range []string{lookup.BaselineFile, lookup.StopFile} {
		if _, err := os.Lstat(filepath.Join(e.Config.StateDir, name)); !errors.Is(err, fs.ErrNotExist) {
			s.Local = append(s.Local, name)
		}
	}
	return s
}

// codeOf reads the signature that r10k and g10k leave in a deployed environment.
func (e *Edge) codeOf(environment string) string {
	dir := filepath.Join(e.Config.EnvironmentPath, environment)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return CodeMissing
	}
	for _, name := range []string{".r10k-deploy.json", ".g10k-deploy.json"} {
		var deploy struct {
			Signature string `json:"signature"`
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil && json.Unmarshal(data, &deploy) == nil && deploy.Signature != "" {
			return deploy.Signature
		}
	}
	return CodeUnpinned
}

// report publishes the status. Nothing here may fail an accept: the document is in force already.
func (e *Edge) report(ctx context.Context, sets *setCache, s Status) Status {
	if s.Host == "" { // the state could not be read
		s.Host, s.At, s.Version = e.Config.Host, e.Now().UTC(), Version
	}
	data, err := json.Marshal(s)
	if err != nil {
		return s
	}
	_ = renameio.WriteFile(filepath.Join(e.Config.StateDir, statusFile), data, 0o644)
	if e.Config.MetricsFile != "" {
		_ = renameio.WriteFile(e.Config.MetricsFile, []byte(s.metrics()), 0o644)
	}
	kv, err := sets.open()
	if err == nil {
		err = kv.Txn(ctx, store.Set("edges/"+e.Config.Host, data))
	}
	if err != nil {
		s.Loud = append(s.Loud, "cannot report to the store: "+err.Error())
	}
	return s
}

// metrics is the status in the text format, for node_exporter's textfile collector.
func (s Status) metrics() string {
	var b strings.Builder
	gauge := func(name, help string, v float64) {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s gauge\n%s %g\n", name, help, name, name, v)
	}
	truth := map[bool]float64{true: 1}
	gauge("sluice_enc_ready", "Whether this edge accepted a document.", truth[s.Ready])
	gauge("sluice_enc_generation", "Generation of the document in force.", float64(s.Generation))
	gauge("sluice_enc_refused", "Whether the rendered document is refused.", truth[s.Refused != ""])
	gauge("sluice_enc_clamped", "Steps that wait for the speed limit, a stop or a pause.", float64(len(s.Clamped)))
	gauge("sluice_enc_stops", "People's stops in force.", float64(len(s.Stops.Pause)+len(s.Stops.BackOut)+map[bool]int{true: 1}[s.Stops.Frozen()]))
	gauge("sluice_enc_unreadable_flags", "Flags that cannot be read.", float64(len(s.Loud)))
	gauge("sluice_enc_local_files", "Local baseline and stop files that are there.", float64(len(s.Local)))
	gauge("sluice_enc_last_accept_timestamp_seconds", "When accept last ran.", float64(s.At.Unix()))
	return b.String()
}
