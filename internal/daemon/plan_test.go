package daemon

import (
	"fmt"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/plan"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
)

// TestPlanIsWhatHappens: who the plan says is in a stage is who the leader admits in it.
func TestPlanIsWhatHappens(t *testing.T) {
	l := newLab(t, 30).lead()
	cfg := l.l.site.cfg
	s := cfg.Schedules["three"]
	s.Stages[1].Percent = 400_000_000
	s.Stages[2].Percent = 500_000_000
	last := s.Stages[2]
	last.Name, last.Percent = "rest", 1_000_000_000
	s.Stages = append(s.Stages, last)
	cfg.Schedules["three"] = s
	r := plan.Request{Name: "ntp", Schedule: s, Segments: cfg.SegmentsOf(s), Policy: cfg.Policies["default"], Start: l.now, Run: 10 * time.Minute, List: true}
	p, err := plan.Make(r, func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error {
		return l.l.site.pdb.Inventory(l.Context(), nil, func(n puppetdb.Node) error { return add(n.Certname, n.Environment, n.Facts, n.Trusted, nil) })
	})
	l.must(err)
	l.start("ntp", "production_2")
	l.until("ntp", gate.Completed)
	state, member := l.state("ntp"), func(set, certname string) bool { return l.l.sets.member(set)(segments.Fingerprint(certname)) }
	for _, st := range state.Stages { // the leader forgets the sets of what has ended
		if st.Set != "" {
			_, err := l.l.sets.get(l.Context(), st.Set, st.Count)
			l.must(err)
		}
	}
	seen := 0
	for i, stage := range p.Stages {
		for _, certname := range stage.Certs {
			seen++
			if _, by := state.AdmittedAt(segments.Position("ntp", certname), func(set string) bool { return member(set, certname) }); by != i {
				t.Errorf("%s was admitted by stage %d, planned for %d", certname, by, i)
			}
		}
	}
	if seen != 30 || p.Stages[1].New == 0 || p.Stages[2].New == 0 || p.Stages[3].New == 0 {
		t.Errorf("planned %d nodes: %s", seen, fmt.Sprint(p.Stages))
	}
}
