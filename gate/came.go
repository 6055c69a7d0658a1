package gate

import (
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// Came counts nodes of a stage for everyone that are there under names that were not there when its nodes were counted.
type Came struct {
	Segment  int `json:"segment,omitzero"`  // since Count was taken
	Admitted int `json:"admitted,omitzero"` // since Admitted was taken, those below Threshold
}

// Coming finds them out for one rollout, by one leader. What an earlier leader found is a number in the state; from its own first look on this
// one knows who they are. The zero value has looked at nothing yet.
type Coming struct {
	was               []segments.Point
	segment, admitted turned
}

// turned is what has changed since nodes were counted.
type turned struct {
	known        bool
	stage, steps int // of the state: when that was
	recounted    time.Time
	before       int              // who came under earlier leaders
	came, left   []segments.Point // sorted
}

// Look takes the state and u of the track's nodes that are there now, sorted, which nobody may change later. The state's counts, where they
// are new, are those of the nodes of the look before. Of a state that is older, as in a restored store, it knows no more than its number.
func (c *Coming) Look(state *State, now []segments.Point) (out Came) {
	if c.was == nil {
		c.was = now
	}
	was := c.was
	c.was = now
	i := state.Current()
	if !state.Phase.Active() || state.Stages[i].Set != "" {
		c.segment, c.admitted = turned{}, turned{}
		return Came{}
	}
	st := &state.Stages[i]
	out.Segment = c.segment.since(turned{stage: i, recounted: st.Recounted, before: st.Came.Segment}, was, now, segments.All)
	out.Admitted = c.admitted.since(turned{stage: i, steps: len(state.Admissions), recounted: st.Recounted, before: st.Came.Admitted}, was, now, st.Threshold)
	return out
}

// since counts who came, below a threshold; counted says when the nodes were counted.
func (t *turned) since(counted turned, was, now []segments.Point, limit segments.Threshold) int {
	if !t.known || t.stage != counted.stage || t.steps != counted.steps || !t.recounted.Equal(counted.recounted) {
		*t, t.known = counted, true
	}
	if same := len(was) == len(now) && (len(was) == 0 || &was[0] == &now[0]); !same {
		gone, fresh := without(was, now), without(now, was)
		came, left := append(without(t.came, gone), without(fresh, t.left)...), append(without(t.left, fresh), without(gone, t.came)...)
		slices.Sort(came)
		slices.Sort(left)
		t.came, t.left = came, left
	}
	return t.before + below(t.came, limit)
}

// without gives the points of a that are not in b; both are sorted.
func without(a, b []segments.Point) (out []segments.Point) {
	k := 0
	for _, p := range a {
		for k < len(b) && b[k] < p {
			k++
		}
		if k == len(b) || b[k] != p {
			out = append(out, p)
		}
	}
	return out
}
