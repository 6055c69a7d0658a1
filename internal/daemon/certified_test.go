package daemon

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
)

// TestAStageThatAsksIsCertified: the judge is told which stages of the frozen schedule ask for a certified pass, and each is left on
// the evidence of one. Of two that ask, each is told that it is one of two.
func TestAStageThatAsksIsCertified(t *testing.T) {
	l := newLab(t, 140)
	l.extra = `  asking:
    growth: 100
    stages:
      - {name: five, percent: 5%, ramp: {in_flight: 100%}, bake: {time: 10m, runs: 2}}
      - {name: quarter, percent: 25%, ramp: {in_flight: 100%}, bake: {time: 10m, runs: 2}, pass: certified}
      - {name: half, percent: 50%, ramp: {in_flight: 100%}, bake: {time: 10m, runs: 2}, pass: certified}
      - {name: everyone, ramp: {in_flight: 100%}, bake: {time: 10m, runs: 2}}
policies:
  default: {checks: {new_failures: {rule_out: 0.3}, compile: {rule_out: 0.3}, silence: {rule_out: 0.3}}}
`
	l.lead()
	l.startBy("asking", "ntp", "production_2")
	l.until("ntp", gate.Completed)
	want := map[string][2]int{"five": {0, 2}, "quarter": {1, 2}, "half": {2, 2}, "everyone": {0, 2}}
	seen := map[string]bool{}
	policy := l.snapshot().Rollout("ntp").Spec.Policy
	for _, a := range l.chain() {
		if a.Rollout != "ntp" || a.Evidence == "" || a.Result != string(analyzer.Pass) {
			continue
		}
		data, err := os.ReadFile(l.path("state", "evidence", a.Evidence+".json"))
		l.must(err)
		var e analyzer.Evidence
		l.must(json.Unmarshal(data, &e))
		seen[e.Stage] = true
		asks := [2]int{e.Ask, e.Asks}
		if v := analyzer.Look(policy, e); asks != want[e.Stage] || (v.Grade == analyzer.Certified) != slices.Contains([]string{"quarter", "half"}, e.Stage) {
			t.Errorf("%s at stage %s: ask %d of %d, want %v; %s %q", a.Kind, e.Stage, e.Ask, e.Asks, want[e.Stage], v.Grade, v.Uncertified)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("passes of stages %v only", seen)
	}
	l.replays("ntp")
}
