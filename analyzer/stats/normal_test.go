package stats

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestUpperTailVectors(t *testing.T) {
	t.Parallel()
	for _, c := range loadVectors(t).NormalSurvival {
		z, _, err := big.ParseFloat(c.Z, 10, precision, big.ToNearestEven)
		if err != nil {
			t.Fatal(err)
		}
		hi, lo := split(z)
		got := upperTail(hi, lo)
		checkP(t, "z = "+c.Z, got.p, got.logP, c.SF)
	}
}

// Both halves add up, and the tail never grows with z, also where one formula for
// the logarithm takes over from the other.
func TestUpperTailProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		z := rapid.Float64Range(-40, 40).Draw(t, "z")
		a, b := upperTail(z, 0), upperTail(-z, 0)
		if sum := a.p + b.p; sum < 1-1e-15 || sum > 1+1e-15 {
			t.Fatalf("the halves add up to %v", sum)
		}
		if next := upperTail(z+1e-3, 0); next.p > a.p || next.logP > a.logP {
			t.Fatalf("the tail grows from %+v to %+v", a, next)
		}
	})
	before, after := upperTail(29.999999999999996, 0).logP, upperTail(30, 0).logP
	if step := before - after; step < 0 || step > 1e-12 {
		t.Errorf("the logarithm jumps by %v at z = 30", step)
	}
}
