package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
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

// TestPlanComparesWhomTheLeaderCompares: the numbers of canaries and controls that plan gives are those of the leader's own course, at the
// end of each stage of any schedule over segments that overlap.
func TestPlanComparesWhomTheLeaderCompares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStrataLab(0)
		held := schedule.Percent(rapid.SampledFrom([]int{0, 10}).Draw(t, "holdback")) * schedule.Hundred / 100
		r := plan.Request{Name: s.spec.Salt, Schedule: schedule.Schedule{Holdback: &held}, Policy: s.spec.Policy, Start: t0, Run: 10 * time.Minute, Segments: map[string]gate.Segment{}}
		names := []string{"a", "b", "c"}
		for i := range rapid.IntRange(10, 300).Draw(t, "nodes") {
			n := roleNode(i)
			for _, name := range names {
				n.enc[name] = rapid.Bool().Draw(t, name)
			}
			s.inv.nodes = append(s.inv.nodes, n)
		}
		for _, name := range names {
			r.Segments[name] = gate.Segment{Selector: "{enc." + name + `="true"}`}
		}
		for i := range rapid.IntRange(1, 5).Draw(t, "stages") {
			r.Schedule.Stages = append(r.Schedule.Stages, schedule.Stage{Name: fmt.Sprint("s", i), Segment: rapid.SampledFrom(append(names, "")).Draw(t, "segment"),
				Percent: schedule.Percent(rapid.IntRange(1, 10).Draw(t, "tenths")) * schedule.Hundred / 10})
		}
		p, err := plan.Make(r, func(add func(certname, environment string, facts, trusted, enc map[string]any) error) error {
			for _, n := range s.inv.nodes {
				if err := add(n.certname, "", nil, nil, n.enc); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.state = &gate.State{Phase: gate.Running}
		for i := range p.Stages {
			s.takes(r.Schedule, i, p.Stages[i].New == 0)
			want, got := p.Stages[i], s.compared(i)
			if want.New == 0 {
				continue // it is not judged
			}
			bare := 0
			for _, b := range want.Bare {
				bare += b.New
			}
			if planned := [...]int{want.Canaries, want.Compared, want.Uneven, bare, want.Answers}; planned != got {
				t.Fatalf("stage %d of %+v: canaries, controls, uneven, without control and answers are planned as %v, and the leader has %v", i, r.Schedule.Stages, planned, got)
			}
		}
	})
}

// takes lets stage i begin, and admit all that it may in two steps.
func (s *strataLab) takes(all schedule.Schedule, i int, skipped bool) {
	stage, positions := all.Stages[i], []segments.Point{}
	for _, n := range s.inv.nodes {
		if stage.Segment == "" || n.enc[stage.Segment] == true {
			positions = append(positions, segments.PointOf(s.spec.Salt, n.certname))
		}
	}
	slices.Sort(positions)
	at := t0.Add(time.Duration(i+1) * time.Minute)
	target := gate.Target(all, stage, positions, len(s.inv.nodes))
	s.state.Stages = append(s.state.Stages, gate.StageState{Name: stage.Name, Set: stage.Segment, Since: at, Target: target, Skipped: skipped})
	steps := []segments.Threshold{segments.ThresholdAt(target.Share() / 2), target}
	if skipped {
		steps = steps[1:]
	}
	for _, t := range steps {
		s.state.Stages[i].Threshold = t
		s.state.Admissions = append(s.state.Admissions, gate.Admission{At: at, Stage: i, Set: stage.Segment, Threshold: t})
		s.looks()
		at = at.Add(time.Second)
	}
}

// looks brings the course up to the state.
func (s *strataLab) looks() *course {
	is := map[string]*node{}
	for _, n := range s.inv.nodes {
		is[segments.Fingerprint(n.certname)] = n
	}
	in := func(set, print string) bool { return is[print].enc[set] == true }
	return s.ledger.follow(s.spec, s.state, newRoster(&tracked{nodes: s.inv.nodes}, s.spec.Salt, s.inv), 24*time.Hour, in)
}

// compared counts canaries and controls of strata that have both; nodes of the stage that are left out, and those in strata without
// control; and nodes with the change, of all stages, that are not left out.
func (s *strataLab) compared(stage int) (got [5]int) {
	strata := map[string][2]int{}
	for _, n := range s.looks().nodes {
		own := int(n.Stage) == stage
		switch of := strata[n.Stratum]; {
		case n.Outside && own:
			got[2]++
		case n.Outside:
		case own:
			of[0]++
			strata[n.Stratum] = of
		case n.Stage < 0:
			of[1]++
			strata[n.Stratum] = of
		}
		if n.Admitted() && !n.Outside {
			got[4]++
		}
	}
	for _, of := range strata {
		if of[0] > 0 && of[1] > 0 {
			got[0], got[1] = got[0]+of[0], got[1]+of[1]
		} else {
			got[3] += of[0]
		}
	}
	return got
}
