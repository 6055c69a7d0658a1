package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

// Stratum is nodes that are compared with each other only.
type Stratum struct {
	Name string `json:"name"` // the values of the policy's attributes, such as web/fra1
	New  int    `json:"new"`  // nodes of it that the stage adds
}

// strata keeps the values of the attributes by which policies tell nodes apart.
type strata struct {
	attributes []string
	values     map[string]string // each value once
}

// newStrata collects the attributes of all policies of a schedule.
func newStrata(r Request) *strata {
	s := &strata{values: map[string]string{}}
	spec := gate.Spec{Schedule: r.Schedule, Policy: r.Policy, Policies: r.Policies}
	for i := range r.Schedule.Stages {
		for _, name := range spec.PolicyOf(i).Strata {
			if !slices.Contains(s.attributes, name) {
				s.attributes = append(s.attributes, name)
			}
		}
	}
	return s
}

// of gives a node's values, in the order of attributes.
func (s *strata) of(attributes func(name string) string) []string {
	if len(s.attributes) == 0 {
		return nil
	}
	out := make([]string, len(s.attributes))
	for i, name := range s.attributes {
		v := attributes(name)
		if _, known := s.values[v]; !known {
			s.values[v] = v
		}
		out[i] = s.values[v]
	}
	return out
}

// unknown names attributes that only the ENC knows, where no node has ENC data.
func (s *strata) unknown(seenENC bool) []string {
	return slices.DeleteFunc(slices.Clone(s.attributes), func(name string) bool { return seenENC || !strings.HasPrefix(name, "enc.") })
}

// compare counts whom the judge has at the end of stage i. Whom it compares, and in which strata, is decided when a stage begins.
func (f *fleet) compare(s *Stage, i int, policy analyzer.Policy, a *admissions) {
	parts := f.parts(&a.state, i)
	at := make([]int, len(policy.Strata))
	for j, name := range policy.Strata {
		at[j] = slices.Index(f.strata.attributes, name)
	}
	keyOf := func(n *member) string {
		values := make([]string, len(at))
		for j := range at {
			values[j] = n.strata[at[j]]
		}
		return analyzer.StratumKey(values)
	}
	eligible, fresh, control := map[string]int{}, map[string]int{}, map[string]int{}
	for n := range f.nodes {
		m, by := &f.nodes[n], a.by[n]
		part := parts[m.kind]
		switch {
		case part == elsewhere:
			continue
		case by > i:
			s.Control++
		case part == even:
			s.Answers++
		case by == i:
			s.Uneven++
		}
		if part == uneven || by < i {
			continue
		}
		key := keyOf(m)
		eligible[key]++
		if by == i {
			fresh[key]++
		} else {
			control[key]++
		}
	}
	merged := map[string][2]int{}
	for key, name := range analyzer.MergeStrata(eligible, len(at), analyzer.LeastInStratum) {
		both := merged[name]
		merged[name] = [2]int{both[0] + fresh[key], both[1] + control[key]}
	}
	for name, n := range merged {
		switch {
		case n[0] > 0 && n[1] > 0:
			s.Canaries, s.Compared = s.Canaries+n[0], s.Compared+n[1]
		case n[0] > 0:
			s.Bare = append(s.Bare, Stratum{name, n[0]})
		}
	}
	slices.SortFunc(s.Bare, func(a, b Stratum) int { return strings.Compare(a.Name, b.Name) })
}

// mostBare caps the strata that a warning names.
const mostBare = 5

// warnControl tells of stages in which nothing, or not everything, can be compared. The first stage may be all canaries, and the last
// one takes everybody unless there is a holdback.
func (p *Plan) warnControl(s Stage, r Request, i int) {
	stage, last := r.Schedule.Stages[i], i == len(p.Stages)-1
	held := r.Schedule.HoldbackFor(p.Nodes)
	whole := stage.Nodes == 0 && stage.Percent == schedule.Hundred
	switch {
	case s.New == 0:
		return
	case stage.Pass == schedule.PassCertified && s.Compared < analyzer.LeastControls:
		p.add(s.Stage, "asks for a certified pass and leaves %d nodes to compare with, of %d that it takes: it does not end", s.Compared, analyzer.LeastControls)
		return
	case stage.Pass == schedule.PassCertified && s.Answers < p.toCertify(r, i):
		p.add(s.Stage, "asks for a certified pass of %d nodes, and it takes %d with no event at all: it does not end", s.Answers, p.toCertify(r, i))
		return
	case i == 0 && whole && stage.Segment != "", last && held == 0:
		return
	case s.Control == 0 && held > 0 && whole:
		p.add(s.Stage, "the holdback of %s keeps none of its %d nodes: no control is left, so the pass can only be clean", held, s.Of)
	case s.Control == 0 && whole && stage.Segment != "": // Schedule.Lint says so
	case s.Control == 0:
		p.add(s.Stage, "leaves no control in %s: what it shows has nothing to be compared with", orEveryone(stage.Segment))
	case len(s.Bare) > 0:
		nodes, names := 0, []string{}
		for k, b := range s.Bare {
			if nodes += b.New; k < mostBare {
				names = append(names, fmt.Sprintf("%s (%d)", b.Name, b.New))
			}
		}
		if len(s.Bare) > mostBare {
			names = append(names, "…")
		}
		p.add(s.Stage, "leaves no control in %d strata, whose %d nodes are compared with nobody: %s", len(s.Bare), nodes, strings.Join(names, ", "))
	}
}

// warnUneven tells of stages with controls most of whose nodes are compared with none. Some are in most schedules that end with everyone.
func (p *Plan) warnUneven(s Stage) {
	if 2*s.Uneven > s.New && s.Control > 0 {
		p.add(s.Stage, "%d of the %d nodes that it adds are compared with nobody: in them earlier stages of other segments went further, or less far, than in most of %s", s.Uneven, s.New, orEveryone(s.Segment))
	}
}

// toCertify is how many nodes with the change the stage's certificate takes.
func (p *Plan) toCertify(r Request, i int) int {
	ask, asks := r.Schedule.Asks(i)
	spec := gate.Spec{Schedule: r.Schedule, Policy: r.Policy, Policies: r.Policies}
	return spec.PolicyOf(i).NodesToCertify(p.Nodes, p.Stages[i].Compared, ask, asks)
}

func orEveryone(segment string) string {
	if segment == "" {
		return "the fleet"
	}
	return "segment " + segment
}
