package analyzer

import (
	"math"
	"strings"
	"testing"
	"time"
)

// TestCohortsThatDifferedBefore: where far more of the canaries than of the controls showed something before the stage, chance did not
// choose them, and nothing that the judge says of it means anything. Where as many did, it says nothing.
func TestCohortsThatDifferedBefore(t *testing.T) {
	mark := map[string]func(e *Evidence, n *Node){
		"convergence": func(_ *Evidence, n *Node) { n.Summary.Odd = &Odd{Convergence: Onset{Before: true}} },
		"corrective":  func(_ *Evidence, n *Node) { n.Measured.Corrective = Onset{Before: true} },
		"silence": func(e *Evidence, n *Node) {
			n.Summary.Last = e.StageStarted.Add(-48 * time.Hour).UnixMilli()
			n.Summary.Seen = n.Summary.Last
		},
	}
	for check, mark := range mark {
		for _, uneven := range []bool{true, false} {
			f := newSim(6, 6_000, 600, 0, 0)
			e := f.at(2 * time.Hour)
			measured := make([]Measured, len(e.Nodes))
			for i := range e.Nodes {
				e.Nodes[i].Measured = &measured[i]
			}
			for i := range e.Nodes {
				if n := &e.Nodes[i]; i%60 == 0 || uneven && n.Admitted() && i%10 == 1 {
					mark(&e, n)
				}
			}
			v := Look(DefaultPolicy(), e)
			missing := strings.Join(v.Missing, "\n")
			if got := strings.Contains(missing, "the cohorts differed before the change"); got != uneven || got && !strings.Contains(missing, "("+check+")") {
				t.Errorf("%s, more among the canaries %v: %s: %q", check, uneven, v.Result, v.Missing)
			}
			if v.Result == Fail || uneven && v.Result == Pass {
				t.Errorf("%s: %s: %s", check, v.Result, v.Reason)
			}
		}
	}
}

// TestPlaceboTakesNoMoreThanItsPart: all stages of a rollout together hold it no more often than the plan divides, whatever the stages
// before have left.
func TestPlaceboTakesNoMoreThanItsPart(t *testing.T) {
	for _, stages := range []int{1, 4, 20} {
		sum := 0.0
		for k := range stages {
			c := &cohorts{evidence: Evidence{StageIndex: k, Stages: stages, Accounts: map[string]Account{"silence": {}}}}
			sum += c.placeboLevel("silence", .003)
		}
		if math.Abs(sum-.003) > 1e-12 {
			t.Errorf("%d stages hold with %v, want .003", stages, sum)
		}
	}
	c := &cohorts{evidence: Evidence{StageIndex: 1, Stages: 4, Accounts: map[string]Account{"silence": {Spent: .25, Against: []float64{6, 6, 9}}}}}
	if got, want := c.placeboLevel("silence", .003), c.level("silence", .003); math.Abs(got-want) > 1e-12 {
		t.Errorf("%v where the stage before has spent its part, want %v as the check has", got, want)
	}
}
