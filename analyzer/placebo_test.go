package analyzer

import (
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
