package stats

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
)

func spendingVectors(t *testing.T) map[string]map[string]map[string][]float64 {
	t.Helper()
	data, err := os.ReadFile("testdata/mann_whitney_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Precise map[string]json.RawMessage `json:"group_sequential_precise"`
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]map[string][]float64{}
	for name, raw := range all.Precise {
		if name == "note" {
			continue
		}
		var designs map[string]map[string][]float64
		if err := json.Unmarshal(raw, &designs); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = designs
	}
	return out
}

// TestBoundaryVectors: two quadratures agree on these to 1e-10.
func TestBoundaryVectors(t *testing.T) {
	spend := map[string]func(alpha, t float64) float64{"LDOF": LDOF,
		"LDPocock": func(alpha, t float64) float64 { return alpha * math.Log1p((math.E-1)*t) }}
	seen := 0
	for name, designs := range spendingVectors(t) {
		for level, lists := range designs {
			alpha, err := strconv.ParseFloat(strings.TrimPrefix(level, "a="), 64)
			if err != nil {
				t.Fatal(err)
			}
			for design, want := range lists {
				var b Boundaries
				for i, w := range want {
					f := float64(i+1) / float64(len(want))
					c, err := b.Next(f, spend[name](alpha, f))
					if err != nil {
						t.Fatal(err)
					}
					if !(math.Abs(c-w) < 2e-9) {
						t.Errorf("%s alpha %v %s look %d: boundary %.12f, want %.10f", name, alpha, design, i+1, c, w)
					}
					seen++
				}
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d boundaries were compared", seen)
	}
}

// TestBoundarySteps: uneven and small steps, and any unit of information. All looks
// together spend what they may.
func TestBoundarySteps(t *testing.T) {
	for _, steps := range [][]float64{{.4, .01, .59}, {.01, .01, .3}, {.7, .002, .1}, {1}, {.1, .9}} {
		for _, unit := range []float64{1e-9, 1e9} {
			checkSteps(t, steps, unit)
		}
	}
}

func checkSteps(t *testing.T, steps []float64, unit float64) {
	t.Helper()
	var a, b Boundaries
	info := 0.0
	for _, step := range steps {
		info += step
		may, before := LDOF(.01, info), a
		c, err := a.Next(info, may)
		d, err2 := b.Next(info*unit, may)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		if c != d && !(math.Abs(c-d) < 1e-6) {
			t.Errorf("steps %v: boundary %v, and %v in another unit", steps, c, d)
		}
		if !math.IsInf(c, 1) {
			got := before.above(c*math.Sqrt(info), math.Sqrt(info-before.information))
			if want := may - before.spent; relative(got, want) > 1e-9 {
				t.Errorf("steps %v: the look spends %v, want %v", steps, got, want)
			}
		}
		left := 0.0
		for _, m := range a.mass {
			left += m
		}
		if !(math.Abs(left+may-1) < 1e-10) {
			t.Errorf("steps %v: paths left %v and error spent %v add up to %v, want 1", steps, left, may, left+may)
		}
	}
}

func TestBoundaryArguments(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, bad := range [][2]float64{{0, .01}, {-1, .01}, {nan, .01}, {inf, .01}, {.5, .01}, {.5001, .01}, {1, nan}, {1, 1}, {1, -.1}, {1, .001}} {
		b := Boundaries{}
		if c, err := b.Next(.5, .002); err != nil || !(c > 2) {
			t.Fatal(c, err)
		}
		if c, err := b.Next(bad[0], bad[1]); err == nil {
			t.Errorf("Next(%v, %v) = %v, want an error", bad[0], bad[1], c)
		}
	}
	var b Boundaries
	if c, err := b.Next(.001, LDOF(.01, .001)); err != nil || !math.IsInf(c, 1) {
		t.Errorf("a look that may spend next to nothing: boundary %v, error %v, want +Inf", c, err)
	}
	for _, f := range []float64{0, -1, nan} {
		if got := LDOF(.01, f); got != 0 {
			t.Errorf("LDOF(.01, %v) = %v, want 0", f, got)
		}
	}
}
