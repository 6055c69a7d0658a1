package analyzer

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// now is when every world below is judged; stages started an hour before.
var now = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// world builds evidence. As it comes from newWorld it passes, so each test changes one thing.
type world struct {
	Evidence
	serial int
}

// newWorld has canaries c000… admitted an hour ago by stage 0 with two clean candidate runs,
// and controls k000…; all ran every 30 minutes for six hours before.
func newWorld(canaries, controls int) *world {
	w := &world{Evidence: Evidence{
		Rollout: "ntp", Stage: "first", Kind: KindEnvironment, Candidate: "cand", Baseline: "base",
		StageStarted: now.Add(-time.Hour), Bake: 30 * time.Minute, Now: now,
		Sources: Sources{Fresh: true, Through: now.Add(-time.Minute), Lag: 10 * time.Second},
	}}
	for i := range canaries {
		name := fmt.Sprintf("c%03d.example.test", i)
		w.Nodes = append(w.Nodes, Node{Certname: name, AdmittedAt: MomentOf(w.StageStarted), Stage: 0})
		w.past(name)
		w.run(name, -45*time.Minute, "cand")
		w.run(name, -15*time.Minute, "cand")
	}
	for i := range controls {
		name := fmt.Sprintf("k%03d.example.test", i)
		w.Nodes = append(w.Nodes, Node{Certname: name, Stage: -1})
		w.past(name)
		w.run(name, -45*time.Minute, "base")
		w.run(name, -15*time.Minute, "base")
	}
	return w
}

func (w *world) past(name string) {
	for back := 6 * time.Hour; back >= time.Hour; back -= 30 * time.Minute {
		w.run(name, -back-15*time.Minute, "base")
	}
}

// run adds a healthy run of 20 s that began at now+offset; the pointer is good until the next one.
func (w *world) run(name string, offset time.Duration, environment string) *Run {
	w.serial++
	begin := now.Add(offset)
	w.Runs = append(w.Runs, Run{
		Hash: fmt.Sprintf("h%06d", w.serial), Certname: name, Environment: environment, Status: "unchanged",
		CachedCatalog: "not_used", CatalogUUID: fmt.Sprintf("u%06d", w.serial),
		Start: begin, End: begin.Add(20 * time.Second), Produced: begin.Add(21 * time.Second), Received: begin.Add(22 * time.Second),
	})
	return &w.Runs[len(w.Runs)-1]
}

// nth returns the n-th last run of a node, 1 being the last.
func (w *world) nth(name string, n int) *Run {
	for i := range slices.Backward(w.Runs) {
		if w.Runs[i].Certname == name {
			if n--; n == 0 {
				return &w.Runs[i]
			}
		}
	}
	panic("no such run of " + name)
}

func (w *world) drop(keep func(Run) bool) {
	w.Runs = slices.DeleteFunc(w.Runs, func(r Run) bool { return !keep(r) })
}

// fail turns a run into one that failed to apply a resource.
func (r *Run) fail(resource string) {
	r.Status = "failed"
	r.Detail = &Detail{
		Metrics:  map[string]float64{metricConvertCatalog: .1, "resources/failed": 1},
		Failures: []Failure{{Kind: KindResource, Resource: resource, File: "/code/environments/" + r.Environment + "/site.pp", Line: 6, Message: "returned 1"}},
	}
}

// failCompile turns a run into one that got no catalog.
func (r *Run) failCompile(message string) {
	r.Status, r.CatalogUUID = "failed", ""
	r.Detail = &Detail{
		Metrics:  map[string]float64{"resources/total": 0},
		Failures: []Failure{{Kind: KindCompile, Message: message + " on node " + r.Certname}},
	}
}

// hide turns a run into one that fell back to its cached catalog.
func (r *Run) hide(message string) {
	r.CachedCatalog, r.Environment = "on_failure", "base"
	r.Detail = &Detail{Failures: []Failure{{Kind: KindCompile, Message: message + " on node " + r.Certname}}}
}

func (w *world) judge() Verdict { return Judge(DefaultPolicy(), w.Evidence) }

func TestNewWorldPasses(t *testing.T) {
	v := newWorld(20, 40).judge()
	if v.Result != Pass || v.Grade != Clean || v.Road != "" || len(v.Missing) != 0 {
		t.Fatalf("got %+v, want a clean pass", v)
	}
	want := Counts{Admitted: 20, Live: 20, Exposed: 20, Control: 40, Runs: 2}
	if got := v.Counts; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	for _, c := range v.Checks {
		soft := c.Name == "convergence" || c.Name == "corrective" || c.Name == "run_time" || c.Name == "config_retrieval" // they need more controls
		if c.Result != Pass && !soft {
			t.Errorf("check %s: %s (%s), want pass", c.Name, c.Result, c.Reason)
		}
	}
}
