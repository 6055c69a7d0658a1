package enc

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/segments"
)

// State is all that an edge remembers. Its zero value is an edge that never accepted a document.
type State struct {
	Published  segments.Document `json:"published"`   // last accepted document, as the leader wrote it
	Digest     string            `json:"digest"`      // of that manifest
	Effective  segments.Document `json:"effective"`   // what lookups read: Published within the speed limit
	Stops      flags.Latched     `json:"stops"`       // people's stops in force
	Saved      float64           `json:"saved"`       // nodes that may still go forward
	Counted    time.Time         `json:"counted"`     // when Saved was last counted
	AcceptedAt time.Time         `json:"accepted_at"` // when Published was accepted, by this edge's clock
	Peaks      map[string]Peak   `json:"peaks,omitempty"`
}

// Unvetoed is the generation in which the leader recorded a person's unveto of a rollout, 0 where it did not.
func (s State) Unvetoed(rollout string) uint64 {
	if r := s.Published.Rollout(rollout); r != nil {
		return r.Unvetoed
	}
	return 0
}

// Peak is the largest number of nodes that a document gave a track within a day, or half of the one before.
type Peak struct {
	Nodes int       `json:"nodes"`
	At    time.Time `json:"at"`
}

// Input is what accept looks at.
type Input struct {
	Manifest []byte // as rendered; empty where there is none
	Flags    flags.Reading
	Limit    Limit
	Stop     bool // the local `stop` file is there
	Now      time.Time
	// Set gives the bytes of a set, checked against digest and count.
	Set func(digest string, count int) ([]byte, error)
}

// Outcome is the edge's next state, and what a person should know about it.
type Outcome struct {
	State    State
	Accepted bool   // a newer document was accepted just now
	Refused  string // why the rendered manifest is not in force, "" when it is
	Reason   Reason // the same in a word, "" when it is
	// Sets are those that State names and nobody published, by digest: to be kept before State is.
	Sets    map[string][]byte
	Clamped []string // what waits for the speed limit, a stop or a pause, each as a sentence
}

// Accept decides what the edge obeys from now on. It never fails: whatever is wrong with the manifest,
// the last good one stays, and stops act all the same. The caller persists State whole.
func Accept(prev State, in Input) Outcome {
	out := Outcome{State: prev}
	next := &out.State
	doc, digest, err := candidate(prev, in)
	if err != nil {
		out.Refused, out.Reason = err.Error(), ReasonOf(err)
	}
	if doc != nil && digest != prev.Digest {
		next.Published, next.Digest, out.Accepted = *doc, digest, true
	}
	next.Stops = flags.Latch(prev.Stops, in.Flags, next.Published.Generation, next.Unvetoed)
	if next.Published.Epoch == "" {
		return out // nothing was ever accepted: the stops are kept, there is nothing to answer with
	}
	fleet := next.Published.Fleet()
	if was := prev.Published.Fleet(); was > 0 {
		fleet = min(fleet, was) // a document cannot buy itself a larger allowance
	}
	next.Saved = in.Limit.accrue(prev, fleet, in.Now)
	next.Counted = in.Now
	if out.Accepted {
		next.AcceptedAt = in.Now
	}
	p := purse{saved: next.Saved, free: in.Flags.Force != 0 && in.Flags.Force == next.Published.Generation, set: in.Set, made: map[string][]byte{}}
	next.Peaks = peaks(prev.Peaks, next.Published, in.Now)
	effective, err := advance(prev.Effective, next.Published, next.Stops, in.Stop, next.Peaks, &p)
	if err != nil {
		// A set that was here is gone: keep the answers that we have, take nothing forward.
		out.Refused, out.Reason = err.Error(), ReasonSet
		next.Published, next.Digest, next.AcceptedAt, out.Accepted = prev.Published, prev.Digest, prev.AcceptedAt, false
		next.Effective = markBackedOut(prev.Effective, next.Stops)
		return out
	}
	next.Effective, next.Saved, out.Clamped, out.Sets = effective, p.saved, p.clamped, p.made
	return out
}

// peaks remembers the largest size of each track for a day; then it falls by half a day, or to what documents say. A document
// that counts few nodes to make them cheap gets there in weeks.
func peaks(prev map[string]Peak, d segments.Document, now time.Time) map[string]Peak {
	next := map[string]Peak{}
	for _, t := range d.Tracks {
		p, known := prev[t.Name]
		switch age := now.Sub(p.At); {
		case !known || t.Nodes >= p.Nodes:
			p = Peak{Nodes: t.Nodes, At: now}
		case age > maxSaved:
			p = Peak{Nodes: max(t.Nodes, p.Nodes/2), At: now}
		}
		next[t.Name] = p
	}
	return next
}

// candidate reads the manifest and refuses it unless it may follow the one in force.
func candidate(prev State, in Input) (*segments.Document, string, error) {
	doc, digest, err := Decode(in.Manifest)
	if err != nil {
		return nil, "", err
	}
	if prev.Published.Epoch != "" && prev.Digest != digest {
		if err := follows(prev.Published, doc); err != nil {
			return nil, "", err
		}
	}
	// Asked for the document in force as well: a set that the disk lost is fetched again.
	for set, count := range doc.Sets {
		if _, err := in.Set(set, count); err != nil {
			return nil, "", refuse(ReasonSet, fmt.Errorf("generation %d: %w", doc.Generation, err))
		}
	}
	return &doc, digest, nil
}

// follows checks what may never change from one document to the next.
func follows(prev, next segments.Document) error {
	switch {
	case next.Epoch != prev.Epoch:
		return refuse(ReasonEpoch, fmt.Errorf("epoch %q, this edge obeys %q: remove its state to join another installation", next.Epoch, prev.Epoch))
	case next.Generation < prev.Generation:
		return refuse(ReasonOlder, fmt.Errorf("generation %d is older than %d in force here", next.Generation, prev.Generation))
	case next.Generation == prev.Generation:
		return refuse(ReasonOlder, fmt.Errorf("generation %d has another content than the one in force here", next.Generation))
	}
	for i := range next.Rollouts {
		n := &next.Rollouts[i]
		p := prev.Rollout(n.Name)
		if p == nil {
			continue
		}
		if n.Track != p.Track || n.Candidate != p.Candidate || n.SaltOf() != p.SaltOf() || !reflect.DeepEqual(n.Parameters, p.Parameters) {
			return refuse(ReasonFrozen, fmt.Errorf("rollout %s: its change, track or salt differs from what was accepted before; a rollout is frozen when it starts", n.Name))
		}
	}
	for _, t := range prev.Tracks {
		if next.Track(t.Name) == nil {
			return refuse(ReasonFrozen, fmt.Errorf("track %s is gone", t.Name))
		}
	}
	return nil
}

// Limit is the edge's speed limit: how many nodes may go forward per hour, the larger of the two.
type Limit struct {
	Nodes float64 // nodes per hour
	Share float64 // of the fleet per hour, in [0, 1]
}

// DefaultLimit is DESIGN.md's: 10 nodes or 10 % of the fleet per hour.
var DefaultLimit = Limit{Nodes: 10, Share: 0.10}

const maxSaved = 24 * time.Hour

func (l Limit) perHour(fleet int) float64 { return max(l.Nodes, l.Share*float64(fleet), 0) }

// accrue counts the allowance up to now. What is saved can never exceed what the time since the last accepted
// document allows: an edge that hears from the leader often has an hour's worth at most, one
// that was cut off for a day a day's. A clock that went backwards adds nothing.
func (l Limit) accrue(prev State, fleet int, now time.Time) float64 {
	rate := l.perHour(fleet)
	if prev.Published.Epoch == "" {
		return rate * maxSaved.Hours()
	}
	elapsed := min(max(now.Sub(prev.Counted), 0), maxSaved)
	room := min(max(now.Sub(prev.AcceptedAt), time.Hour), maxSaved)
	saved := prev.Saved + rate*elapsed.Hours()
	if math.IsNaN(saved) || math.IsInf(saved, 0) || saved < 0 {
		saved = 0
	}
	return min(saved, rate*room.Hours())
}

var errSetGone = errors.New("a set of the document in force cannot be read")
