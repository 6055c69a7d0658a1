// Package why answers for one node: what it has, in which segments and stages it is, what keeps it back, and when it is next.
// The command line and the API give the same answer. It reads no clock and does no I/O but for the lookups that Ask names.
//
//	why.go      the answer          node.go  what is known of the node
//	rollout.go  one rollout         caps.go  what people have said about it
//	stage.go    stages to come      next.go  when it is its turn
package why

import (
	"fmt"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
	"github.com/openinfrastructure/sluice/internal/words"
	"github.com/openinfrastructure/sluice/segments"
)

// Ask is a question about one node.
type Ask struct {
	Certname string
	Track    string // "" = every track
	Now      time.Time
	// Attributes are the node's; nil where only its name is known.
	Attributes *Attributes
	// Absent says that an inventory lacks the node, "" where it has it or none was read.
	Absent string
	// Segments are those of the configuration, nil where it is not known.
	Segments map[string]gate.Segment
	// Member looks a fingerprint up in the set with that digest, which has count members.
	Member func(digest string, count int, print string) (bool, error)
}

// Answer is whether something holds; not known is the zero value.
type Answer string

// The answers.
const (
	Unknown Answer = "not known"
	Yes     Answer = "yes"
	No      Answer = "no"
)

func answer(b bool) Answer {
	if b {
		return Yes
	}
	return No
}

// View is the answer for one node, by the published document.
type View struct {
	Certname   string         `json:"certname"`
	Generation uint64         `json:"generation"`
	Absent     string         `json:"absent,omitempty"`   // PuppetDB has no such active node
	Segments   []Segment      `json:"segments,omitempty"` // of the configuration
	Tracks     []Track        `json:"tracks"`
	Pins       []segments.Pin `json:"pins,omitempty"` // as they are published
	Edges      []edge.Status  `json:"edges"`
}

// Track is the answer on one track. Whether the node is on it, the site's ENC knows.
type Track struct {
	Track       string         `json:"track"`
	Assumed     string         `json:"assumed"` // on what ground
	Environment string         `json:"environment"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	Rollouts    []Rollout      `json:"rollouts"` // that have not ended, and those that the document still names
}

// Of answers. An answer that rests on something unreadable is an error.
func Of(snap *tree.Snapshot, ask Ask) (View, error) {
	doc := &snap.Document
	v := View{Certname: ask.Certname, Generation: doc.Generation, Absent: ask.Absent, Edges: append([]edge.Status{}, snap.Edges...), Tracks: []Track{}}
	if doc.Generation == 0 {
		return v, fmt.Errorf("the published document cannot be read: %s", snap.Damaged)
	}
	if ask.Track != "" && doc.Track(ask.Track) == nil {
		var names []string
		for _, t := range snap.Tracks {
			names = append(names, t.Name)
		}
		return v, fmt.Errorf("no track %q in the published document%s", ask.Track, words.DidYouMean(names))
	}
	for _, p := range doc.Pins {
		if p.Certname == ask.Certname {
			v.Pins = append(v.Pins, p)
		}
	}
	q := &question{Ask: ask, snap: snap, print: segments.Fingerprint(ask.Certname), stops: segments.Stops{BackedOut: map[string]bool{}}}
	for name := range verb.Stops(snap).BackOut {
		q.stops.BackedOut[name] = true
	}
	v.Segments = q.segments(ask.Segments)
	for _, t := range doc.Tracks {
		if ask.Track != "" && t.Name != ask.Track {
			continue
		}
		on, err := q.track(t)
		if err != nil {
			return v, err
		}
		v.Tracks = append(v.Tracks, on)
	}
	return v, nil
}

// question is an Ask with what is worked out once.
type question struct {
	Ask
	snap  *tree.Snapshot
	print string
	stops segments.Stops
}

func (q *question) track(t segments.Track) (Track, error) {
	d, err := segments.Decide(&q.snap.Document, q.stops, t.Name, q.Certname, q.published)
	if err != nil {
		return Track{}, err
	}
	out := Track{Track: t.Name, Environment: d.Environment, Parameters: d.Parameters, Rollouts: []Rollout{},
		Assumed: fmt.Sprintf("only if the site's ENC says environment %s", t.Name)}
	if t.Members != "" {
		listed, err := q.published(t.Members, q.print)
		if err != nil {
			return out, err
		}
		if listed {
			out.Assumed = "listed among the track's nodes; counts where the site's ENC names no environment"
		} else if i := slices.IndexFunc(q.snap.Tracks, func(s tree.Track) bool { return s.Name == t.Name && s.Waiting > 0 }); i >= 0 {
			out.Assumed += "; " + words.Count(q.snap.Tracks[i].Waiting, "new node") + " wait to be listed among the track's nodes"
		}
	}
	if q.Track != "" {
		out.Assumed = "as asked"
	}
	named := map[string]bool{}
	for _, a := range d.Rollouts {
		named[a.Rollout] = true
		out.Rollouts = append(out.Rollouts, q.rollout(t, a))
	}
	for i := range q.snap.Rollouts {
		if r := &q.snap.Rollouts[i]; r.Spec.Track == t.Name && !r.State.Phase.Ended() && !named[r.Spec.Name] {
			out.Rollouts = append(out.Rollouts, q.rollout(t, unpublished(r, q)))
		}
	}
	return out, nil
}

// unpublished is what a rollout that no edge has heard of does for the node.
func unpublished(r *tree.Rollout, q *question) segments.Admission {
	return segments.Admission{Rollout: r.Spec.Name, Position: segments.Position(r.Spec.Salt, q.Certname), Limit: segments.None, Reason: segments.ReasonNoStage}
}

// published looks the node up in a set of the document.
func (q *question) published(digest, print string) (bool, error) {
	count, named := q.snap.Document.Sets[digest]
	if !named {
		return false, fmt.Errorf("set %s is not in the published document", digest)
	}
	return q.Member(digest, count, print)
}

// in looks the node up in a set that a state names. One that cannot be read leaves it open.
func (q *question) in(digest string, count int) (Answer, string) {
	if digest == "" {
		return Yes, ""
	}
	if count == 0 {
		count = q.snap.Document.Sets[digest]
	}
	held, err := q.Member(digest, count, q.print)
	if err != nil {
		return Unknown, err.Error()
	}
	return answer(held), ""
}
