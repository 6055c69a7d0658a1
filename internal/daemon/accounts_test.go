package daemon

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
)

// TestAStageGoesOnFromTheOneBefore: the judge is told how many stages there are, and what the verdict that ended the stage before left
// of its budgets.
func TestAStageGoesOnFromTheOneBefore(t *testing.T) {
	l := newLab(t, 140)
	l.extra = `  carried:
    growth: 100
    stages:
      - {name: five, percent: 5%, ramp: {in_flight: 100%}, bake: {time: 10m, runs: 2}}
      - {name: quarter, percent: 25%, ramp: {in_flight: 100%}, bake: {time: 10m, runs: 2}}
      - {name: everyone, ramp: {in_flight: 100%}, bake: {time: 10m, runs: 2}}
`
	l.lead()
	l.startBy("carried", "ntp", "production_2")
	l.until("ntp", gate.Completed)
	policy, stages := l.snapshot().Rollout("ntp").Spec.Policy, 0
	var left map[string]analyzer.Account
	for _, a := range l.chain() {
		if a.Rollout != "ntp" || a.Kind != gate.EventStageEnded {
			continue
		}
		data, err := os.ReadFile(l.path("state", "evidence", a.Evidence+".json"))
		l.must(err)
		var e analyzer.Evidence
		l.must(json.Unmarshal(data, &e))
		if stages++; e.Stages != 3 || !reflect.DeepEqual(e.Accounts, left) {
			t.Errorf("stage %s of %d begins with %v, want %v", e.Stage, e.Stages, e.Accounts, left)
		}
		if left = analyzer.Look(policy, e).Accounts; len(left) != 7 {
			t.Errorf("stage %s leaves %v", e.Stage, left)
		}
	}
	if stages != 3 {
		t.Errorf("%d stages ended", stages)
	}
}
