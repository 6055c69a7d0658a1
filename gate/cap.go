package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// Kinds of cap: what a person keeps nodes from, or takes from them, while the rest of the rollout goes on.
const (
	CapHold   = "hold"  // nodes that had not been admitted when it began stay where they are
	CapCutOut = "veto"  // a back-out of matching nodes only: they get baseline
	CapPin    = "pin"   // one node kept on baseline
	CapAhead  = "ahead" // one node kept on candidate, before its turn
	capSerial = "#"     // between a cap's name and its number, where the name is used again
)

// Cap is a limit on some nodes of one rollout, as the leader remembers it. While it stands, its nodes are in neither cohort:
// nobody chose them by chance. When it is lifted they come back step by step, with every gate open, and count as admitted
// from then on.
type Cap struct {
	ID       string    `json:"id"` // kind/name, with a number where the name was used before
	Set      string    `json:"set,omitempty"`
	Count    int       `json:"count,omitempty"`    // of the set
	Position string    `json:"position,omitempty"` // u of the one node, where there is no set
	Since    time.Time `json:"since"`
	Lifted   time.Time `json:"lifted,omitzero"`
	Steps    []CapStep `json:"steps,omitempty"`
}

// CapStep is how far a lifted cap had come back at a time.
type CapStep struct {
	At    time.Time          `json:"at"`
	Limit segments.Threshold `json:"limit"`
}

// Kind is one of the kinds above.
func (c *Cap) Kind() string {
	kind, _, _ := strings.Cut(c.ID, "/")
	return kind
}

// Source is the kind and name by which people know the cap, such as hold/fra1-network.
func (c *Cap) Source() string {
	source, _, _ := strings.Cut(c.ID, capSerial)
	return source
}

// Standing says whether nobody has lifted the cap, Over whether all of its nodes are back.
func (c *Cap) Standing() bool { return c.Lifted.IsZero() }

// Over says whether all nodes of the cap are back.
func (c *Cap) Over() bool { return c.Limit() == segments.All }

// Limit is how far the nodes have come back; None while the cap stands.
func (c *Cap) Limit() segments.Threshold {
	if len(c.Steps) == 0 {
		return segments.None
	}
	return c.Steps[len(c.Steps)-1].Limit
}

// Holds says whether the node is one of the cap's, come back or not.
func (c *Cap) Holds(position string, in func(set string) bool) bool {
	if c.Set == "" {
		return c.Position == position
	}
	return in(c.Set)
}

// back says when a node of the cap came back, the zero time if it has not.
func (c *Cap) back(position string) time.Time {
	for _, s := range c.Steps {
		if s.Limit.Admits(position) {
			return s.At
		}
	}
	return time.Time{}
}

// Capped gives the cap that keeps the node out of both cohorts now, nil for none.
func Capped(caps []Cap, position string, in func(set string) bool) *Cap {
	for i := range caps {
		if c := &caps[i]; !c.Over() && c.Holds(position, in) && c.back(position).IsZero() {
			return c
		}
	}
	return nil
}

// Wish is what a person's hold, pin or veto asks of one rollout now.
type Wish struct {
	Source   string // kind/name
	Set      string
	Count    int
	Position string
	// Unknown: whom it concerns cannot be told now. What stands because of it stays as it is.
	Unknown bool
}

// Caps gives a rollout's caps after what people wish now. A new cap and a larger set act at once. One whose wish is gone is
// lifted, which by itself gives nothing to anybody; a cut-out is lifted only where lifted says that a person took it back.
//
// The result is never nil, which in a Rollout stands for caps that are not known. Where nobody is admitted yet, there is
// nothing to come back to, and a lifted cap is forgotten.
func Caps(state *State, wishes []Wish, lifted func(source string) bool, now time.Time) []Cap {
	out := append([]Cap{}, state.Caps...)
	for i := range out {
		c := &out[i]
		wished := slices.ContainsFunc(wishes, func(w Wish) bool { return w.Source == c.Source() })
		switch {
		case !c.Standing():
		case c.Kind() == CapCutOut && lifted(c.Source()), c.Kind() != CapCutOut && !wished:
			c.Lifted = now
			if c.Kind() == CapAhead { // it only loses what it had before its turn
				c.Steps = []CapStep{{At: now, Limit: segments.All}}
			}
		}
	}
	for _, w := range wishes {
		if w.Unknown || w.Set == "" && w.Position == "" || strings.HasPrefix(w.Source, CapCutOut+"/") && lifted(w.Source) {
			continue
		}
		if c := standing(out, w.Source); c != nil {
			if c.Position == w.Position {
				c.Set, c.Count = w.Set, w.Count
			}
			continue
		}
		out = append(out, Cap{ID: unusedID(out, w.Source), Set: w.Set, Count: w.Count, Position: w.Position, Since: now})
	}
	if state.Phase == Waiting {
		out = slices.DeleteFunc(out, func(c Cap) bool { return !c.Standing() })
	}
	return out
}

func standing(caps []Cap, source string) *Cap {
	for i := range caps {
		if c := &caps[i]; c.Standing() && c.Source() == source {
			return c
		}
	}
	return nil
}

func unusedID(caps []Cap, source string) string {
	n := 0
	for i := range caps {
		if caps[i].Source() == source {
			n++
		}
	}
	if n == 0 {
		return source
	}
	return fmt.Sprintf("%s%s%d", source, capSerial, n+1)
}

// published gives the caps as edges need them: pins are published by name, and what is over is not published.
func published(caps []Cap) []segments.Cap {
	var out []segments.Cap
	for i := range caps {
		if c := &caps[i]; c.Set != "" && !c.Over() {
			out = append(out, segments.Cap{ID: c.ID, Set: c.Set, Limit: c.Limit()})
		}
	}
	return out
}
