package kayenta

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mathext"
)

func readCases(t *testing.T) Suite {
	t.Helper()
	s, err := Cases()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestClassifierCases: all 34 cases of the Mann-Whitney classifier, each with many seeds
// of the noise.
func TestClassifierCases(t *testing.T) {
	seen := 0
	for _, c := range readCases(t).Classifier {
		if c.Classifier != "MannWhitneyClassifier" {
			continue
		}
		seen++
		for seed := range uint64(50) {
			got := Classify(c.Params(), c.Experiment, c.Control, rand.New(rand.NewPCG(seed, 1)))
			if c.Expected.ReasonNotEmpty {
				if got.Reason == "" {
					t.Errorf("%s: no reason", c.Name)
				}
				continue
			}
			if got.Label != c.Expected.Classification {
				t.Errorf("%s, seed %d: %s, want %s (%+v)", c.Name, seed, got.Label, c.Expected.Classification, got)
				break
			}
			if want := c.Expected.Critical; want != nil && got.Critical != *want {
				t.Errorf("%s: critical %t, want %t", c.Name, got.Critical, *want)
				break
			}
		}
	}
	if seen != 34 {
		t.Errorf("%d cases, want 34", seen)
	}
}

func TestNumericCases(t *testing.T) {
	cases := readCases(t).MannWhitney
	if len(cases) != 7 {
		t.Fatalf("%d cases, want 7", len(cases))
	}
	for _, c := range cases {
		slices.Sort(c.X)
		slices.Sort(c.Y)
		x, y := NewArm(c.X), NewArm(c.Y)
		var found Interval
		if len(c.X) > 0 {
			found, _ = interval(x, y, c.Confidence)
		}
		for _, check := range c.Checks {
			var got float64
			switch check.What {
			case "wilcoxon_diff":
				got, _ = diff(x, y, check.Mu, check.Quantile)
			case "z_quantile":
				got = mathext.NormalQuantile(check.Probability)
			case "mu_min":
				got = muMin(x, y)
			case "mu_max":
				got = muMax(x, y)
			case "ci_low":
				got = found.Low
			case "ci_high":
				got = found.High
			case "estimate":
				got = found.Estimate
			default:
				t.Fatalf("%s: check of %q is not known", c.Name, check.What)
			}
			if !(math.Abs(got-check.Value) <= check.Tolerance) {
				t.Errorf("%s: %s is %v, want %v ± %v", c.Name, check.What, got, check.Value, check.Tolerance)
			}
		}
	}
}
