package stats

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// TestEProcessByHand: with 1 canary of 4, a canary event multiplies by
// θ/(θ/4+3/4), a control event by 1/(θ/4+3/4).
func TestEProcessByHand(t *testing.T) {
	var e EProcess
	want := 0.0
	for _, step := range []struct{ y0, c int }{{3, 0}, {2, 1}} {
		if err := e.Event(1, step.y0, 1, step.c); err != nil {
			t.Fatal(err)
		}
	}
	for _, theta := range []float64{1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64} {
		want += 4 / (theta + 3) * 3 * theta / (theta + 2) / 11
	}
	if got := math.Exp(e.LogE()); relative(got, want) > 1e-13 {
		t.Errorf("E = %v, want %v", got, want)
	}
}

// TestEProcessIsFair: under no effect the mean of E after a batch is E before it,
// exactly, whatever happened before.
func TestEProcessIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e EProcess
		for range rapid.IntRange(0, 5).Draw(t, "events before") {
			y1, y0 := rapid.IntRange(1, 30).Draw(t, "y1"), rapid.IntRange(1, 3000).Draw(t, "y0")
			if err := e.Event(y1, y0, 1, rapid.IntRange(0, 1).Draw(t, "c")); err != nil {
				t.Fatal(err)
			}
		}
		y1, y0 := rapid.IntRange(0, 20).Draw(t, "y1"), rapid.IntRange(0, 200).Draw(t, "y0")
		if y1+y0 == 0 {
			return
		}
		d := rapid.IntRange(1, y1+y0).Draw(t, "d")
		h, first := shares(y1, y0, d, 1)
		mean := 0.0
		for k, share := range h {
			next := e
			if err := next.Event(y1, y0, d, first+k); err != nil {
				t.Fatal(err)
			}
			mean += share * math.Exp(next.LogE()-e.LogE())
		}
		if math.Abs(mean-1) > 1e-9 {
			t.Errorf("E grows by %v on average, want 1", mean)
		}
	})
}

// TestEProcessNull: looked at after every event of stages without effect, E reaches
// 1/α in no more than a share α of them.
func TestEProcessNull(t *testing.T) {
	const stages, alpha = 4000, .05
	r := rand.New(rand.NewPCG(4, 1))
	crossed := 0
	for range stages {
		var e EProcess
		y1, y0 := 50, 450
		for range 60 {
			c := 0
			if r.IntN(y1+y0) < y1 {
				c = 1
			}
			if err := e.Event(y1, y0, 1, c); err != nil {
				t.Fatal(err)
			}
			if e.LogE() >= -math.Log(alpha) {
				crossed++
				break
			}
			y1, y0 = y1-c, y0-1+c
		}
	}
	if limit := stages*alpha + 3*math.Sqrt(stages*alpha); float64(crossed) > limit || crossed == 0 {
		t.Errorf("%d of %d stages without effect crossed, want some and at most %.0f", crossed, stages, limit)
	}
}

func TestEProcessLarge(t *testing.T) {
	var e EProcess
	for range 3 {
		if err := e.Event(100_000, 100_000, 5000, 5000); err != nil {
			t.Fatal(err)
		}
	}
	if l := e.LogE(); math.IsNaN(l) || math.IsInf(l, 0) || l < 1000 {
		t.Errorf("log E = %v, want a large number", l)
	}
	before := e
	if err := e.Event(1, 1, 3, 1); err == nil || e != before {
		t.Errorf("3 events among 2 nodes: error %v, state changed: %v", err, e != before)
	}
}

// TestEProcessBatch compares a large batch with sums of exact integers. A sum that
// loses the terms whose h(k) rounds to 0 makes E far too large.
func TestEProcessBatch(t *testing.T) {
	const y1, y0, d, c = 2000, 3000, 1900, 1500
	var e EProcess
	if err := e.Event(y1, y0, d, c); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{2, 10} {
		theta := big.NewInt(int64(thetas[i]))
		sum, term := new(big.Int), new(big.Int)
		for k := int64(0); k <= d; k++ {
			term.Mul(new(big.Int).Binomial(y1, k), new(big.Int).Binomial(y0, d-k))
			sum.Add(sum, term.Mul(term, new(big.Int).Exp(theta, big.NewInt(k), nil)))
		}
		all := new(big.Int).Binomial(y1+y0, d)
		all.Mul(all, new(big.Int).Exp(theta, big.NewInt(c), nil))
		var mantissa big.Float
		exponent := new(big.Float).Quo(new(big.Float).SetInt(all), new(big.Float).SetInt(sum)).MantExp(&mantissa)
		m, _ := mantissa.Float64()
		want := math.Log(m) + float64(exponent)*math.Ln2
		if math.Abs(e.LogL[i]-want) > 1e-8 {
			t.Errorf("theta %v: log L = %v, want %v", theta, e.LogL[i], want)
		}
	}
}
