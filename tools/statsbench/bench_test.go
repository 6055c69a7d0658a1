package main

import (
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/tools/internal/page"
)

// TestErrorOfECS is a small part of the bench: a test whose level were 2 % would
// fail it in some world.
func TestErrorOfECS(t *testing.T) {
	const runs = 1500
	for i, w := range worlds() {
		if strings.Contains(w.name, "common") || strings.Contains(w.name, "100 strata") {
			continue // many events: left to make stats
		}
		got := measure(w, rules[:1], runs, uint64(i)<<32)[0].rejected
		if limit := runs*alpha + 3.5*math.Sqrt(runs*alpha); float64(got) > limit {
			t.Errorf("%s: ECS stopped %d of %d stages without effect, want at most %.0f", w.name, got, runs, limit)
		}
	}
}

func TestPowerOfECS(t *testing.T) {
	r := measure(effects()[0], rules[:1], 1500, 7)
	if r[0].rejected < 1350 || median(r[0].nodes) > 720 {
		t.Errorf("+.5 points: ECS stopped %d of 1500 stages, at a median of %d canaries; want about 94 %% and 655", r[0].rejected, median(r[0].nodes))
	}
}

func TestReportIsRepeatable(t *testing.T) {
	var a, b strings.Builder
	w := effects()[5]
	row(&a, w, rules, 1200, 3, power)
	row(&b, w, rules, 1200, 3, power)
	if a.String() != b.String() || !strings.Contains(a.String(), "%") {
		t.Errorf("two reports from one seed differ:\n%s\n%s", &a, &b)
	}
}

func TestBinomial(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	sum, squares := 0.0, 0.0
	const runs, n, p = 20_000, 50, .3
	for range runs {
		k := float64(binomial(r, n, p))
		sum, squares = sum+k, squares+k*k
	}
	mean := sum / runs
	if variance := squares/runs - mean*mean; math.Abs(mean-n*p) > .1 || math.Abs(variance-n*p*(1-p)) > .5 {
		t.Errorf("mean %v, variance %v; want 15 and 10.5", mean, variance)
	}
}

// TestDocumentSaysSo: what the page says of Kayenta is what the command prints.
func TestDocumentSaysSo(t *testing.T) {
	old, err := os.ReadFile("../../docs/statistics.md")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	kayentaSection(&out)
	next, err := page.Replace(string(old), "statsbench", "kayenta", out.String())
	if err != nil {
		t.Fatal(err)
	}
	if next != string(old) {
		t.Errorf("docs/statistics.md is not what make stats-doc writes:\n%s", out.String())
	}
}
