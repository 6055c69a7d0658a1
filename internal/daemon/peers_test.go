package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// peersLab is a rollout in its second stage, of 200 web nodes and as many others, of two sites.
func peersLab(first, second string, reached, target uint64) *strataLab {
	s := newStrataLab(400)
	share := func(of uint64) segments.Threshold { return segments.FromShare(segments.Billion / 100 * of) }
	began := t0.Add(90 * time.Minute)
	s.state.Stages = []gate.StageState{{Set: first, Since: t0.Add(time.Hour), Threshold: share(reached), Target: share(reached)}, {Set: second, Since: began, Threshold: share(target), Target: share(target)}}
	s.state.Admissions = []gate.Admission{{At: t0.Add(time.Hour), Set: first, Threshold: share(reached)}, {At: began, Stage: 1, Set: second, Threshold: share(target)}}
	return s
}

// outside says who is left out of a look, by role and site.
func (s *strataLab) outside() (got map[string]int) {
	is := map[string]string{}
	for _, n := range s.inv.nodes {
		is[segments.Fingerprint(n.certname)] = fmt.Sprint(n.enc["role"], " ", n.enc["site"])
	}
	in := func(set, print string) bool {
		return set == is[print] || set+" site0" == is[print] || set+" site1" == is[print]
	}
	c := s.ledger.follow(s.spec, s.state, newRoster(&tracked{nodes: s.inv.nodes}, s.spec.Salt, s.inv), 24*time.Hour, in)
	got = map[string]int{}
	for _, n := range c.nodes {
		if n.Outside {
			got[is[segments.Fingerprint(n.Certname)]]++
		}
	}
	return got
}

// TestOnlyNodesThatChanceDivided: where stages of other segments went further than this one in some of its nodes, these are
// compared with nobody, whether they have the change or not: all that the stage admits would be of another kind than they.
func TestOnlyNodesThatChanceDivided(t *testing.T) {
	for _, c := range []struct {
		name            string
		first, second   string
		reached, target uint64
		want            map[string]int
	}{
		{"half of the web nodes, then a fifth of all", "web", "", 50, 20, map[string]int{"web site0": 100, "web site1": 100}},
		{"a tenth of the web nodes, then a fifth of all", "web", "", 10, 20, map[string]int{"web site0": 100, "web site1": 100}},
		{"a tenth of all, then a fifth", "", "", 10, 20, map[string]int{}},
		{"a tenth of all, then a fifth of the web nodes", "", "web", 10, 20, map[string]int{"db site0": 100, "db site1": 100}},
		{"a tenth of the web nodes, then a fifth of theirs in one site", "web", "web site0", 10, 20, map[string]int{"web site1": 100, "db site0": 100, "db site1": 100}},
		{"a tenth of one site's web nodes, then half of theirs all", "web site0", "web", 10, 50, map[string]int{"web site0": 100, "db site0": 100, "db site1": 100}},
		{"all web nodes, then half of the others", "web", "db", 100, 50, map[string]int{"web site0": 100, "web site1": 100}},
		{"all web nodes, then the rest", "web", "", 100, 100, map[string]int{"web site0": 100, "web site1": 100}},
	} {
		s := peersLab(c.first, c.second, c.reached, c.target)
		if got := s.outside(); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: outside are %v, want %v", c.name, got, c.want)
		}
	}
}

// TestPeersAreNodesThatTheStageAdmits: most nodes are web nodes, of which stages before went further than this one ever will.
func TestPeersAreNodesThatTheStageAdmits(t *testing.T) {
	s := peersLab("web", "", 50, 20)
	s.inv.nodes = slices.DeleteFunc(s.inv.nodes, func(n *node) bool { return n.enc["role"] == "db" && n.certname > "n0200" })
	if got := fmt.Sprint(s.outside()); got != "map[web site0:100 web site1:100]" {
		t.Errorf("outside are %s", got)
	}
}

// TestPeersStayForTheStage: nodes that come, and most of the others that leave, do not change who is compared.
func TestPeersStayForTheStage(t *testing.T) {
	s := peersLab("web", "", 10, 20)
	s.outside()
	var rest []*node
	for i, n := range s.inv.nodes {
		if n.enc["role"] == "web" || i < 100 {
			rest = append(rest, n)
		}
	}
	s.inv = &inventory{nodes: append(rest, roleNode(400), roleNode(402), roleNode(401))}
	if got := fmt.Sprint(s.outside()); got != "map[web site0:101 web site1:101]" {
		t.Errorf("outside are %s", got)
	}
	saved, err := read(t, fileOf(t, s.ledger))
	if err != nil {
		t.Fatal(err)
	}
	if c := saved.takeSaved(s.spec, s.state); c == nil || c.peers != segments.None {
		t.Errorf("the next leader reads %+v", c.peers)
	}
}
