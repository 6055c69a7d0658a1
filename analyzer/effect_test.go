package analyzer

import (
	"math"
	"math/rand/v2"
	"testing"
)

// At the effect that is named, a fleet of which every node fails by chance is stopped as often as promised.
func TestSmallestEffectBySimulation(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	p := DefaultPolicy()
	for _, n := range []int{1, 5, 20, 100, 1000} {
		effect, stopped := p.SmallestEffect(n, n, .9), 0
		const tries = 4000
		for range tries {
			failed := 0
			for range n {
				if r.Float64() < effect {
					failed++
				}
			}
			if failed > 0 && failed >= max(p.Stop.Min, needed(p.Stop.Share, n)) {
				stopped++
			}
		}
		if got := float64(stopped) / tries; math.Abs(got-.9) > .02 {
			t.Errorf("%d nodes, an effect of %.4f: stopped in %.3f of the cases", n, effect, got)
		}
	}
}

func TestSmallestEffectSeesNothing(t *testing.T) {
	p := DefaultPolicy()
	p.Stop.Below = 100
	if got := p.SmallestEffect(10, 100, .9); got != 1 {
		t.Errorf("beyond stop.below: %v", got)
	}
	p.Stop.Below, p.Stop.Min = 0, 5
	if got := p.SmallestEffect(2, 4, .9); got != 1 {
		t.Errorf("fewer nodes than the rule asks for: %v", got)
	}
	if got := p.SmallestEffect(0, 0, .9); got != 1 {
		t.Errorf("no node: %v", got)
	}
}
