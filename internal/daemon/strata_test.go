package daemon

import (
	"fmt"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// strataLab is a rollout in a stage of web nodes, compared by role and site.
type strataLab struct {
	inv    *inventory
	ledger *ledger
	spec   *gate.Spec
	state  *gate.State
}

const webSet = "web"

func newStrataLab(n int) *strataLab {
	s := &strataLab{inv: &inventory{}}
	for i := range n {
		s.inv.nodes = append(s.inv.nodes, roleNode(i))
	}
	policy := analyzer.DefaultPolicy()
	policy.Strata = []string{"enc.role", "enc.site"}
	s.spec = &gate.Spec{Name: "ntp", Candidate: "production_2", Salt: "ntp", Policy: policy}
	tenth := segments.FromShare(segments.Billion / 10)
	s.state = &gate.State{Phase: gate.Running, Stages: []gate.StageState{{Name: "web", Set: webSet, Since: t0.Add(time.Hour), Threshold: tenth, Target: segments.FromShare(segments.Billion / 2)}},
		Admissions: []gate.Admission{{At: t0.Add(time.Hour), Set: webSet, Threshold: tenth}}}
	s.ledger = newLedger(func() time.Time { return t0.Add(2 * time.Hour) })
	return s
}

func roleNode(i int) *node {
	return &node{certname: fmt.Sprintf("n%04d.example.test", i), said: &said{enc: map[string]any{"role": []string{"web", "db"}[i%2], "site": fmt.Sprint("site", i/2%2)}, encKnown: true}}
}

// follow is a look with the inventory as it is.
func (s *strataLab) follow() map[string]analyzer.Node {
	web := map[string]bool{}
	for _, n := range s.inv.nodes {
		web[segments.Fingerprint(n.certname)] = n.enc["role"] == "web"
	}
	r := newRoster(&tracked{nodes: s.inv.nodes}, s.spec.Salt, s.inv)
	c := s.ledger.follow(s.spec, s.state, r, 24*time.Hour, func(_, print string) bool { return web[print] })
	out := map[string]analyzer.Node{}
	for _, n := range c.nodes {
		out[n.Certname] = n
	}
	return out
}

func (s *strataLab) same(t *testing.T, what string, want, got map[string]analyzer.Node) {
	t.Helper()
	wrong := 0
	for name, w := range want {
		g, there := got[name]
		if there && (g.Stratum != w.Stratum || g.Outside != w.Outside) {
			if wrong++; wrong == 1 {
				t.Errorf("%s: %s is in stratum %q (outside: %t), was in %q (%t)", what, name, g.Stratum, g.Outside, w.Stratum, w.Outside)
			}
		}
	}
	if wrong > 1 {
		t.Errorf("%s: so are %d others", what, wrong-1)
	}
}

// TestStrataOutlastNodesThatComeAndGo: who is compared with whom is fixed when a stage begins. A node that joins is put beside
// its like.
func TestStrataOutlastNodesThatComeAndGo(t *testing.T) {
	s := newStrataLab(400)
	want := s.follow()
	seen := map[string]bool{}
	outside := 0
	for _, n := range want {
		seen[n.Stratum] = true
		if n.Outside {
			outside++
		}
	}
	if !seen["web/site0"] || !seen["web/site1"] || outside != 200 {
		t.Fatalf("strata %v, %d nodes outside: want web by site, and 200 outside", seen, outside)
	}
	s.inv = &inventory{nodes: append(s.inv.nodes[10:len(s.inv.nodes):len(s.inv.nodes)], roleNode(400), roleNode(401))}
	got := s.follow()
	s.same(t, "ten nodes left and two came", want, got)
	for i, stratum := range map[int]string{400: "web/site0"} {
		n := got[roleNode(i).certname]
		if n.Stratum != stratum || n.Outside {
			t.Errorf("%s is in stratum %q (outside: %t), want %q", n.Certname, n.Stratum, n.Outside, stratum)
		}
	}
	if n := got[roleNode(401).certname]; !n.Outside && !n.Admitted() {
		t.Errorf("%s of another role is taken for a control", n.Certname)
	}
}

// TestStrataAreTheSameForTheNextLeader: which strata are merged must not depend on how many nodes the stage has taken by
// the time a leader begins.
func TestStrataAreTheSameForTheNextLeader(t *testing.T) {
	s := newStrataLab(240) // 60 web nodes in each site
	want := s.follow()
	half := segments.FromShare(segments.Billion / 2)
	s.state.Stages[0].Threshold = half
	s.state.Admissions = append(s.state.Admissions, gate.Admission{At: t0.Add(90 * time.Minute), Set: webSet, Threshold: half})
	s.same(t, "the same leader", want, s.follow())
	s.ledger = newLedger(func() time.Time { return t0.Add(2 * time.Hour) })
	s.same(t, "the next leader", want, s.follow())
}
