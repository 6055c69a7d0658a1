package main

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRunTimes: van Elteren in LDOF limits keeps its level, and sees +2 % within 1,000
// canaries.
func TestRunTimes(t *testing.T) {
	small := timing{strata: []timingStratum{{200, 800, .1}, {100, 900, 0}}, spread: .15, drift: .1}
	const runs = 600
	if got := small.measure(runs, 1)[0].rejected; float64(got) > runs*alpha+3.5*math.Sqrt(runs*alpha) {
		t.Errorf("%d of %d stages without effect were stopped", got, runs)
	}
	r := timingEffects()[1].measure(40, 2)[0]
	if r.rejected < 39 || median(r.nodes) > 1000 {
		t.Errorf("+2 %%: %d of 40 stages stopped at a median of %d canaries", r.rejected, median(r.nodes))
	}
}

func TestHeavyHasVarianceOne(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	below := 0 // the quartiles of t₃/√3 are ±.4416
	for range 40_000 {
		below += count(math.Abs(heavy(r)) < .4416)
	}
	if below < 19_600 || below > 20_400 {
		t.Errorf("%d of 40000 between the quartiles", below)
	}
}

// TestCorrelatedReports: two reports of a node agree as often as they should.
func TestCorrelatedReports(t *testing.T) {
	w := world{strata: one(0, 100_000, .05, .05), reports: 2, shared: math.Sqrt(.8)}
	st := w.draw(rand.New(rand.NewPCG(5, 5)), stage{})
	both := len(st.reports) - len(st.events)
	// P(both fail) = p² + .8·p(1−p)
	if want := 100_000 * (.0025 + .8*.05*.95); math.Abs(float64(both)-want) > 6*math.Sqrt(want)+.06*want {
		t.Errorf("both reports of %d nodes failed, want about %.0f", both, want)
	}
}

// TestRulesSeeWhatTheyMay: hidden failures and chronic ones reach the rules that read them.
func TestRulesSeeWhatTheyMay(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	hidden := world{strata: one(100, 900, 0, .5), hidden: true}.draw(r, stage{})
	if len(hidden.events) == 0 || len(hidden.reports) != 0 {
		t.Errorf("hidden: %d events, %d failed reports", len(hidden.events), len(hidden.reports))
	}
	chronic := world{strata: one(100, 900, 0, 0), chronic: .5}.draw(r, stage{})
	if len(chronic.events) != 0 || len(chronic.nodes) < 300 {
		t.Errorf("chronic: %d events, %d nodes", len(chronic.events), len(chronic.nodes))
	}
}

func TestPictures(t *testing.T) {
	dir := t.TempDir()
	if err := (bench{runs: 100, seed: 1}).pictures(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"power", "exposed", "alarms"} {
		if got, err := os.ReadFile(filepath.Join(dir, "statistics-"+name+".svg")); err != nil || !strings.Contains(string(got), "Kayenta") {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
}

// TestTheFastTestIsTheSame: the level of many stages is measured with a plainer sum of the same ranks.
func TestTheFastTestIsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for _, w := range append(timingWorlds(), smallTimings()...) {
		s := newSeen(len(w.strata))
		for look := 1; look <= looks; look++ {
			w.growFast(r, s, look)
			if fast, slow := s.fastZ(), s.z(); math.Abs(fast-slow) > 1e-7 {
				t.Errorf("%s, look %d: %v and %v", w.name, look, fast, slow)
			}
		}
	}
	if k := smallTimings()[0].level(2_000, 9); k > 40 {
		t.Errorf("%d of 2000 stages without effect were stopped", k)
	}
}
