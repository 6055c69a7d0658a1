package gate

import (
	"regexp"
	"testing"
	"time"
)

// TestOneIsNotMany: a first stage of one node is what most schedules begin with, and nobody is told of 1 nodes or 1 runs.
func TestOneIsNotMany(t *testing.T) {
	wrong := regexp.MustCompile(`\b1 ([a-z]+ ){0,3}(nodes|runs|controls)\b|\b1 ([a-z]+ ){0,3}node (have|are|come)\b`)
	s := newSite(t, 4)
	s.w.Rollouts[0].Spec.Schedule.Stages[0].Bake.Runs = 1
	said := 0
	for range 3 * 60 {
		for _, gates := range s.look().Gates {
			for _, g := range gates {
				if said++; wrong.MatchString(g.Reason) {
					t.Errorf("%s: %s", g.Name, g.Reason)
				}
			}
		}
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	for _, e := range s.events {
		if wrong.MatchString(e.Text) {
			t.Errorf("%s: %s", e.Kind, e.Text)
		}
	}
	if s.state("ntp").Phase != Completed || said == 0 {
		t.Errorf("%s, %d gates", s.state("ntp").Phase, said)
	}
}

// TestGrowthGateAsksForApprovalWhenItMust: while nodes have yet to run, more of them may be enough by themselves.
func TestGrowthGateAsksForApprovalWhenItMust(t *testing.T) {
	const approve, waits = "approve the stage, or put one between", "opens when more of 4 live admitted nodes have run the change"
	for newly, want := range map[int]string{4: "", 8: waits, 16: waits, 17: approve} {
		s := newSite(t, 40)
		s.w.Rollouts[0].Spec.Schedule.Growth = 4
		s.nodes = s.nodes[:newly]
		r := &s.w.Rollouts[0]
		r.Verdict.Counts.Live, r.Verdict.Counts.Exposed = 4, 1
		r.Next = s.population(r, 2)
		g := (&stepper{w: &s.w, r: r}).growthGate(2)
		if g.Open != (want == "") || !regexp.MustCompile(want).MatchString(g.Reason) {
			t.Errorf("%d nodes: open %t, %s", newly, g.Open, g.Reason)
		}
	}
}
