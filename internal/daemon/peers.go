package daemon

import (
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// reached is how far earlier stages went, for a stage's segment.
type reached struct {
	set string
	// all is how far they went in every node of it; further are sets of theirs that went further, the furthest first.
	all     segments.Threshold
	further []gate.Admission
}

func reachedBefore(state *gate.State, stage int) reached {
	r := reached{set: state.Stages[stage].Set, all: segments.None}
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
			r.further = append(r.further, gate.Admission{Set: set, Threshold: t})
		}
	}
	slices.SortFunc(r.further, func(a, b gate.Admission) int {
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

// of says how far they went in a node: a place in further, or its length where it is in none of these. A node that was admitted
// with the furthest set is not asked about the others.
func (r *reached) of(admitted string, in func(set string) bool) int32 {
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

func (r *reached) threshold(i int32) segments.Threshold {
	if int(i) == len(r.further) {
		return r.all
	}
	return r.further[i].Threshold
}

// level leaves out of the comparison whom chance did not divide: nodes outside the stage's segment, and those of its nodes in which
// earlier stages of other segments went further, or less far, than in most. Too few of their kind would be canaries of this stage, or
// too many: what they are would look like what the change does. choose takes the most anew, as when the stage begins; fresh are nodes
// that joined since.
func (c *course) level(state *gate.State, stage int, member func(set, print string) bool, choose bool, fresh func(i int) bool) {
	const outside = -1
	r, target := reachedBefore(state, stage), state.Stages[stage].Target
	at, sizes := make([]int32, len(c.nodes)), map[segments.Threshold]int{}
	for i := range c.nodes {
		if !choose && !fresh(i) {
			continue
		}
		n, print := &c.nodes[i], ""
		in := func(set string) bool {
			if print == "" {
				print = segments.Fingerprint(n.Certname)
			}
			return member(set, print)
		}
		if at[i] = outside; r.set != "" && !in(r.set) {
			continue
		}
		admitted := ""
		if n.Stage >= 0 {
			admitted = state.Stages[n.Stage].Set
		}
		at[i] = r.of(admitted, in)
		sizes[r.threshold(at[i])]++
	}
	if choose {
		c.peers = ""
		for t, n := range sizes {
			if more := n - sizes[c.peers]; t.Less(target) && (more > 0 || more == 0 && t.Less(c.peers)) {
				c.peers = t
			}
		}
	}
	for i := range c.nodes {
		if choose || fresh(i) {
			c.nodes[i].Outside = at[i] == outside || c.peers != "" && r.threshold(at[i]) != c.peers
		}
	}
}
