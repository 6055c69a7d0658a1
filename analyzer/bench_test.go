package analyzer

import "testing"

// A stage of a large fleet must be judged within a poll.
func BenchmarkJudge(b *testing.B) {
	w := newWorld(1000, 19000)
	for i := range 40 {
		w.nth(name(i), 1).fail("Exec[broken]")
	}
	for b.Loop() {
		w.judge()
	}
	b.ReportMetric(float64(len(w.Runs)), "runs")
}
