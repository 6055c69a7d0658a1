package stats

import (
	"math"
	"math/bits"
	"testing"

	"pgregory.net/rapid"
)

// step of a stage: some events at one instant, then a look.
type step struct {
	d int
	t float64
}

// TestUrnSpendsWhatItSays goes through every choice of the canaries: the share of them in
// which the test rejects is what it says to have spent.
func TestUrnSpendsWhatItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 11).Draw(t, "nodes")
		n1 := rapid.IntRange(1, n-1).Draw(t, "canaries")
		alpha := rapid.SampledFrom([]float64{.01, .05, .2, .5}).Draw(t, "alpha")
		var steps []step
		for left, at := n, 0.; left > 0 && len(steps) < n; {
			s := step{d: rapid.IntRange(1, min(3, left)).Draw(t, "d")}
			at += rapid.Float64Range(0, .3).Draw(t, "t")
			s.t = min(at, 1)
			left -= s.d
			steps = append(steps, s)
		}
		ways, rejected, spent := 0, 0, math.NaN()
		for set := range uint(1) << n { // which nodes are canaries, in the order of their events
			if bits.OnesCount(set) != n1 {
				continue
			}
			ways++
			u, err := NewUrn(alpha, n1, n-n1)
			if err != nil {
				t.Fatal(err)
			}
			if end := runUrn(t, &u, set, steps); end {
				rejected++
			} else {
				spent = u.Spent
			}
		}
		share := float64(rejected) / float64(ways)
		if share > alpha+1e-12 {
			t.Fatalf("%d of %d choices are rejected at %v", rejected, ways, alpha)
		}
		if rejected < ways && math.Abs(share-spent) > 1e-12 {
			t.Fatalf("%d of %d choices are rejected, spent %v", rejected, ways, spent)
		}
	})
}

func runUrn(t *rapid.T, u *Urn, set uint, steps []step) bool {
	node := 0
	for _, s := range steps {
		c := bits.OnesCount(set >> node & (1<<s.d - 1))
		node += s.d
		if err := u.Event(s.d, c); err != nil {
			t.Fatal(err)
		}
		if u.Look(s.t) {
			return true
		}
	}
	return u.Look(1)
}

// TestUrnIsNearECS: in a large stratum with few events the two are the same test.
func TestUrnIsNearECS(t *testing.T) {
	u, err := NewUrn(.01, 20_000, 980_000)
	if err != nil {
		t.Fatal(err)
	}
	e := mustECS(t, .01)
	for i := range 50 {
		if err := u.Event(1, 0); err != nil {
			t.Fatal(err)
		}
		if err := e.Event(20_000, 980_000, 1, 0); err != nil {
			t.Fatal(err)
		}
		at := float64(i+1) / 50
		if u.Look(at); e.Look(at) || u.Boundary != e.Boundary {
			t.Fatalf("event %d: boundaries %d and %d", i+1, u.Boundary, e.Boundary)
		}
	}
	if math.Abs(u.Spent-e.Spent) > 1e-5 {
		t.Errorf("spent %v and %v", u.Spent, e.Spent)
	}
}

func TestUrnRefuses(t *testing.T) {
	for _, c := range [][2]int{{0, 5}, {5, 0}, {-1, 2}} {
		if _, err := NewUrn(.01, c[0], c[1]); err == nil {
			t.Errorf("%v was taken", c)
		}
	}
	u, _ := NewUrn(.01, 2, 3)
	for _, c := range [][2]int{{0, 0}, {3, 3}, {4, 0}, {2, -1}, {6, 2}} {
		if err := u.Event(c[0], c[1]); err == nil {
			t.Errorf("%d canaries of %d events were taken", c[1], c[0])
		}
	}
	if err := (&Urn{}).Event(1, 0); err == nil {
		t.Error("the zero value was taken")
	}
}
