package analyzer

import (
	"math"
	"strings"
	"testing"
	"time"
)

const c0, c1, k0 = "c000.example.test", "c001.example.test", "k000.example.test"

// Each case takes one thing away from a world that passes. None may pass, and the verdict
// must say what it lacks.
func TestOneStepFromAPass(t *testing.T) {
	cases := []struct {
		name string
		edit func(*world, *Policy)
		want string
	}{
		{"no nodes at all", func(w *world, _ *Policy) { w.Nodes, w.Runs = nil, nil }, "there are no admitted nodes"},
		{"controls only", func(w *world, _ *Policy) { w.Nodes = w.Nodes[20:] }, "there are no admitted nodes"},
		{"no runs", func(w *world, _ *Policy) { w.Runs = nil }, "none of the 20 admitted nodes was alive"},
		{"this stage is empty", func(w *world, _ *Policy) { w.StageIndex = 1 }, "there are no nodes that this stage admitted"},
		{"this stage's only node never ran it", func(w *world, _ *Policy) {
			w.StageIndex, w.Nodes[0].Stage = 1, 1
			w.nth(c0, 1).Environment, w.nth(c0, 2).Environment = "base", "base"
		}, "0 of 1 live nodes that this stage admitted are exposed"},
		{"this stage's only node was dead before", func(w *world, _ *Policy) {
			w.StageIndex, w.Nodes[0].Stage = 1, 1
			w.drop(func(r Run) bool { return r.Certname != c0 })
		}, "none of the 1 nodes that this stage admitted was alive"},
		{"a report from the future is no run", func(w *world, _ *Policy) { w.nth(c0, 1).Produced = now.Add(time.Second) }, "fewer than 2 runs"},
		{"bake not over", func(w *world, _ *Policy) { w.Bake = 61 * time.Minute }, "bakes until 2026-03-10T12:01:00Z"},
		{"sources not fresh", func(w *world, _ *Policy) { w.Sources.Fresh = false }, "not fresh"},
		{"a source complains", func(w *world, _ *Policy) { w.Sources.Reasons = []string{"queue of 900"} }, "source: queue of 900"},
		{"completeness unknown", func(w *world, _ *Policy) { w.Sources.Through = time.Time{} }, "not known up to when"},
		{"complete to before the stage", func(w *world, _ *Policy) { w.Sources.Through = now.Add(-2 * time.Hour) }, "before the stage started"},
		{"no time", func(w *world, _ *Policy) { w.Now = time.Time{} }, "no time of its own"},
		{"no stage start", func(w *world, _ *Policy) { w.StageStarted = time.Time{} }, "when the stage started"},
		{"year JSON cannot carry", func(w *world, _ *Policy) { w.Now = time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC) }, "evidence of stage"},
		{"negative bake", func(w *world, _ *Policy) { w.Bake = -1 }, "bake time is negative"},
		{"negative lag", func(w *world, _ *Policy) { w.Sources.Lag = -1 }, "lag is negative"},
		{"no kind", func(w *world, _ *Policy) { w.Kind = "" }, "expected environment or parameters"},
		{"no candidate", func(w *world, _ *Policy) { w.Candidate = "" }, "no candidate"},
		{"candidate is baseline", func(w *world, _ *Policy) { w.Baseline = "cand" }, "same environment"},
		{"node without name", func(w *world, _ *Policy) { w.Nodes[3].Certname = "" }, "no certname"},
		{"node twice", func(w *world, _ *Policy) { w.Nodes = append(w.Nodes, w.Nodes[25]) }, "twice"},
		{"stage without time", func(w *world, _ *Policy) { w.Nodes[0].AdmittedAt = 0 }, "without an admission time"},
		{"node of a later stage", func(w *world, _ *Policy) { w.Nodes[0].Stage = 1 }, "after the one that is judged"},
		{"zero policy", func(_ *world, p *Policy) { *p = Policy{} }, "policy: coverage"},
		{"coverage NaN", func(_ *world, p *Policy) { p.Coverage = math.NaN() }, "policy: coverage"},
		{"two nodes never ran it", func(w *world, _ *Policy) {
			w.nth(c0, 1).Environment, w.nth(c0, 2).Environment = "base", "base"
			w.nth(c1, 1).Environment, w.nth(c1, 2).Environment = "base", "base"
		}, "18 of 20 live admitted nodes are exposed, 19 are needed; not yet: c000.example.test, c001.example.test"},
		{"one run only", func(w *world, _ *Policy) { w.nth(c0, 2).Environment = "base" }, "fewer than 2 runs of the candidate, the fewest 1: c000"},
		{"a cached run is no run", func(w *world, _ *Policy) { w.nth(c0, 1).CachedCatalog = "explicitly_requested" }, "fewer than 2 runs"},
		{"a noop run is no run", func(w *world, _ *Policy) { w.nth(c0, 1).Noop = true }, "fewer than 2 runs"},
		{"a run without catalog is no run", func(w *world, _ *Policy) { w.nth(c0, 1).CatalogUUID = "" }, "fewer than 2 runs"},
		{"status unknown", func(w *world, _ *Policy) { w.nth(c0, 1).Status = "" }, "c000.example.test: a failed run that names no resource, once so far"},
		{"admitted after its first run", func(w *world, _ *Policy) { w.Nodes[0].AdmittedAt = MomentOf(now.Add(-30 * time.Minute)) }, "fewer than 2 runs"},
		{"silent", func(w *world, _ *Policy) {
			w.drop(func(r Run) bool { return r.Certname != c0 || r.Start.Before(now.Add(-30*time.Minute)) })
		}, "1 admitted node without a sign of life for too long: c000.example.test"},
		{"too many left out", func(w *world, _ *Policy) {
			w.drop(func(r Run) bool { return r.Certname > "c002.example.test" || !r.Start.Before(w.StageStarted) })
		}, "3 of 20 admitted nodes are left out"},
		{"too many controls left out", func(w *world, _ *Policy) {
			w.drop(func(r Run) bool { return r.Certname < "k" || r.Certname > "k004.example.test" })
		}, "5 of 40 controls are left out"},
		{"required sli without sample", func(_ *world, p *Policy) { p.SLIs = []SLIPolicy{errorRate(true)} }, "sli:errors: there is no sample"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w, p := newWorld(20, 40), DefaultPolicy()
			tc.edit(w, &p)
			v := Judge(p, w.Evidence)
			if v.Result != Inconclusive || v.Grade != "" {
				t.Fatalf("got %s %s (%s), want inconclusive", v.Result, v.Grade, v.Reason)
			}
			if all := strings.Join(v.Missing, "\n"); !strings.Contains(all, tc.want) {
				t.Errorf("missing:\n%s\nwant it to contain %q", all, tc.want)
			}
			if v.Reason == "" {
				t.Error("no reason")
			}
		})
	}
}

func TestSmallLossesStillPass(t *testing.T) {
	cases := []struct {
		name string
		edit func(*world)
	}{
		{"19 of 20 exposed", func(w *world) { w.nth(c0, 1).Environment, w.nth(c0, 2).Environment = "base", "base" }},
		{"two of 20 were dead before", func(w *world) {
			w.drop(func(r Run) bool { return r.Certname != c0 && r.Certname != c1 })
		}},
		{"no control at all", func(w *world) { w.Nodes = w.Nodes[:20] }},
		{"healthy nodes outside the rollout", func(w *world) { w.run("zz.example.test", -time.Hour, "other") }},
		{"corrective and changing runs", func(w *world) { w.nth(c0, 1).Status = "changed" }},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(20, 40)
			tc.edit(w)
			if v := w.judge(); v.Result != Pass {
				t.Errorf("got %s: %v, want pass", v.Result, v.Missing)
			}
		})
	}
}

func TestStageOfOneNode(t *testing.T) {
	if v := newWorld(1, 40).judge(); v.Result != Pass {
		t.Errorf("one clean node: %s, %v", v.Result, v.Missing)
	}
	w := newWorld(1, 40)
	w.nth(c0, 1).failCompile("boom")
	if v := w.judge(); v.Result != Fail {
		t.Errorf("one node that does not compile: %s (%s), want fail", v.Result, v.Reason)
	}
	w = newWorld(1, 40)
	w.drop(func(r Run) bool { return r.Certname != c0 })
	if v := w.judge(); v.Result != Inconclusive {
		t.Errorf("one node that was dead before: %s, want inconclusive", v.Result)
	}
}

func TestParametersChangeNeedsARunThatBeganAfterAdmission(t *testing.T) {
	w := newWorld(20, 40)
	w.Kind, w.Candidate = KindParameters, ""
	for i := range w.Runs {
		w.Runs[i].Environment = "base"
	}
	if v := w.judge(); v.Result != Pass {
		t.Fatalf("got %s: %v, want pass", v.Result, v.Missing)
	}
	w.Nodes[0].AdmittedAt = MomentOf(w.nth(c0, 2).Start.Add(time.Second))
	if v := w.judge(); v.Result != Inconclusive || v.Counts.Runs != 1 {
		t.Errorf("a run that was under way at the admission: %s with %d runs, want inconclusive with 1", v.Result, v.Counts.Runs)
	}
}

func TestLeavingTheCandidateEndsExposure(t *testing.T) {
	w := newWorld(1, 40)
	w.run(c0, -5*time.Minute, "base")
	v := w.judge()
	if v.Result != Inconclusive || v.Counts.Exposed != 0 {
		t.Errorf("got %s with %d exposed, want inconclusive with none", v.Result, v.Counts.Exposed)
	}
	// However that run ended: a machine that is built anew often fails at first. One without a catalog says nothing of what the node has.
	for uuid, exposed := range map[string]int{"u": 0, "": 1} {
		last := &w.Runs[len(w.Runs)-1]
		last.Status, last.CatalogUUID = "failed", uuid
		if v := w.judge(); v.Result == Pass || v.Counts.Exposed != exposed {
			t.Errorf("after a failed run with catalog %q: %s with %d exposed, want %d", uuid, v.Result, v.Counts.Exposed, exposed)
		}
	}
}

func TestWhatWasDeadBeforeIsLeftOut(t *testing.T) {
	w := newWorld(20, 40)
	w.drop(func(r Run) bool { return r.Certname != c0 || r.Start.Before(now.Add(-5*time.Hour)) })
	for i := range w.Runs {
		if r := &w.Runs[i]; r.Certname == c1 && r.Environment == "base" {
			r.Noop = true
		}
	}
	v := w.judge()
	if v.Result != Pass || v.Counts.Excluded != 2 || v.Counts.Live != 18 {
		t.Fatalf("got %s, %+v: %v", v.Result, v.Counts, v.Missing)
	}
	states := Exposure(w.Evidence)
	for name, want := range map[string]string{c0: "overdue before", c1: "only noop runs before"} {
		if got := states[name]; !got.Excluded || got.Why != want {
			t.Errorf("%s: %+v, want excluded: %s", name, got, want)
		}
	}
}
