package analyzer

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

func minutes(n int) model.Duration { return model.Duration(time.Duration(n) * time.Minute) }

func TestPatience(t *testing.T) {
	policy := SilencePolicy{Interval: minutes(30), Splay: minutes(5), MinReports: 5, Lookback: model.Duration(7 * 24 * time.Hour)}
	// runs that took the given minutes each, with the given gaps between their beginnings.
	runs := func(length int, gaps ...int) []observed {
		at := now
		out := []observed{{Run: Run{Start: at, End: at.Add(time.Duration(length) * time.Minute)}}}
		for _, g := range gaps {
			at = at.Add(time.Duration(g) * time.Minute)
			out = append(out, observed{Run: Run{Start: at, End: at.Add(time.Duration(length) * time.Minute)}})
		}
		return out
	}
	cases := []struct {
		name  string
		past  []observed
		floor int
		want  int
	}{
		{"never seen: the configured interval", nil, 0, 35},
		{"too few reports: the configured interval, and the longest run", runs(2, 60, 60, 60), 0, 37},
		{"five reports: its own gap", runs(2, 60, 60, 60, 60), 0, 67},
		{"one gap of ten is not usual", runs(0, 10, 10, 10, 10, 10, 10, 10, 10, 10, 600), 0, 15},
		{"gaps in any order", runs(0, 600, 10, 600, 10, 10, 10, 10, 10, 10, 10), 0, 605},
		{"two of ten are", runs(0, 10, 10, 10, 10, 10, 10, 10, 10, 600, 600), 0, 605},
		{"the floor", runs(0, 1, 1, 1, 1, 1), 20, 20},
	}
	for _, tc := range cases {
		p := policy
		p.Floor = minutes(tc.floor)
		if got, want := p.patience(habitOf(tc.past)), time.Duration(tc.want)*time.Minute; got != want {
			t.Errorf("%s: %s, want %s", tc.name, got, want)
		}
	}
}

func TestSilentOnlyOncePatienceHasPassed(t *testing.T) {
	w := newWorld(1, 10)
	s := Exposure(w.Evidence)[c0]
	// last report 21 s after the run began at -15m; gap 30m, splay 5m, run 20 s, lag 10 s
	due := now.Add(-15*time.Minute + 21*time.Second + 35*time.Minute + 20*time.Second + 10*time.Second)
	if !s.Due.Equal(due) || s.Silent {
		t.Fatalf("due %s, silent %v, want %s and false", s.Due, s.Silent, due)
	}
	w.Now = due
	if s = Exposure(w.Evidence)[c0]; s.Silent {
		t.Error("silent at the moment it is due")
	}
	w.Now = due.Add(time.Nanosecond)
	if s = Exposure(w.Evidence)[c0]; !s.Silent || !s.SilentSince.Equal(due) {
		t.Errorf("not silent after it was due: %+v", s)
	}
	if v := w.judge(); v.Result != Inconclusive || v.Counts.Silent != 1 || v.Counts.SilentNodes[0] != c0 {
		t.Errorf("got %s, %+v, want inconclusive with c000 silent", v.Result, v.Counts)
	}
}

// A report stamped in the future must not keep a dead node alive.
func TestFutureReportIsNoSignOfLife(t *testing.T) {
	w := newWorld(1, 10)
	w.drop(func(r Run) bool { return r.Certname != c0 || r.Start.Before(w.StageStarted) })
	r := w.run(c0, -50*time.Minute, "cand")
	r.Produced, r.Received = now.Add(time.Hour), now.Add(time.Hour)
	if s := Exposure(w.Evidence)[c0]; !s.Silent {
		t.Errorf("%+v, want silent", s)
	}
}

// Any report is a sign of life, also one that exposes nothing.
func TestNoopAndCachedRunsAreSignsOfLife(t *testing.T) {
	for name, edit := range map[string]func(*Run){
		"noop":   func(r *Run) { r.Noop = true },
		"cached": func(r *Run) { r.CachedCatalog = "explicitly_requested" },
		"failed": func(r *Run) { r.fail("Exec[x]") },
	} {
		w := newWorld(1, 10)
		edit(w.nth(c0, 1))
		if s := Exposure(w.Evidence)[c0]; s.Silent || s.Excluded {
			t.Errorf("%s: %+v, want neither silent nor left out", name, s)
		}
	}
}

func TestSilenceIsCountedInBothCohorts(t *testing.T) {
	w := newWorld(20, 40)
	w.drop(func(r Run) bool {
		return r.Certname != c0 && r.Certname != k0 || r.Start.Before(w.StageStarted)
	})
	for _, c := range w.judge().Checks {
		if c.Name == "silence" && (c.Canary != 1 || c.CanaryTotal != 20 || c.Control != 1 || c.ControlTotal != 40 || c.Result != Inconclusive) {
			t.Errorf("%+v, want 1 of 20 against 1 of 40, inconclusive", c)
		}
	}
}

func TestExposure(t *testing.T) {
	w := newWorld(2, 1)
	w.nth(c1, 1).Environment, w.nth(c1, 2).Environment = "base", "base"
	w.nth(k0, 1).fail("Exec[x]")
	got := Exposure(w.Evidence)
	if len(got) != 3 {
		t.Fatalf("%d nodes, want 3", len(got))
	}
	if s := got[c0]; !s.Admitted || !s.Exposed || s.Runs != 2 || s.Outcome != OK || s.Stage != 0 || !s.FirstExposed.Equal(now.Add(-45*time.Minute+time.Second)) {
		t.Errorf("%s: %+v", c0, s)
	}
	if s := got[c1]; !s.Admitted || s.Exposed || s.Runs != 0 || s.Outcome != NotExposed || !s.FirstExposed.IsZero() {
		t.Errorf("%s: %+v", c1, s)
	}
	if s := got[k0]; s.Admitted || s.Exposed || s.Outcome != Failed || s.Stage != -1 || !s.LastRun.Equal(now.Add(-15*time.Minute+21*time.Second)) {
		t.Errorf("%s: %+v", k0, s)
	}
	if n := len(Exposure(Evidence{})); n != 0 {
		t.Errorf("no evidence: %d nodes", n)
	}
}
