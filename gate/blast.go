package gate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// BlastRule bounds how many nodes have, over all rollouts together, a change that is not past its bake on them. Its zero value
// bounds nothing.
type BlastRule struct {
	Limit       *schedule.Amount // of the nodes on all tracks
	By          string           // attribute whose values are domains
	DomainLimit *schedule.Amount // of the nodes of each domain
}

// Shared are nodes of one rollout on which the change of another is not past its bake.
type Shared struct {
	Positions []segments.Point // u by the first one's salt, sorted
	Names     []string         // whose they are
}

// Unshown are the nodes of a rollout that have yet to show its change: those of the current stage, and of the ones before it that a person
// ordered to leave whatever they had shown. Stages tell them apart, and times only those who came back from a cap, since leaders' clocks differ.
type Unshown struct {
	stage int       // the first of those stages
	since time.Time // the earliest start of them
}

// Unshown says whose turn it is to show the change. The state has a stage.
func (s *State) Unshown() Unshown {
	i := s.Current()
	for i > 0 && s.Stages[i-1].Verdict == "" {
		i--
	}
	u := Unshown{i, s.Stages[i].Since}
	for _, st := range s.Stages[i:] {
		if st.Since.Before(u.since) {
			u.since = st.Since
		}
	}
	return u
}

// Has says it of a node that stage admitted at a time.
func (u Unshown) Has(at time.Time, stage int) bool {
	return !at.IsZero() && (stage >= u.stage || !at.Before(u.since))
}

// peer is another rollout that is under way, as it is after this decision so far.
func (s *stepper) peer(k int) *stepper {
	return &stepper{w: s.w, r: &s.w.Rollouts[k], state: s.after[k], after: s.after, index: k, decision: s.decision}
}

// proven says whether the current stage has shown all that it has to show: nobody waits for its nodes.
func (s *stepper) proven() bool {
	var gates []Gate
	switch i := s.state.Current(); {
	case s.state.Phase == Settling && s.withheld():
		return false
	case s.state.Phase == Settling: // a stage that was left by an order may have admitted nodes just before
		st, last := s.state.Stages[i], s.state.returned()
		if added := !st.Skipped || st.Full.After(st.Since); added && st.Full.After(last) {
			last = st.Full
		}
		if s.w.Now.Before(last.Add(time.Duration(s.r.Spec.Schedule.Stages[i].Bake.Time))) {
			return false
		}
		gates = []Gate{s.stragglersGate(false)}
	case i < 0 || s.state.Stages[i].Full.IsZero():
		return false
	default:
		gates = []Gate{s.coverageGate(), s.bakeGate(), s.verdictGate()}
	}
	return !slices.ContainsFunc(gates, func(g Gate) bool { return !g.Open })
}

// moved says whether the rollout has admitted anybody by this decision: what was found out about its nodes is older than that.
func (s *stepper) moved() bool {
	was := &s.r.State
	steps := func(caps []Cap) (n int) {
		for i := range caps {
			n += len(caps[i].Steps)
		}
		return n
	}
	return len(s.state.Admissions) != len(was.Admissions) || len(s.state.Stages) != len(was.Stages) || steps(s.state.Caps) != steps(was.Caps) || s.state.Phase != was.Phase
}

// unprovenGate keeps a node from taking two unproven changes at a time: whoever of p comes next, between two thresholds, must
// be past the bake of every other rollout that admitted it.
func (s *stepper) unprovenGate(p Population, from, to segments.Threshold) Gate {
	for k := range s.w.Rollouts {
		o := s.peer(k)
		name := o.r.Spec.Name
		if k == s.index || o.r.Spec.Track != s.r.Spec.Track || !o.state.Phase.Active() {
			continue
		}
		if o.moved() {
			return closed(GateUnproven, "rollout "+name, "%s has admitted nodes just now; looked at again at once", name).is("", 0)
		}
		if o.proven() {
			continue
		}
		shared, known := s.r.Shared[name]
		if !known {
			return closed(GateUnproven, "rollout "+name, "which nodes have the change of %s, unproven, is not known", name).is("", 0)
		}
		if n, some := shared.among(p, from, to); n > 0 {
			return closed(GateUnproven, "rollout "+name, "%d %s next (%s) %s the change of %s, which is not past its bake on %s", n, agree(n, "node that comes", "nodes that come"), strings.Join(some, ", "), agree(n, "has", "have"), name, agree(n, "it", "them")).is(n, 0)
		}
	}
	return opened(GateUnproven, "no node that comes next has another change that is not past its bake").is(0, 0)
}

// among counts the nodes that are in p, between two thresholds, and that no earlier stage of p has.
func (sh Shared) among(p Population, from, to segments.Threshold) (n int, some []string) {
	for i := below(sh.Positions, from); i < below(sh.Positions, to); i++ {
		if u := sh.Positions[i]; !holds(p.Positions, u) || holds(p.Earlier, u) {
			continue
		}
		if n++; n <= 5 {
			some = append(some, sh.Names[i])
		}
	}
	if n > len(some) {
		some = append(some, "…")
	}
	return n, some
}

func holds(sorted []segments.Point, u segments.Point) bool {
	_, found := slices.BinarySearch(sorted, u)
	return found
}

// allowance is how many nodes may be admitted next before a limit on unproven change is passed.
type allowance struct {
	room      int
	why       string // which limit stands in the way of more, "" for none
	has, most int    // nodes that have an unproven change, and that may, by that limit
	bounded   bool   // false: the site sets no limit
	known     bool   // false: who may next cannot be told, and has and most say nothing
}

// blastRoom is for the nodes of p between two thresholds, in the order of their positions.
func (s *stepper) blastRoom(p Population, from, to segments.Threshold) allowance {
	rule := s.w.Blast
	if rule.Limit == nil && rule.DomainLimit == nil {
		return allowance{}
	}
	if rule.DomainLimit != nil && len(p.Domains) != len(p.Positions) {
		return allowance{why: "the domains of the nodes that come next are not known", bounded: true}
	}
	total, by, who := s.unproven()
	fleet, room := s.fleet(), 0
	for i := below(p.Positions, from); i < below(p.Positions, to); i++ {
		if holds(p.Earlier, p.Positions[i]) {
			continue
		}
		if rule.Limit != nil && total+1 > rule.Limit.Of(fleet) {
			most := rule.Limit.Of(fleet)
			return allowance{room, fmt.Sprintf("%s %s an unproven change (%s), at most %d of %d may", count(total, "node"), agree(total, "has", "have"), who, most, fleet), total, most, true, true}
		}
		if rule.DomainLimit != nil {
			d := p.Domains[i]
			if most := rule.DomainLimit.Of(s.w.Domains[d]); by[d]+1 > most {
				return allowance{room, fmt.Sprintf("%s of %s=%q %s an unproven change (%s), at most %d of %d may", count(by[d], "node"), rule.By, d, agree(by[d], "has", "have"), who, most, s.w.Domains[d]), by[d], most, true, true}
			}
			by[d]++
		}
		total++
		room++
	}
	return allowance{room: room, bounded: true, known: true}
}

// fleet counts the nodes of all tracks.
func (s *stepper) fleet() (nodes int) {
	for _, t := range s.w.Tracks {
		nodes += t.Nodes
	}
	return nodes
}

// unproven counts the nodes on which a change is not past its bake, over all rollouts, and per domain.
func (s *stepper) unproven() (total int, by map[string]int, who string) {
	by = map[string]int{}
	var names []string
	for k := range s.w.Rollouts {
		o := s.peer(k)
		if k == s.index {
			o.state = s.state
		}
		if !o.state.Phase.Active() || o.proven() {
			continue
		}
		n := 0
		for d, count := range o.r.Unproven {
			by[d] += count
			n += count
		}
		if total += n; n > 0 {
			names = append(names, fmt.Sprintf("%d of %s", n, o.r.Spec.Name))
		}
	}
	if len(names) == 0 {
		return total, by, "no rollout has any"
	}
	return total, by, strings.Join(names, ", ")
}

// blastGate keeps the unproven change of all rollouts together within what the site allows.
func (s *stepper) blastGate(p Population, from, to segments.Threshold) Gate {
	a := s.blastRoom(p, from, to)
	if !a.bounded {
		return opened(GateBlast, "the site sets no limit on unproven change")
	}
	for k := range s.w.Rollouts {
		if o := s.peer(k); k != s.index && o.state.Phase.Active() && o.moved() {
			return closed(GateBlast, "blast", "%s has admitted nodes just now; looked at again at once", o.r.Spec.Name)
		}
	}
	if !a.known {
		return closed(GateBlast, "blast", "%s", a.why)
	}
	if a.room == 0 && a.why != "" {
		return closed(GateBlast, "blast", "%s", a.why).is(a.has, a.most)
	}
	g := opened(GateBlast, "%s may have an unproven change", count(a.room, "more node"))
	if rule := s.w.Blast; rule.Limit != nil {
		total, _, _ := s.unproven()
		return g.is(total, rule.Limit.Of(s.fleet()))
	}
	return g // each domain has its own
}

// within is the threshold up to which p may be admitted with a room of its own and that of the limits on unproven change. Where those
// do not stand in the way, as where nobody is left, it is not their room that counts.
func (s *stepper) within(p Population, from, to segments.Threshold, room int) segments.Threshold {
	if a := s.blastRoom(p, from, to); a.why != "" {
		room = min(room, a.room)
	}
	return p.more(from, to, room)
}
