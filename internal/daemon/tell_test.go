package daemon

import (
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// TestALookAtNothingNewWritesNoStatus: with a rollout under way and nothing going on, time alone makes no status a new one. Each
// that is written wakes the leader.
func TestALookAtNothingNewWritesNoStatus(t *testing.T) {
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	e := analyzer.Evidence{Rollout: "ntp", Stage: "one", Kind: analyzer.KindEnvironment, Candidate: "cand", Baseline: "base", StageStarted: at,
		Bake: time.Hour, Planned: 100, Sources: analyzer.Sources{Fresh: true, Through: at.Add(time.Minute)}}
	for i := range 1000 {
		n := analyzer.Node{Certname: string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10)), Stage: -1, Summary: &analyzer.Summary{
			Habit: analyzer.Habit{Reports: 8, Usual: analyzer.QuartersOf(30 * time.Minute), Enforced: true, Last: at.UnixMilli()}, Seen: at.UnixMilli()}}
		if i%10 == 0 {
			n.Stage, n.AdmittedAt = 0, analyzer.MomentOf(at)
		}
		e.Nodes = append(e.Nodes, n)
	}
	statusOf := func(v analyzer.Verdict) tree.Status { return tree.Status{At: e.Now, Verdict: v} }
	look := func(after time.Duration) analyzer.Verdict {
		e.Now = at.Add(after)
		return analyzer.Look(analyzer.DefaultPolicy(), e)
	}
	a, b := statusOf(look(2*time.Minute)), statusOf(look(3*time.Minute))
	if a.Verdict.Checks[0].Bound == nil || a.Verdict.Checks[0].Bound.T == b.Verdict.Checks[0].Bound.T {
		t.Fatalf("no time went by: %+v", a.Verdict.Checks[0].Bound)
	}
	if !same(a, b) {
		t.Errorf("a minute without an event changed the status:\n%+v\n%+v", a.Verdict, b.Verdict)
	}
	e.Nodes[5].Summary.Odd = &analyzer.Odd{Silence: analyzer.Onset{At: at.UnixMilli(), Seen: at.UnixMilli()}}
	if same(b, statusOf(look(3*time.Minute))) {
		t.Error("an event did not change it")
	}
}
