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
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/internal/store"
)

const stateFile = "state.json"

// Edge accepts documents on one puppetserver.
type Edge struct {
	Config Config
	// Store opens the store, for sets that are not here yet and for the report; it is called at most once
	// per run, and an error only means that neither can be had now.
	Store func() (store.Store, error)
	Now   func() time.Time
}

// Accept reads what consul-template rendered, decides (enc.Accept), and installs the result: stops first,
// then sets, then the document. The error is for the log and the exit code of a person's own call;
// whatever it says, lookups have a consistent state to read.
func (e *Edge) Accept(ctx context.Context) (Status, error) {
	limit, err := e.Config.limit()
	if err != nil {
		return Status{}, err
	}
	if err := os.MkdirAll(filepath.Join(e.Config.StateDir, lookup.SetsDir), 0o755); err != nil {
		return Status{}, err
	}
	unlock, err := e.lock()
	if err != nil {
		return Status{}, err
	}
	defer unlock()

	prev, stateErr := e.readState()
	sets := &setCache{edge: e, ctx: ctx}
	manifest, manifestErr, tree, flagsErr := e.read(ctx, sets)
	reading := flags.Read(tree)
	if stateErr != nil {
		// Without a memory the stops could be lost: keep everything as it is until a person looks.
		return e.report(ctx, sets, Status{Refused: stateErr.Error(), Reason: enc.ReasonState}), stateErr
	}
	// A back-out that was rendered acts before anything waits for the network.
	early := flags.Latch(prev.Stops, reading, prev.Published.Generation, prev.Unvetoed)
	if err := e.writeJSON(lookup.StopsFile, early); err != nil {
		return e.report(ctx, sets, Status{Refused: "cannot install: " + err.Error(), Reason: enc.ReasonInstall}), err
	}
	_, stopErr := os.Lstat(filepath.Join(e.Config.StateDir, lookup.StopFile))
	out := enc.Accept(prev, enc.Input{
		Manifest: manifest, Flags: reading, Limit: limit, Now: e.Now(), Set: sets.get,
		Stop: !errors.Is(stopErr, fs.ErrNotExist), // there, or not to be told
	})
	if manifestErr != nil {
		out.Refused, out.Reason = "no manifest: "+manifestErr.Error(), enc.ReasonMissing
	}
	err = e.install(prev, out.State, out.Sets)
	if err != nil { // what lookups obey is still the document before
		out = enc.Outcome{State: prev, Refused: "cannot install: " + err.Error(), Reason: enc.ReasonInstall}
	}
	status := e.status(ctx, out, reading)
	if flagsErr != nil {
		status.Loud = append(status.Loud, flagsErr.Error())
	}
	return e.report(ctx, sets, status), err
}

// install writes stops before anything else, so that a full disk can lose a step forward and not a stop.
func (e *Edge) install(prev, next enc.State, sets map[string][]byte) error {
	if err := e.writeJSON(lookup.StopsFile, next.Stops); err != nil {
		return err
	}
	for digest, data := range sets {
		if err := renameio.WriteFile(filepath.Join(e.Config.StateDir, lookup.SetsDir, digest), data, 0o644); err != nil {
			return err
		}
	}
	if next.Effective.Epoch != "" {
		a := lookup.Admissions{Document: next.Effective, EnvironmentPath: e.Config.EnvironmentPath, Upstream: e.Config.Upstream.Command != "", ConfigFile: e.Config.File}
		if err := e.writeJSON(lookup.AdmissionsFile, a); err != nil {
			return err
		}
	}
	if err := e.writeJSON(stateFile, next); err != nil {
		return err
	}
	e.dropSets(prev, next)
	return nil
}

func (e *Edge) writeJSON(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	path := filepath.Join(e.Config.StateDir, name)
	if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
		return nil
	}
	return renameio.WriteFile(path, data, 0o644)
}

func (e *Edge) readState() (enc.State, error) {
	var s enc.State
	path := filepath.Join(e.Config.StateDir, stateFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		return enc.State{}, fmt.Errorf("%s: %w (nothing changes until it is repaired or removed)", path, err)
	}
	return s, nil
}

// read gives the manifest and people's flags: as consul-template rendered them, or from the directory that is the store.
// They are read independently of each other, and an error beside flags does not mean that there are none.
func (e *Edge) read(ctx context.Context, sets *setCache) (manifest []byte, manifestErr error, tree map[string]string, flagsErr error) {
	if e.Config.Store.Dir == "" {
		if manifest, manifestErr = os.ReadFile(e.Config.Manifest); manifestErr != nil {
			manifest = nil
		}
		tree, flagsErr = e.readFlags()
		return manifest, manifestErr, tree, flagsErr
	}
	s, err := sets.open()
	if err != nil {
		return nil, err, nil, fmt.Errorf("flags: %w", err)
	}
	entry, err := s.Get(ctx, manifestKey)
	if err != nil {
		manifestErr = err
	}
	entries, _, err := s.List(ctx, flagsPrefix)
	if err != nil {
		flagsErr = fmt.Errorf("flags: %w", err)
	}
	tree = make(map[string]string, len(entries))
	for _, f := range entries {
		tree[strings.TrimPrefix(f.Key, flagsPrefix)] = string(f.Value)
	}
	return entry.Value, manifestErr, tree, flagsErr
}

// Keys that an edge reads without consul-template.
const (
	manifestKey = "enc/manifest"
	flagsPrefix = "flags/"
)

func (e *Edge) readFlags() (map[string]string, error) {
	data, err := os.ReadFile(e.Config.Flags)
	if err != nil {
		return nil, fmt.Errorf("flags: %w", err)
	}
	return enc.DecodeFlags(data)
}

// lock lets one accept run at a time: consul-template may start two, and the timer a third.
func (e *Edge) lock() (func(), error) {
	f, err := os.OpenFile(filepath.Join(e.Config.StateDir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock: %w", err)
	}
	return func() { f.Close() }, nil
}
