package gate

import (
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// World is everything that Decide looks at.
type World struct {
	Now time.Time
	// Document is the one in force in the store.
	Document segments.Document
	Tracks   []segments.Track // as they are to be published: baseline, members, nodes
	Rollouts []Rollout        // in the order in which they were created
	Flags    flags.Reading
	Stops    flags.Latched // what has latched before, here and at any edge
	Holds    []Hold
	Pins     []Pin  // those that stand
	Vetoes   []Veto // those that can be read
	Edges    []Edge
	EdgeRule EdgeRule
	Sources  analyzer.Sources
	Freezes  []schedule.Freeze // of the site's calendar
	Blast    BlastRule
	Domains  map[string]int // nodes of each domain of Blast
	// Halt keeps everything as it is, back-outs excepted; a sentence, such as why the store looks restored.
	Halt string
	// Sets gives the counts of all sets that a population or a state names.
	Sets map[string]int
}

// Rollout is one rollout with what was found out about it just now.
type Rollout struct {
	Spec  Spec
	State State
	// Verdict of the current stage, judged on evidence of Now; the zero value is inconclusive.
	Verdict analyzer.Verdict
	// Current and Next are the populations of the current stage and of the one after it.
	Current, Next Population
	// Came are the nodes that came since the counts of the current stage were taken, where it is for everyone; as far as names are known.
	Came Came
	// Snapshots are the segments that are resolved once, when the rollout begins; nil after that.
	Snapshots map[string]SetRef
	// Held are holds that stop the whole rollout: those that cannot be read, and those that leave nobody to go on with.
	Held []Hold
	// Orders are what people ask of it now, beside flags.
	Orders []Order
	// Caps are the state's, as people wish them now; Kept says whom they keep.
	Caps []Cap
	Kept []Kept
	// Shared are, by the name of another rollout under way, nodes on which that one's change is not past its bake.
	Shared map[string]Shared
	// Unproven counts, by domain, the nodes on which this rollout's own change is not past its bake.
	Unproven map[string]int
	// Back are the nodes that lifted caps have to give back.
	Back Population
}

// Kept is a hold, veto or pin of a person, and whom it keeps.
type Kept struct {
	Source string    `json:"source"` // kind/name
	What   string    `json:"what"`   // owner, selector, comment
	Nodes  int       `json:"nodes"`
	Some   []string  `json:"some,omitempty"` // certnames, a few
	Until  time.Time `json:"until,omitzero"`
}

// Population is who is in a stage's segment.
type Population struct {
	Set       string           // digest, "" = everyone on the track
	Positions []segments.Point // u of every member, sorted
	Earlier   []segments.Point // of the members that earlier stages admitted, sorted
	Domains   []string         // of Positions, where domains are limited
	Count     int              // of the set
	Kept      []segments.Point // u of the members that a cap keeps, and that Positions leaves out, sorted
	Err       string           // why it is not known
}

// size counts the members, those kept by caps included.
func (p Population) size() int { return max(p.Count, p.present(segments.All)) }

// present counts the members below t that there are, those kept by caps included.
func (p Population) present(t segments.Threshold) int {
	return below(p.Positions, t) + below(p.Kept, t)
}

// Hold is an expiring, owned, commented stop for nodes that match a selector.
type Hold struct {
	ID       string    `json:"id"`
	Selector string    `json:"selector"`
	Until    time.Time `json:"until,omitzero"` // zero = no end
	By       string    `json:"by"`
	Comment  string    `json:"comment"`
	Ended    string    `json:"ended,omitempty"` // who ended it before its time, and why
	Err      string    `json:"err,omitempty"`   // it cannot be read: it holds everything
	Key      string    `json:"-"`               // in the store, where it is no hold but keeps everything as one does
}

func (h *Hold) key() string {
	if h.Key != "" {
		return h.Key
	}
	return "holds/" + h.ID
}

// Edge is one puppetserver, as it reported last.
type Edge struct {
	Host       string
	At         time.Time
	Ready      bool
	Generation uint64
	Refused    string
	Local      []string
	Code       map[string]string // environment → identity
	BackedOut  []string          // rollouts that are backed out there
}

// EdgeRule says which edges count and how far behind they may be.
type EdgeRule struct {
	Live          time.Duration // an edge counts for so long after its last report
	MaxAge        time.Duration // how long after a document was written a live edge must have it
	AllowUnpinned bool          // go on although no code identity is known
}

func below(positions []segments.Point, t segments.Threshold) int {
	return segments.AllBelow(positions, t)
}

// Fresh counts the members below t that no earlier stage admitted.
func (p Population) Fresh(t segments.Threshold) int { return p.fresh(t) }

// fresh counts the members below t that no earlier stage admitted.
func (p Population) fresh(t segments.Threshold) int {
	return below(p.Positions, t) - below(p.Earlier, t)
}

// more is the threshold that admits room further members above from, and target at most.
func (p Population) more(from, target segments.Threshold, room int) segments.Threshold {
	if room <= 0 {
		return from
	}
	start, end := below(p.Positions, from), below(p.Positions, target)
	for i := start; i < end; i++ {
		if holds(p.Earlier, p.Positions[i]) {
			continue
		}
		if room--; room < 0 {
			return segments.Higher(from, segments.Threshold(p.Positions[i].String())) // up to this one, without it
		}
	}
	return target
}

// Event is something that happened, for the audit and for people.
type Event struct {
	Kind    string            `json:"kind"`
	Rollout string            `json:"rollout,omitempty"`
	Track   string            `json:"track,omitempty"`
	Stage   string            `json:"stage,omitempty"`
	Index   int               `json:"index"`
	Text    string            `json:"text"`
	By      string            `json:"by"`
	Verdict *analyzer.Verdict `json:"-"`
}

// Kinds of event.
const (
	EventStarted    = "rollout_started"
	EventStage      = "stage_started"
	EventGrown      = "stage_grown"
	EventStageEnded = "stage_ended"
	EventSettling   = "settling"
	EventCompleted  = "completed"
	EventBackedOut  = "backed_out"
	EventSuperseded = "superseded"
	EventSkipped    = "stage_skipped"
	EventCaps       = "caps_changed"
	EventReturned   = "nodes_returned"
	EventPromoted   = "promoted"
	EventSkip       = "skip_ordered"
)

// Decision is what follows from a World.
type Decision struct {
	States    map[string]State  // those that changed
	Gates     map[string][]Gate // per rollout that has not ended
	Events    []Event
	Tracks    []segments.Track  // with a baseline that moved, if one did
	Document  segments.Document // to be published; its generation is not set yet
	Republish bool              // Document differs from the one in force
}
