// Package lookup answers for one node from an edge's two small local files and its sets: no network, no
// clock, no YAML. It is what sluice-enc runs once per catalog, so it imports next to nothing.
package lookup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/openinfrastructure/sluice/segments"
)

// DefaultDir is where an edge keeps its state.
const DefaultDir = "/var/lib/sluice-enc"

// Names below the state directory.
const (
	AdmissionsFile = "admissions.json" // Admissions
	StopsFile      = "stops.json"      // flags.Latched
	SetsDir        = "sets"            // sets/DIGEST
	BaselineFile   = "baseline"        // local: everyone on a track gets baseline
	StopFile       = "stop"            // local: nothing goes forward
)

// Admissions is what `accept` leaves for lookups.
type Admissions struct {
	Document        segments.Document `json:"document"`         // effective: within the speed limit
	EnvironmentPath string            `json:"environment_path"` // where environments are on this puppetserver
	Upstream        bool              `json:"upstream"`         // there is a site ENC: its answer is laid under
	ConfigFile      string            `json:"config_file"`      // of this edge, for when it takes more than a lookup
}

// ErrNotReady is returned by an edge that never accepted a document: it does not know the baseline.
var ErrNotReady = errors.New("this edge never accepted a document")

// Edge is an edge's local state, as read for one lookup.
type Edge struct {
	Admissions
	Stops segments.Stops
	dir   string
}

// Open reads the two files. A missing file of stops is no stop; one that cannot be read is an error, since
// a back-out may be in it.
func Open(dir string) (*Edge, error) {
	e := &Edge{dir: dir}
	path := filepath.Join(dir, AdmissionsFile)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, problem{ErrNotReady.Error() + " (no " + AdmissionsFile + " in " + dir + "; see `sluice-enc accept`)", ErrNotReady}
	case err != nil:
		return nil, err
	}
	if e.Admissions, err = DecodeAdmissions(data); err != nil {
		return nil, at(path, err)
	}
	if e.Document.Epoch == "" {
		return nil, ErrNotReady
	}
	if f := e.Document.Format; f != segments.Format {
		return nil, at(path, errors.New("format: "+strconv.Itoa(f)+", this program reads "+strconv.Itoa(segments.Format)))
	}
	path = filepath.Join(dir, StopsFile)
	data, err = os.ReadFile(path)
	if err == nil {
		e.Stops.BackedOut, err = DecodeStops(data)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, at(path, err)
	}
	if _, err := os.Lstat(filepath.Join(dir, BaselineFile)); !errors.Is(err, fs.ErrNotExist) {
		e.Stops.Baseline = true // there, or not to be told: the safe reading
	}
	return e, nil
}

// With is this edge with another document, for explaining what that would answer.
func (e *Edge) With(d segments.Document) *Edge {
	other := *e
	other.Document = d
	return &other
}

// problem is an error with its own text that is another underneath; fmt would cost a lookup more than
// it is worth.
type problem struct {
	text  string
	cause error
}

func (p problem) Error() string { return p.text }
func (p problem) Unwrap() error { return p.cause }

func at(place string, err error) error { return problem{place + ": " + err.Error(), err} }

// Answer is what the ENC says about a node on a track.
type Answer struct {
	segments.Decision
	Missing string // the environment that was decided and is not on this puppetserver, if so
}

// Answer decides for a node of the given track ("" = no track). An environment that is not deployed here is never
// returned: the candidate falls back to the baseline, and a missing baseline is an error.
func (e *Edge) Answer(track, certname string) (Answer, error) {
	d, err := segments.Decide(&e.Document, e.Stops, track, certname, e.InSet)
	if err != nil || d.Track == "" {
		return Answer{Decision: d}, err
	}
	a := Answer{Decision: d}
	baseline := e.Document.Track(track).Baseline
	if d.Environment != baseline && !e.Deployed(d.Environment) {
		a.Missing, a.Environment = d.Environment, baseline
	}
	if a.Environment == baseline && !e.Deployed(baseline) {
		return a, errors.New("environment " + baseline + " is not in " + e.EnvironmentPath + " on this puppetserver")
	}
	return a, nil
}

// Deployed says whether an environment is on this puppetserver.
func (e *Edge) Deployed(environment string) bool {
	info, err := os.Stat(filepath.Join(e.EnvironmentPath, environment))
	return err == nil && info.IsDir()
}

// Member finds the track of a node for which upstream names no environment: the one whose published set
// has it, "" where none has.
func (e *Edge) Member(certname string) (string, error) {
	print := segments.Fingerprint(certname)
	for _, t := range e.Document.Tracks {
		if t.Members == "" {
			continue
		}
		in, err := e.InSet(t.Members, print)
		if err != nil {
			return "", err
		}
		if in {
			return t.Name, nil
		}
	}
	return "", nil
}

// InSet looks a fingerprint up in a local set.
func (e *Edge) InSet(digest, print string) (bool, error) {
	f, err := os.Open(filepath.Join(e.dir, SetsDir, digest))
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	if want, ok := e.Document.Sets[digest]; !ok || info.Size() != int64(want)*segments.LineWidth {
		return false, errors.New("set " + digest + " has " + strconv.FormatInt(info.Size(), 10) + " bytes, expected " + strconv.Itoa(want) + " members")
	}
	return segments.Contains(f, info.Size(), print)
}

// YAML writes the answer as Puppet's exec terminus reads it. Environment is left out for nodes off every
// track, and parameters hold nothing but `sluice`.
func (a Answer) YAML() ([]byte, error) {
	out := []byte("---\n")
	if a.Environment != "" {
		out = append(append(append(out, "environment: "...), a.Environment...), '\n')
	}
	if len(a.Parameters) == 0 {
		return append(out, "parameters: {}\n"...), nil
	}
	out, err := appendParameters(append(out, `parameters: {"sluice":`...), a.Parameters)
	if err != nil {
		return nil, err
	}
	return append(out, "}\n"...), nil
}
