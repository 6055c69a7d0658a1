package analyzer

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// At the effect that is named, the exact test rejects as often as promised.
func TestSmallestBoundBySimulation(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	p := DefaultPolicy()
	for _, c := range []struct{ stages, canaries, controls int }{{1, 20, 380}, {2, 100, 100}, {4, 200, 4800}, {6, 500, 500}} {
		effect, crossed := p.SmallestBound(0, c.stages, c.canaries, c.controls, .9), 0
		const tries = 1500
		for range tries {
			test, err := stats.NewECS(p.Alpha * budgetShares[failureEvents] / float64(c.stages))
			if err != nil {
				t.Fatal(err)
			}
			for range c.canaries {
				if r.Float64() < effect {
					if err := test.Event(c.canaries, c.controls, 1, 1); err != nil {
						t.Fatal(err)
					}
				}
			}
			if test.Look(1) {
				crossed++
			}
		}
		if got := float64(crossed) / tries; math.Abs(got-.9) > .03 {
			t.Errorf("one of %d stages, %d canaries beside %d controls, an effect of %.4f: crossed in %.3f of the cases", c.stages, c.canaries, c.controls, effect, got)
		}
	}
}

func TestSmallestBoundSeesNothing(t *testing.T) {
	p := DefaultPolicy()
	for _, c := range [][2]int{{0, 100}, {100, 0}, {1, 100}, {0, 0}, {100, LeastControls - 1}} {
		if got := p.SmallestBound(0, 1, c[0], c[1], .9); got != 1 {
			t.Errorf("%d canaries beside %d controls: %v", c[0], c[1], got)
		}
	}
	if a, b := p.SmallestBound(0, 60, 100, 900, .9), p.SmallestBound(40, 60, 100, 900, .9); a >= b {
		t.Errorf("a late one of many stages has less to spend and sees more: %v, %v", a, b)
	}
}
