package analyzer

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func name(i int) string { return fmt.Sprintf("c%03d.example.test", i) }

func TestStopRule(t *testing.T) {
	const broken = "Exec[broken]"
	cases := []struct {
		name string
		edit func(*world)
		want Result
		// says must be in the reason or in what is missing.
		says string
	}{
		{"one compile failure", func(w *world) { w.nth(c0, 1).failCompile("boom") }, Fail, `1 of 20 of the admitted nodes`},
		{"one hidden compile failure, baseline's environment", func(w *world) { w.nth(c0, 1).hide("boom") }, Fail, "stop rule"},
		{"a compile failure of a noop node", func(w *world) { w.nth(c0, 1).failCompile("boom"); w.nth(c0, 1).Noop = true }, Fail, "stop rule"},
		{"one failing prerun_command: no catalog, but not for want of one", func(w *world) {
			w.nth(c0, 1).fail("")
			w.nth(c0, 1).CatalogUUID, w.nth(c0, 1).Detail.Failures = "", nil
		}, Inconclusive, "a failed run that names no resource, once so far"},
		{"a failure, repeated", func(w *world) { w.nth(c0, 2).fail(broken); w.nth(c0, 1).fail(broken) }, Fail, broken},
		{"repeated, then clean: it stays in the record", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).fail(broken)
			w.run(c0, -10*time.Minute, "cand")
			w.run(c0, -5*time.Minute, "cand")
		}, Fail, broken},
		{"repeated over a noop run", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).Noop = true
			w.run(c0, -5*time.Minute, "cand").fail(broken)
		}, Fail, broken},
		{"repeated on the baseline's environment", func(w *world) {
			w.nth(c0, 2).Environment, w.nth(c0, 1).Environment = "base", "base"
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).fail(broken)
		}, Fail, broken},
		{"repeated without a failed resource", func(w *world) {
			for n := 1; n <= 2; n++ {
				w.nth(c0, n).fail(broken)
				w.nth(c0, n).Detail.Failures = nil
			}
		}, Fail, "a failed run that names no resource on 1 node"},
		{"repeated, no detail, nobody else fails", func(w *world) {
			w.nth(c0, 2).Status, w.nth(c0, 1).Status = "failed", "failed"
		}, Fail, "a failed run that names no resource on 1 node"},
		{"one failure", func(w *world) { w.nth(c0, 1).fail(broken) }, Inconclusive, "c000.example.test: Exec[broken] (/code/environments/cand/site.pp:6), once so far; the next run decides"},
		{"two different failures", func(w *world) { w.nth(c0, 2).fail("Exec[a]"); w.nth(c0, 1).fail("Exec[b]") }, Inconclusive, "once so far"},
		{"the second without detail", func(w *world) { w.nth(c0, 2).fail(broken); w.nth(c0, 1).Status = "failed" }, Inconclusive, "once so far"},
		{"one failure, one clean run", func(w *world) { w.nth(c0, 2).fail(broken) }, Inconclusive, "once so far"},
		{"one failure, two clean runs", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.run(c0, -5*time.Minute, "cand")
		}, Pass, "clean"},
		{"a failed restart, two clean runs", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 2).Detail.Metrics[metricFailedToRestart] = 1
			w.run(c0, -5*time.Minute, "cand")
		}, Inconclusive, "did not restart"},
		{"repeated, and a control shows it", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).fail(broken)
			w.nth(k0, 1).fail(broken)
		}, Inconclusive, "nodes without the change show it too"},
		{"repeated, and a control failed without detail", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).fail(broken)
			w.nth(k0, 1).Status = "failed"
		}, Inconclusive, "nodes without the change show it too"},
		{"repeated, and a node outside the rollout shows it", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).fail(broken)
			w.run("zz.example.test", -2*time.Hour, "other").fail(broken)
		}, Inconclusive, "nodes without the change show it too"},
		{"repeated, and another canary showed it before its admission", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).fail(broken)
			w.nth(c1, 4).fail(broken)
		}, Inconclusive, "nodes without the change show it too"},
		{"repeated, a control shows something else", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).fail(broken)
			w.nth(k0, 1).fail("Exec[other]")
		}, Fail, broken},
		{"repeated, a control showed it more than a day before", func(w *world) {
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 1).fail(broken)
			w.run(k0, -25*time.Hour, "base").fail(broken)
		}, Fail, broken},
		{"the node itself showed it before", func(w *world) {
			for n := 1; n <= 5; n++ {
				w.nth(c0, n).fail(broken)
			}
		}, Pass, "clean"},
		{"the node itself showed another one before", func(w *world) {
			w.nth(c0, 1).fail(broken)
			w.nth(c0, 2).fail(broken)
			w.nth(c0, 4).fail("Exec[other]")
		}, Fail, broken},
		{"a control does not compile for the same reason", func(w *world) {
			w.nth(c0, 1).failCompile("boom (file: /e/environments/cand/site.pp, line: 9)")
			w.nth(k0, 1).failCompile("boom (file: /e/environments/base/site.pp, line: 7)")
		}, Inconclusive, "nodes without the change show it too"},
		{"the node itself showed it, under a change that was backed out", func(w *world) {
			for n := 1; n <= 5; n++ {
				w.nth(c0, n).fail(broken)
			}
			for i := range w.Runs {
				w.Runs[i].Tainted = w.Runs[i].Certname == c0 && w.Runs[i].Environment == "base"
			}
		}, Fail, broken},
		{"a control showed it, under a change that was backed out", func(w *world) {
			w.nth(c0, 1).failCompile("boom")
			w.nth(k0, 1).failCompile("boom")
			w.nth(k0, 1).Tainted = true
		}, Fail, "boom"},
		{"a control does not compile at the same place for another reason", func(w *world) {
			w.nth(c0, 1).failCompile("one")
			w.nth(c0, 1).Detail.Failures[0].File, w.nth(c0, 1).Detail.Failures[0].Line = "/e/environments/cand/site.pp", 3
			w.nth(k0, 1).failCompile("two")
			w.nth(k0, 1).Detail.Failures[0].File, w.nth(k0, 1).Detail.Failures[0].Line = "/e/environments/base/site.pp", 3
		}, Fail, "one"},
		{"a control does not compile for another reason", func(w *world) {
			w.nth(c0, 1).failCompile("boom")
			w.nth(k0, 1).failCompile("bang")
		}, Fail, "boom"},
		{"a control fails to apply, the canary to compile", func(w *world) {
			w.nth(c0, 1).failCompile("boom")
			w.nth(k0, 1).fail(broken)
		}, Fail, "boom"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(20, 40)
			tc.edit(w)
			v := w.judge()
			if v.Result != tc.want {
				t.Fatalf("got %s (%s; %v), want %s", v.Result, v.Reason, v.Missing, tc.want)
			}
			if said := v.Reason + "\n" + strings.Join(v.Missing, "\n"); !strings.Contains(said, tc.says) {
				t.Errorf("said %q, want it to contain %q", said, tc.says)
			}
			if (v.Road == RoadStopRule) != (tc.want == Fail) {
				t.Errorf("road %q with %s", v.Road, v.Result)
			}
		})
	}
}

func TestStopThreshold(t *testing.T) {
	cases := []struct {
		nodes, broken int
		stop          StopPolicy
		want          Result
	}{
		{100, 4, StopPolicy{Share: .05, Min: 1}, Inconclusive},
		{100, 5, StopPolicy{Share: .05, Min: 1}, Fail},
		{101, 5, StopPolicy{Share: .05, Min: 1}, Inconclusive},
		{20, 1, StopPolicy{Share: .05, Min: 2}, Inconclusive},
		{20, 2, StopPolicy{Share: .05, Min: 2}, Fail},
		{100, 5, StopPolicy{Share: .05, Min: 1, Below: 50}, Inconclusive},
		{100, 5, StopPolicy{Share: .05, Min: 1, Below: 101}, Fail},
		{20, 1, StopPolicy{Share: 0, Min: 1}, Fail},
	}
	for _, tc := range cases {
		w, p := newWorld(tc.nodes, 10), DefaultPolicy()
		p.Stop = tc.stop
		for i := range tc.broken {
			w.nth(name(i), 1).failCompile("boom")
		}
		if v := Judge(p, w.Evidence); v.Result != tc.want {
			t.Errorf("%d of %d with %+v: got %s (%s), want %s", tc.broken, tc.nodes, tc.stop, v.Result, v.Reason, tc.want)
		}
	}
}

// A last stage in which everything fails must not drown in the good stages before it.
func TestStopRuleLooksAtTheStageAlone(t *testing.T) {
	w := newWorld(100, 10)
	w.StageIndex = 1
	for i := range 3 {
		w.Nodes[i].Stage = 1
		w.nth(name(i), 1).failCompile("boom")
	}
	if v := w.judge(); v.Result != Fail || !strings.Contains(v.Reason, "3 of 3 of the nodes of this stage") {
		t.Errorf("got %s (%s), want fail for 3 of 3 nodes of this stage", v.Result, v.Reason)
	}
}

// A skewed agent clock may hide no failure and invent no exposure.
func TestClockSkew(t *testing.T) {
	skew := func(r *Run, by time.Duration) { r.Start, r.End = r.Start.Add(by), r.End.Add(by) }
	t.Run("behind: the failure still counts", func(t *testing.T) {
		w := newWorld(1, 10)
		w.nth(c0, 1).failCompile("boom")
		skew(w.nth(c0, 1), -24*time.Hour)
		if v := w.judge(); v.Result != Fail {
			t.Errorf("got %s (%s), want fail", v.Result, v.Reason)
		}
	})
	t.Run("ahead: a run from before is no exposure", func(t *testing.T) {
		w := newWorld(1, 10)
		w.Kind, w.Candidate = KindParameters, ""
		w.drop(func(r Run) bool { return r.Certname != c0 || r.Start.Before(w.StageStarted) })
		skew(w.nth(c0, 1), 50*time.Minute)
		skew(w.nth(c0, 2), 90*time.Minute)
		if v := w.judge(); v.Result != Inconclusive || v.Counts.Exposed != 0 {
			t.Errorf("got %s with %d exposed, want inconclusive with none", v.Result, v.Counts.Exposed)
		}
	})
	t.Run("no clock at all: the failure counts, the exposure does not", func(t *testing.T) {
		w := newWorld(1, 10)
		r := w.nth(c0, 1)
		r.Start, r.End, r.Produced = time.Time{}, time.Time{}, time.Time{}
		if v := w.judge(); v.Result != Inconclusive || v.Counts.Runs != 1 {
			t.Errorf("got %s with %d runs, want inconclusive with 1", v.Result, v.Counts.Runs)
		}
		r.failCompile("boom")
		if v := w.judge(); v.Result != Fail {
			t.Errorf("got %s, want fail", v.Result)
		}
	})
}

func TestCulpritIsTheMostCommonNewFailure(t *testing.T) {
	w := newWorld(60, 10)
	for i := range 30 {
		resource := "Exec[rare]"
		if i >= 5 {
			resource = "Service[common]"
		}
		w.nth(name(i), 1).fail(resource)
		w.nth(name(i), 2).fail(resource)
	}
	v := w.judge()
	c := v.Culprit
	if c == nil || c.Resource != "Service[common]" || c.Count != 25 || len(c.Nodes) != maxNames || c.Nodes[0] != name(5) {
		t.Fatalf("culprit %+v, want Service[common] on 25 nodes, 20 of them named", c)
	}
	if !strings.Contains(v.Reason, "Service[common] (/code/environments/cand/site.pp:6) on 25 nodes") {
		t.Errorf("reason %q does not name the culprit", v.Reason)
	}
}

// What stops the rollout is to blame, not what more nodes showed once.
func TestCulpritIsWhatDecided(t *testing.T) {
	w := newWorld(20, 10)
	for i := range 5 {
		w.nth(name(i), 1).fail("Exec[once]")
	}
	w.nth(name(9), 1).fail("Exec[twice]")
	w.nth(name(9), 2).fail("Exec[twice]")
	if v := w.judge(); v.Result != Fail || v.Culprit == nil || v.Culprit.Resource != "Exec[twice]" {
		t.Errorf("got %s, %+v, want fail by Exec[twice]", v.Result, v.Culprit)
	}
}
