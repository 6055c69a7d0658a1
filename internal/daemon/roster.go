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
	positions []string // u, sorted
	order     []int32  // whose each of them is: places in nodes
	// inv and members are what the roster was made of.
	inv     *inventory
	members string

	populations map[string]*population // by set
}

func newRoster(t *tracked, salt string, inv *inventory) *roster {
	r := &roster{nodes: t.nodes, inv: inv, members: t.Members, positions: make([]string, len(t.nodes)), order: make([]int32, len(t.nodes)), populations: map[string]*population{}}
	for i, n := range t.nodes {
		r.positions[i] = segments.Position(salt, n.certname)
		r.order[i] = int32(i)
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
	positions  []string // sorted
	admissions int      // of the state, when earlier was made
	before     int
	earlier    []string
}

// in gives who is in a set, everyone for "". A stage that began has its set; one that comes next is resolved now, by in.
func (r *roster) in(set string, state *gate.State, before int, member func(set, print string) bool) gate.Population {
	p := r.populations[set]
	if p == nil {
		p = &population{admissions: -1}
		if set == "" {
			p.positions = r.positions
		}
		for k, i := range r.order {
			if set != "" && member(set, segments.Fingerprint(r.nodes[i].certname)) {
				p.positions = append(p.positions, r.positions[k])
			}
		}
		r.populations[set] = p
	}
	if p.admissions != len(state.Admissions) || p.before != before {
		p.admissions, p.before, p.earlier = len(state.Admissions), before, nil
		if len(state.Admissions) > 0 {
			for k, i := range r.order {
				n := r.nodes[i]
				print := ""
				in := func(set string) bool {
					if print == "" {
						print = segments.Fingerprint(n.certname)
					}
					return member(set, print)
				}
				if at, stage := state.AdmittedAt(r.positions[k], in); !at.IsZero() && stage < before && (set == "" || in(set)) {
					p.earlier = append(p.earlier, r.positions[k])
				}
			}
		}
	}
	return gate.Population{Set: set, Positions: p.positions, Earlier: p.earlier}
}

// unadmitted says whether a rollout has yet to admit any node that matches.
func (r *roster) unadmitted(state *gate.State, member func(set, print string) bool, match func(*node) bool) bool {
	for k, i := range r.order {
		n := r.nodes[i]
		if !match(n) {
			continue
		}
		if at, _ := state.AdmittedAt(r.positions[k], func(set string) bool { return member(set, segments.Fingerprint(n.certname)) }); at.IsZero() {
			return true
		}
	}
	return false
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
