package analyzer

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkLookTroubled is a look at a stage in which 50,000 runs are kept, in the random order in which a ledger gives them.
func BenchmarkLookTroubled(b *testing.B) {
	f := newSim(1, 100_000, 2_000, .125, 0)
	e := f.at(2 * 3600e9)
	rand.Shuffle(len(e.Runs), func(i, j int) { e.Runs[i], e.Runs[j] = e.Runs[j], e.Runs[i] })
	p := DefaultPolicy()
	for b.Loop() {
		Look(p, e)
	}
	b.ReportMetric(float64(len(e.Runs)), "runs")
}
