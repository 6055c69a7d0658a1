package gate

import (
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/segments"
)

// Reached is how far earlier stages went in the nodes of a stage's segment. It says between which nodes chance divided: not between
// those of the segment and others, nor where earlier stages of other segments went further, or less far, than in most. Too few of
// their kind would be canaries of this stage, or too many: what they are would look like what the change does.
type Reached struct {
	set    string
	target segments.Threshold
	// all is how far they went in every node of it; further are sets of theirs that went further, the furthest first.
	all     segments.Threshold
	further []Admission
}

// Elsewhere is the place of nodes outside the stage's segment.
const Elsewhere = -1

// ReachedBefore looks at a stage by its index in the state: at its Set and Target, and at the admissions of those before it.
func ReachedBefore(state *State, stage int) Reached {
	r := Reached{set: state.Stages[stage].Set, target: state.Stages[stage].Target, all: segments.None}
	far := map[string]segments.Threshold{}
	for _, a := range state.Admissions {
		switch {
		case a.Stage >= stage:
		case a.Set == "" || a.Set == r.set:
			r.all = segments.Higher(r.all, a.Threshold)
		default:
			far[a.Set] = segments.Higher(far[a.Set], a.Threshold)
		}
	}
	for set, t := range far {
		if r.all.Less(t) {
			r.further = append(r.further, Admission{Set: set, Threshold: t})
		}
	}
	slices.SortFunc(r.further, func(a, b Admission) int {
		switch {
		case b.Threshold.Less(a.Threshold):
			return -1
		case a.Threshold.Less(b.Threshold):
			return 1
		}
		return strings.Compare(a.Set, b.Set)
	})
	return r
}

// Place says where a node belongs: Elsewhere, or a number for Threshold. in answers whether it is in the set with that digest. admitted is
// the set of the stage that admitted it, "" for none: a node that came with the furthest set is not asked about the others.
func (r *Reached) Place(admitted string, in func(set string) bool) int32 {
	if r.set != "" && !in(r.set) {
		return Elsewhere
	}
	for i := range r.further {
		if r.further[i].Set == admitted && r.further[i].Threshold == r.further[0].Threshold {
			return int32(i)
		}
	}
	for i := range r.further {
		if in(r.further[i].Set) {
			return int32(i)
		}
	}
	return int32(len(r.further))
}

// Threshold is how far earlier stages went in the nodes of a place, which is not Elsewhere.
func (r *Reached) Threshold(place int32) segments.Threshold {
	if int(place) == len(r.further) {
		return r.all
	}
	return r.further[place].Threshold
}

// Peers is how far they went in the nodes that are compared: in most of those of which the stage admits some. sizes counts the
// segment's nodes by Threshold. It is "" where nobody is left to be admitted.
func (r *Reached) Peers(sizes map[segments.Threshold]int) (peers segments.Threshold) {
	for t, n := range sizes {
		if more := n - sizes[peers]; t.Less(r.target) && (more > 0 || more == 0 && t.Less(peers)) {
			peers = t
		}
	}
	return peers
}

// Compares says whether nodes of a place take part in the comparison of those whom Peers names.
func (r *Reached) Compares(place int32, peers segments.Threshold) bool {
	return place != Elsewhere && (peers == "" || r.Threshold(place) == peers)
}
