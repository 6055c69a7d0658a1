package analyzer

import (
	"math"
	"slices"
	"testing"
	"time"
)

// TestRunsInOrder: what is taken as it is must be what sorting would give, and everything else is sorted.
func TestRunsInOrder(t *testing.T) {
	at := time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC)
	run := func(name, hash string, minute int) Run {
		start := at.Add(time.Duration(minute) * time.Minute)
		return Run{Certname: name, Hash: hash, Start: start, End: start.Add(time.Second), Detail: &Detail{Failures: []Failure{{Resource: "a"}, {Resource: "b"}}}}
	}
	good := []Run{run("a", "1", 0), run("a", "2", 0), run("a", "1", 5), run("b", "0", 1)}
	if out := normalRuns(good); &out[0] != &good[0] {
		t.Error("runs in order were copied")
	}
	for name, spoil := range map[string]func([]Run){
		"two nodes":      func(r []Run) { r[2], r[3] = r[3], r[2] },
		"two times":      func(r []Run) { r[1], r[2] = r[2], r[1] },
		"two hashes":     func(r []Run) { r[0], r[1] = r[1], r[0] },
		"the same twice": func(r []Run) { r[1] = r[0] },
		"another zone":   func(r []Run) { r[0].End = r[0].End.In(time.FixedZone("x", 3600)) },
		"failures":       func(r []Run) { slices.Reverse(r[3].Detail.Failures) },
		"not a number":   func(r []Run) { r[3].Detail.Metrics = map[string]float64{"x": math.NaN()} },
	} {
		in := []Run{run("a", "1", 0), run("a", "2", 0), run("a", "1", 5), run("b", "0", 1)}
		spoil(in)
		if runsInOrder(in) {
			t.Errorf("%s: taken as it is", name)
		}
		if out := normalRuns(in); !runsInOrder(out) {
			t.Errorf("%s: not in order after sorting", name)
		}
	}
}
