package daemon

import (
	"slices"
	"sort"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// roster is the nodes of a rollout's track in the order of their names, with their positions. It stands as long as the
// inventory and the track do.
type roster struct {
	nodes     []*node
	positions []segments.Point // u, sorted
	order     []int32          // whose each of them is: places in nodes
	// inv and members are what the roster was made of.
	inv     *inventory
	members string

	populations map[string]*population // by set
}

func newRoster(t *tracked, salt string, inv *inventory) *roster {
	r := &roster{nodes: t.nodes, inv: inv, members: t.Members, positions: make([]segments.Point, len(t.nodes)), order: make([]int32, len(t.nodes)), populations: map[string]*population{}}
	for i, n := range t.nodes {
		r.positions[i], r.order[i] = segments.PointOf(salt, n.certname), int32(i)
	}
	sort.Sort((*byPosition)(r))
	return r
}

// byPosition sorts positions, and with them whose they are.
type byPosition roster

func (r *byPosition) Len() int           { return len(r.order) }
func (r *byPosition) Less(a, b int) bool { return r.positions[a] < r.positions[b] }
func (r *byPosition) Swap(a, b int) {
	r.positions[a], r.positions[b] = r.positions[b], r.positions[a]
	r.order[a], r.order[b] = r.order[b], r.order[a]
}

// population is the members of a stage's set, and what was worked out about them.
type population struct {
	positions  []segments.Point // sorted
	kept       []segments.Point // sorted; members that are not among them, because a cap keeps them
	caps       string           // capsKey of what this was made of
	admissions int              // of earlier stages, when earlier was made
	before     int
	earlier    []segments.Point
}

// in gives who is in a set, everyone for "". A stage that began has its set; one that comes next is resolved now, by in.
func (r *roster) in(set string, state *gate.State, before int, member func(set, print string) bool) gate.Population {
	p := r.populations[set]
	if caps := capsKey(state.Caps); p == nil || p.caps != caps {
		p = r.population(set, state.Caps, member)
		p.caps = caps
		r.populations[set] = p
	}
	if n := admissionsBefore(state, before); p.admissions != n || p.before != before {
		p.admissions, p.before = n, before
		p.earlier = r.earlier(p, set, state, before, member)
	}
	return gate.Population{Set: set, Positions: p.positions, Earlier: p.earlier, Kept: p.kept}
}

// admissionsBefore counts the steps of the stages before one.
func admissionsBefore(state *gate.State, before int) int {
	n := 0
	for _, a := range state.Admissions {
		if a.Stage < before {
			n++
		}
	}
	return n
}

// earlier gives the members that stages before this one admitted. Below the threshold for everyone that is all of them; of the
// others only those below a threshold of some set are looked at.
func (r *roster) earlier(p *population, set string, state *gate.State, before int, member func(set, print string) bool) []segments.Point {
	everyone, furthest := segments.None, segments.None
	for _, a := range state.Admissions {
		if a.Stage >= before {
			continue
		}
		furthest = segments.Higher(furthest, a.Threshold)
		if a.Set == "" {
			everyone = segments.Higher(everyone, a.Threshold)
		}
	}
	out := slices.Clip(p.positions[:segments.AllBelow(p.positions, everyone)])
	for k := r.below(everyone); k < r.below(furthest); k++ {
		n, print := r.nodes[r.order[k]], ""
		in := func(set string) bool {
			if print == "" {
				print = segments.Fingerprint(n.certname)
			}
			return member(set, print)
		}
		if at, stage := state.AdmittedAt(r.positions[k].String(), in); !at.IsZero() && stage < before && (set == "" || in(set)) {
			out = append(out, r.positions[k])
		}
	}
	return out
}

// below counts the nodes below a threshold.
func (r *roster) below(t segments.Threshold) int { return segments.AllBelow(r.positions, t) }

// population gives the members of a set, without those that a cap keeps.
func (r *roster) population(set string, caps []gate.Cap, member func(set, print string) bool) *population {
	p := &population{admissions: -1}
	if set == "" && len(caps) == 0 {
		p.positions = r.positions
		return p
	}
	for k, i := range r.order {
		print := segments.Fingerprint(r.nodes[i].certname)
		in := func(set string) bool { return member(set, print) }
		switch {
		case set != "" && !in(set):
		case gate.Capped(caps, r.positions[k].String(), in) != nil:
			p.kept = append(p.kept, r.positions[k])
		default:
			p.positions = append(p.positions, r.positions[k])
		}
	}
	return p
}

// roster gives a rollout's nodes, as they were at the last look where nothing has changed.
func (l *leader) roster(name, salt string, t *tracked, inv *inventory) *roster {
	r := l.rosters[name]
	if r != nil && r.inv == inv && r.members == t.Members && len(r.nodes) == len(t.nodes) {
		return r
	}
	if r != nil && slices.EqualFunc(r.nodes, t.nodes, func(a, b *node) bool { return a == b || a.certname == b.certname }) {
		// The same nodes with newer facts: what was worked out by name stands.
		r.nodes, r.inv, r.members = t.nodes, inv, t.Members
		return r
	}
	r = newRoster(t, salt, inv)
	l.rosters[name] = r
	return r
}

// resolution remembers whom a segment had, for as long as the inventory stands.
type resolution struct {
	rollout string
	inv     *inventory
	roster  *roster
	set     segments.Set
}
