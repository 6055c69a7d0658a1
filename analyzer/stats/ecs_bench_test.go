package stats

import (
	"fmt"
	"testing"
)

// BenchmarkECSHalf is a check of a stage of half of all nodes in which so many have the event: the work must grow with the events, not with
// their square.
func BenchmarkECSHalf(b *testing.B) {
	for _, events := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(events), func(b *testing.B) {
			for b.Loop() {
				e, err := NewECS(.001)
				if err != nil {
					b.Fatal(err)
				}
				for i := range events {
					if err := e.Event(500_000, 500_000, 1, i%2); err != nil {
						b.Fatal(err)
					}
					e.Look(float64(i) / float64(events))
				}
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
