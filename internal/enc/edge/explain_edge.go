package edge

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
)

// theEdge says which document is in force here and from which files, what is wrong with the rendered one, how much may
// still go forward, and which stops act.
func (x *explainer) theEdge() {
	c := x.edge.Config
	s, err := x.edge.Status()
	if err != nil {
		x.linef(0, "edge %s", c.Host)
		x.linef(1, "not ready: %v", err)
		return
	}
	x.linef(0, "edge %s", s.Host)
	x.linef(1, "configuration: %s", c.File)
	x.document(s)
	x.rendered(s)
	x.allowance(s)
	for _, l := range s.Clamped {
		x.linef(1, "waits: %s", l)
	}
	for _, l := range s.Loud {
		x.linef(1, "unreadable: %s", l)
	}
	for _, l := range s.Problems {
		x.linef(1, "problem: %s", l)
	}
	x.stops(s)
	for _, env := range enc.SortedKeys(s.Code) {
		x.linef(1, "code of %s: %s", env, s.Code[env])
	}
}

func (x *explainer) document(s Status) {
	if !s.Ready {
		x.linef(1, "not ready: it never accepted a document and does not know the baseline")
		return
	}
	path := filepath.Join(x.edge.Config.StateDir, lookup.AdmissionsFile)
	x.linef(1, "document: generation %d of epoch %s, in %s", s.Generation, s.Epoch, path)
	x.linef(1, "times: written %s, accepted here %s, looked at %s", s.Written.Format(time.RFC3339), s.AcceptedAt.Format(time.RFC3339), s.At.Format(time.RFC3339))
}

func (x *explainer) rendered(s Status) {
	source := x.edge.Config.Manifest
	if dir := x.edge.Config.Store.Dir; dir != "" {
		source = filepath.Join(dir, manifestKey)
	}
	if s.Refused == "" {
		x.linef(1, "rendered: %s is in force", source)
		return
	}
	x.linef(1, "refused: %s (%s)", s.Refused, source)
}

func (x *explainer) allowance(s Status) {
	limit, err := x.edge.Config.limit()
	if err != nil || !s.Ready {
		return
	}
	x.linef(1, "speed limit: the larger of %g nodes and %g %% of the fleet per hour; %.4g nodes may go forward now", limit.Nodes, 100*limit.Share, s.Allowance)
	if s.Forced {
		x.linef(1, "forced: a person let generation %d past the speed limit (flags/force)", s.Generation)
	}
}

// stops lists what people want: flags as they have latched, and local files as they are at this moment.
func (x *explainer) stops(s Status) {
	stops := s.Stops
	if data, err := os.ReadFile(filepath.Join(x.edge.Config.StateDir, lookup.StopsFile)); err == nil {
		if err := json.Unmarshal(data, &stops); err != nil {
			x.linef(1, "unreadable: %s: %v", lookup.StopsFile, err)
		}
	}
	if stops.Frozen() {
		x.linef(1, "stop: everything is frozen (%s)", stops.Freeze.Value)
	}
	for _, name := range enc.SortedKeys(stops.Pause) {
		x.linef(1, "stop: %s is paused (%s)", name, stops.Pause[name].Value)
	}
	for _, name := range enc.SortedKeys(stops.BackOut) {
		x.linef(1, "stop: %s is backed out, since generation %d", name, stops.BackOut[name].Generation)
	}
	meaning := map[string]string{lookup.BaselineFile: "every node that asks here gets baseline", lookup.StopFile: "nothing goes forward here"}
	for _, name := range x.edge.localFiles() {
		x.linef(1, "local file: %s: %s", filepath.Join(x.edge.Config.StateDir, name), meaning[name])
	}
}

// Status reads the status that the last accept left.
func (e *Edge) Status() (Status, error) {
	var s Status
	path := filepath.Join(e.Config.StateDir, statusFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("accept has not run here yet: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
