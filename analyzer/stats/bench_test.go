package stats

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func benchmarkSamples(n int) (x, y []float64) {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	for range n {
		x, y = append(x, r.NormFloat64()+.01), append(y, r.NormFloat64())
	}
	return x, y
}

func BenchmarkMannWhitney(b *testing.B) {
	for _, n := range []int{50, 10_000, 100_000} {
		x, y := benchmarkSamples(n / 2)
		b.Run(fmt.Sprintf("pooled=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mustTest(b, x, y, Options{})
			}
		})
	}
}

// BenchmarkPValue is the test alone, as scipy and R have it; a million values are to take
// less than 100 ms.
func BenchmarkPValue(b *testing.B) {
	x, y := benchmarkSamples(500_000)
	b.ReportAllocs()
	for b.Loop() {
		mustTest(b, x, y, Options{NoShift: true})
	}
	b.ReportMetric(float64(len(x)+len(y))*float64(b.N)/b.Elapsed().Seconds(), "obs/s")
}

// BenchmarkCounted is the same for values that are bins already, from the observations
// to the p-value.
func BenchmarkCounted(b *testing.B) {
	const width = 801
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]float64, width)
	for i := range values {
		values[i] = float64(i)
	}
	var x, y []uint16
	for range 500_000 {
		x = append(x, uint16(min(max(401+50*r.NormFloat64(), 0), width-1)))
		y = append(y, uint16(min(max(400+50*r.NormFloat64(), 0), width-1)))
	}
	b.ReportAllocs()
	for b.Loop() {
		a, c := make([]int64, width), make([]int64, width)
		for arm, data := range map[*[]int64][]uint16{&a: x, &c: y} {
			if err := CountBins(*arm, data); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := MannWhitneyHistogram(values, a, c, Options{NoShift: true}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(x)+len(y))*float64(b.N)/b.Elapsed().Seconds(), "obs/s")
}

func BenchmarkMannWhitneyZeroInflated(b *testing.B) {
	x, y := benchmarkSamples(30)
	x, y = append(x, make([]float64, 2_000)...), append(y, make([]float64, 98_000)...)
	for b.Loop() {
		mustTest(b, x, y, Options{})
	}
}

func BenchmarkMannWhitneyHistogram(b *testing.B) {
	const bins = 2000
	var values []float64
	var x, y []int64
	for i := range int64(bins) {
		values = append(values, float64(i)*.005)
		x, y = append(x, 1000+i%7), append(y, 400_000+i%11)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := MannWhitneyHistogram(values, x, y, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHypergeometricUpper(b *testing.B) {
	for _, c := range [][4]int64{{12, 110, 2_000, 100_000}, {252_000, 500_000, 500_000, 1_000_000}} {
		b.Run(fmt.Sprint(c), func(b *testing.B) {
			for b.Loop() {
				if _, _, err := HypergeometricUpper(c[0], c[1], c[2], c[3]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkECS is one event and one look at a state of some hundred events.
func BenchmarkECS(b *testing.B) {
	start := mustECS(b, .01)
	for i := range 300 {
		if err := start.Event(2000, 98_000, 1, 0); err != nil {
			b.Fatal(err)
		}
		start.Look(float64(i) / 400)
	}
	for b.Loop() {
		e := start
		if err := e.Event(2000, 98_000, 1, 0); err != nil {
			b.Fatal(err)
		}
		e.Look(.8)
	}
}

// BenchmarkBoundaries is ten looks, as the judge recalls them at every look of its own.
func BenchmarkBoundaries(b *testing.B) {
	for b.Loop() {
		var bounds Boundaries
		for k := 1; k <= 10; k++ {
			if _, err := bounds.Next(float64(k)/10, LDOF(.001, float64(k)/10)); err != nil {
				b.Fatal(err)
			}
		}
	}
}
