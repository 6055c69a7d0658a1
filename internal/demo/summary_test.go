package demo

import (
	"strings"
	"testing"
	"time"
)

var t0 = time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)

// right is a demo as it should go.
func right() outcome {
	return outcome{
		Nodes: 1000, Baseline: "good", On: map[string]int{"good": 1000}, Took: 90 * time.Second,
		Bad: course{Environment: "bad", Exit: 4, Phase: "backed_out", By: []string{"sluice"}, Why: "stop rule: 1 of 10", Created: t0, Since: t0.Add(20 * time.Second),
			Culprit: &culprit{Resource: "Service[nginx]", File: "/etc/puppetlabs/code/environments/bad/modules/nginx/manifests/service.pp", Line: 14}, Ran: 9, FirstFailed: t0.Add(8 * time.Second)},
		Good: course{Environment: "good", Phase: "completed", By: []string{"sluice"}, Created: t0.Add(21 * time.Second), Since: t0.Add(80 * time.Second),
			Stages: []stage{{Name: "canary", Admitted: 10, Since: t0.Add(22 * time.Second), Passed: t0.Add(40 * time.Second)}}},
	}
}

// TestProblems: whatever is not as it should be is a problem, and nothing else is.
func TestProblems(t *testing.T) {
	o := right()
	if got := o.problems(); len(got) > 0 {
		t.Errorf("a demo that went right has problems: %q", got)
	}
	for want, spoil := range map[string]func(o *outcome){
		"expected it to be backed out":       func(o *outcome) { o.Bad.Phase, o.Bad.Exit = "completed", 0 },
		"expected sluice itself":             func(o *outcome) { o.Bad.By = []string{"root (local user)"} },
		"backed out by []":                   func(o *outcome) { o.Bad.By = nil },
		"nothing was proved":                 func(o *outcome) { o.Bad.Ran = 0 },
		"11 nodes ran bad":                   func(o *outcome) { o.Bad.Ran = 11 },
		"began after it was taken back":      func(o *outcome) { o.Bad.Late = 1 },
		"culprit of bad is not named":        func(o *outcome) { o.Bad.Culprit = nil },
		"expected it to be completed":        func(o *outcome) { o.Good.Phase, o.Good.Exit = "backed_out", 4 },
		"expected it to be completed (0)":    func(o *outcome) { o.Good.Phase, o.Good.Exit = "running", 1 },
		"baseline of the track is old":       func(o *outcome) { o.Baseline = "old" },
		"expected all 1000 on good":          func(o *outcome) { o.On = map[string]int{"good": 999, "old": 1} },
		"the nodes are on map[]":             func(o *outcome) { o.On = nil },
		"the nodes are on map[good:1000]":    func(o *outcome) { o.Nodes = 1001 },
		"expected all 0 on good":             func(o *outcome) { o.Nodes, o.On = 0, map[string]int{} },
		"the nodes are on map[good:1000 x:1": func(o *outcome) { o.On["x"] = 1 },
	} {
		o := right()
		spoil(&o)
		if got := strings.Join(o.problems(), "\n"); !strings.Contains(got, want) {
			t.Errorf("problems %q, want %q", got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	var b strings.Builder
	o := right()
	o.write(&b)
	for _, want := range []string{"exposed    9 of 1000 nodes (at most 10 may be)", "spared     991 nodes", "Service[nginx] at modules/nginx/manifests/service.pp:14",
		"backed out 20.0 s after its start, 12.0 s after the first failed report", "canary     10 nodes, passed after 18.0 s", "good, on 1000 of 1000 nodes", "All of it took 90.0 s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the summary does not say %q:\n%s", want, b.String())
		}
	}
}
