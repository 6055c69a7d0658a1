package gate

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// keptBackOuts is how many backed-out rollouts of a track stay in the document, so that an edge that missed one
// hears of it.
const keptBackOuts = 5

// KeepAlive is how old a document may get before it is published again unchanged: an edge saves up its
// speed limit since the last document it accepted, and should never have more than an hour's worth.
const KeepAlive = 30 * time.Minute

// buildDocument writes down what the states mean for the edges.
func buildDocument(w World, tracks []segments.Track, states []State) segments.Document {
	d := segments.Document{Format: segments.Format, Epoch: w.Document.Epoch, Tracks: tracks, Sets: map[string]int{}}
	use := func(set string) {
		if set != "" {
			d.Sets[set] = w.Sets[set]
		}
	}
	for _, t := range tracks {
		use(t.Members)
	}
	backedOut := map[string]int{}
	for i := len(states) - 1; i >= 0; i-- {
		spec, st := &w.Rollouts[i].Spec, states[i]
		r := segments.Rollout{Name: spec.Name, Track: spec.Track, Candidate: spec.Candidate, Parameters: spec.Parameters}
		if spec.Salt != spec.Name {
			r.Salt = spec.Salt
		}
		switch {
		case st.Phase.Active():
			r.Stages = publishedStages(st.Stages)
			for _, stage := range r.Stages {
				use(stage.Set)
			}
			r.Caps = published(st.Caps)
			for _, c := range r.Caps {
				use(c.Set)
			}
		case st.Phase == Waiting:
			// Named without a stage it admits nobody, and the edges say whether they have its code.
		case st.Phase == BackedOut && len(st.Stages) > 0 && backedOut[spec.Track] < keptBackOuts:
			backedOut[spec.Track]++
			r.BackedOut = true
		default:
			continue
		}
		d.Rollouts = append(d.Rollouts, r)
	}
	slices.Reverse(d.Rollouts)
	return d
}

// publishedStages says what edges need of stages that have begun: one line for all of the same nodes, however many steps a schedule takes
// over them, with the furthest threshold and the name of the first. An edge may know a stage by its name alone, so the line goes on for it where the
// next of those stages begins. Neither the set of a stage nor the order of stages ever changes, and no threshold falls.
func publishedStages(begun []StageState) (out []segments.Stage) {
	for _, st := range begun {
		i := slices.IndexFunc(out, func(o segments.Stage) bool { return o.Set == st.Set })
		if i < 0 {
			out = append(out, segments.Stage{Name: st.Name, Set: st.Set, Threshold: st.Threshold})
			continue
		}
		out[i].Threshold = segments.Higher(out[i].Threshold, st.Threshold)
	}
	return out
}

// differs compares two documents without what every new one has anew.
func differs(a, b segments.Document) bool {
	for _, d := range []*segments.Document{&a, &b} {
		d.Generation, d.Written = 0, time.Time{}
		if len(d.Sets) == 0 {
			d.Sets = nil
		}
	}
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX != nil || errY != nil || string(x) != string(y)
}
