package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// resamples of the bootstrap; the ends of a 95 % interval stand on 50 of them each.
const resamples = 2000

// estimate is a ratio of medians with its 95 % percentile-bootstrap interval.
type estimate struct{ Estimate, Low, High float64 }

// median is in nanoseconds; the mean of the middle two for an even number, NaN for none.
func median(d []time.Duration) float64 {
	sorted := slices.Clone(d)
	slices.Sort(sorted)
	n := len(sorted)
	switch {
	case n == 0:
		return math.NaN()
	case n%2 == 1:
		return float64(sorted[n/2])
	}
	return (float64(sorted[n/2-1]) + float64(sorted[n/2])) / 2
}

// ratio is median(a)/median(b). Rounds are drawn whole (a[i] with b[i]), because what slows the
// machine slows both. It panics unless a and b have one value per round.
func ratio(a, b []time.Duration, seed uint64) estimate {
	if len(a) != len(b) {
		panic("ratio: samples of different length")
	}
	if len(a) == 0 {
		return estimate{math.NaN(), math.NaN(), math.NaN()}
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	drawnA, drawnB := make([]time.Duration, len(a)), make([]time.Duration, len(b))
	ratios := make([]float64, resamples)
	for k := range ratios {
		for i := range drawnA {
			j := rng.IntN(len(a))
			drawnA[i], drawnB[i] = a[j], b[j]
		}
		ratios[k] = median(drawnA) / median(drawnB)
	}
	slices.Sort(ratios)
	return estimate{median(a) / median(b), ratios[resamples*25/1000], ratios[resamples*975/1000-1]}
}
