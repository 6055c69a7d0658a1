package segments

import (
	"fmt"
	"time"
)

// Format is the version of the document that this program writes and the only one that it reads.
const Format = 1

// Document is what the leader publishes and an edge accepts: who may have what. It holds rules and
// thresholds, never lists of nodes; those are in sets, named by content.
type Document struct {
	Format     int            `json:"format"`
	Epoch      string         `json:"epoch"`      // made by `sluice init`; another epoch is another installation
	Generation uint64         `json:"generation"` // grows by at least one with every document
	Written    time.Time      `json:"written"`
	Tracks     []Track        `json:"tracks"`
	Rollouts   []Rollout      `json:"rollouts,omitempty"`
	Pins       []Pin          `json:"pins,omitempty"`
	Sets       map[string]int `json:"sets,omitempty"` // digest → count of every set that is named below
}

// Track is a line of environments that succeed each other.
type Track struct {
	Name       string         `json:"name"`
	Baseline   string         `json:"baseline"`             // environment
	Members    string         `json:"members,omitempty"`    // set of nodes for which upstream names no environment
	Nodes      int            `json:"nodes"`                // nodes on the track, the unit of the speed limit
	Parameters map[string]any `json:"parameters,omitempty"` // finished parameters rollouts
}

// Rollout is the part of a rollout that an edge needs. Exactly one of Candidate and Parameters is set.
type Rollout struct {
	Name       string         `json:"name"`
	Track      string         `json:"track"`
	Candidate  string         `json:"candidate,omitempty"`  // environment
	Parameters map[string]any `json:"parameters,omitempty"` // feature flags
	Salt       string         `json:"salt,omitempty"`       // default: the name
	Stages     []Stage        `json:"stages,omitempty"`     // admitted stages only
	Caps       []Cap          `json:"caps,omitempty"`
	BackedOut  bool           `json:"backed_out,omitempty"`
	Unvetoed   uint64         `json:"unvetoed,omitempty"` // generation in which the leader recorded a person's unveto
}

// Stage is what stages over the same nodes have admitted: the members of Set (everyone on the track where it is empty) below
// Threshold.
type Stage struct {
	Name      string    `json:"name"` // of the first of them
	Set       string    `json:"set,omitempty"`
	Threshold Threshold `json:"threshold"`
}

// Cap is the limit that a hold or a cut-out puts on the members of Set (everyone where it is empty):
// a threshold that they may not pass; None gives them baseline.
type Cap struct {
	ID    string    `json:"id"`
	Set   string    `json:"set,omitempty"`
	Limit Threshold `json:"limit"`
}

// Pin keeps one node on baseline or on candidate, whatever the thresholds say.
type Pin struct {
	Certname string `json:"certname"`
	To       string `json:"to"`                // ToBaseline or ToCandidate
	Rollout  string `json:"rollout,omitempty"` // "" = every rollout
}

// The two ends of a pin.
const (
	ToBaseline  = "baseline"
	ToCandidate = "candidate"
)

// SaltOf is the salt that positions of this rollout are made with.
func (r *Rollout) SaltOf() string {
	if r.Salt != "" {
		return r.Salt
	}
	return r.Name
}

// Track finds a track by name, nil where there is none.
func (d *Document) Track(name string) *Track {
	for i := range d.Tracks {
		if d.Tracks[i].Name == name {
			return &d.Tracks[i]
		}
	}
	return nil
}

// Rollout finds a rollout by name, nil where there is none.
func (d *Document) Rollout(name string) *Rollout {
	for i := range d.Rollouts {
		if d.Rollouts[i].Name == name {
			return &d.Rollouts[i]
		}
	}
	return nil
}

// Fleet is the number of nodes on all tracks.
func (d *Document) Fleet() int {
	n := 0
	for _, t := range d.Tracks {
		n += t.Nodes
	}
	return n
}

// Validate refuses a document that could not have been written by a leader: the edge asks it again
// although the leader asked it before, because the edge answers for the nodes.
func (d *Document) Validate() error {
	if d.Format != Format {
		return fmt.Errorf("format: %d, this program reads %d", d.Format, Format)
	}
	if d.Epoch == "" {
		return fmt.Errorf("epoch: missing")
	}
	if d.Generation == 0 {
		return fmt.Errorf("generation: 0, expected 1 or more")
	}
	if len(d.Tracks) == 0 {
		return fmt.Errorf("tracks: empty, expected at least one")
	}
	if err := d.validateTracks(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i := range d.Rollouts {
		r := &d.Rollouts[i]
		if seen[r.Name] {
			return fmt.Errorf("rollouts[%d]: name %q twice", i, r.Name)
		}
		seen[r.Name] = true
		if err := d.validateRollout(r); err != nil {
			return fmt.Errorf("rollouts[%d]: %w", i, err)
		}
	}
	for i, p := range d.Pins {
		if p.Certname == "" || (p.To != ToBaseline && p.To != ToCandidate) {
			return fmt.Errorf("pins[%d]: expected a certname and to %q or %q", i, ToBaseline, ToCandidate)
		}
	}
	for digest, n := range d.Sets {
		if len(digest) != 32 || n < 0 {
			return fmt.Errorf("sets: %q with count %d, expected 32 hex digits and a count", digest, n)
		}
	}
	return nil
}

func (d *Document) validateTracks() error {
	for i, t := range d.Tracks {
		if !IsEnvironment(t.Name) || !IsEnvironment(t.Baseline) {
			return fmt.Errorf("tracks[%d]: name %q and baseline %q must be environment names (letters, digits, _)", i, t.Name, t.Baseline)
		}
		if t.Nodes < 0 {
			return fmt.Errorf("tracks[%d].nodes: %d, expected 0 or more", i, t.Nodes)
		}
		if d.Track(t.Name) != &d.Tracks[i] {
			return fmt.Errorf("tracks[%d]: name %q twice", i, t.Name)
		}
		if err := d.hasSet(t.Members); err != nil {
			return fmt.Errorf("tracks[%d].members: %w", i, err)
		}
	}
	return nil
}

func (d *Document) validateRollout(r *Rollout) error {
	if r.Name == "" || d.Track(r.Track) == nil {
		return fmt.Errorf("name %q on unknown track %q", r.Name, r.Track)
	}
	if (r.Candidate != "") == (len(r.Parameters) > 0) {
		return fmt.Errorf("%s: expected exactly one of candidate and parameters", r.Name)
	}
	if r.Candidate != "" && !IsEnvironment(r.Candidate) {
		return fmt.Errorf("%s: candidate %q is not an environment name (letters, digits, _)", r.Name, r.Candidate)
	}
	for i, s := range r.Stages {
		if s.Name == "" {
			return fmt.Errorf("%s: stages[%d]: name missing", r.Name, i)
		}
		if _, err := ParseThreshold(string(s.Threshold)); err != nil {
			return fmt.Errorf("%s: stages[%d]: %w", r.Name, i, err)
		}
		if err := d.hasSet(s.Set); err != nil {
			return fmt.Errorf("%s: stages[%d]: %w", r.Name, i, err)
		}
	}
	for i, c := range r.Caps {
		if _, err := ParseThreshold(string(c.Limit)); err != nil {
			return fmt.Errorf("%s: caps[%d]: %w", r.Name, i, err)
		}
		if err := d.hasSet(c.Set); err != nil {
			return fmt.Errorf("%s: caps[%d]: %w", r.Name, i, err)
		}
	}
	return nil
}

func (d *Document) hasSet(digest string) error {
	if _, ok := d.Sets[digest]; digest != "" && !ok {
		return fmt.Errorf("set %s is not listed under sets", digest)
	}
	return nil
}

// IsEnvironment says whether Puppet takes the name for an environment: \A\w+\z.
func IsEnvironment(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}
