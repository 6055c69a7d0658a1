package stats

import "math"

// ClopperPearsonUpper is the exact upper confidence limit of an event rate after
// `events` among n nodes: the largest p with P(Bin(n,p) ≤ events) > 1−level
// (Clopper and Pearson 1934), one-sided; after 0 events 1 − (1−level)^(1/n). Nodes
// with different rates make it conservative. Arguments that make no sense, and
// n = 0, give 1, the limit that rules nothing out.
func ClopperPearsonUpper(events, n int, level float64) float64 {
	switch {
	case !sensible(events, n, level) || events == n:
		return 1
	case events == 0:
		return -math.Expm1(math.Log(1-level) / float64(n))
	}
	k, total := int64(events), int64(n)
	return bisect(float64(events)/float64(n), 1, func(p float64) bool {
		return binomialLower(k, total, p) <= 1-level
	})
}

// ClopperPearsonLower is the exact lower limit: the smallest p with
// P(Bin(n,p) ≥ events) > 1−level, one-sided; 0 after 0 events and for arguments
// that make no sense.
func ClopperPearsonLower(events, n int, level float64) float64 {
	switch {
	case !sensible(events, n, level) || events == 0:
		return 0
	case events == n:
		return math.Exp(math.Log(1-level) / float64(n))
	}
	k, total := int64(events), int64(n)
	// The search ends on the side that satisfies its condition; a lower limit
	// has to be rounded down, to the value just before it.
	above := bisect(0, float64(events)/float64(n), func(p float64) bool {
		return binomialUpper(k, total, p) > 1-level
	})
	return math.Nextafter(above, 0)
}

// fewest is the smallest number of nodes above low that is enough, or math.MaxInt. It never is with low nodes: all of them failed.
func fewest(low int, enough func(n int) bool) int {
	high := low + 1
	for !enough(high) {
		if high > 1<<52 {
			return math.MaxInt
		}
		low, high = high, 2*high
	}
	for high-low > 1 {
		if mid := low + (high-low)/2; enough(mid) {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

func sensible(events, n int, level float64) bool {
	return n > 0 && events >= 0 && events <= n && inside(level)
}

// bisect is the smallest float64 in (low, high] for which the monotone condition
// holds, which it must at high.
func bisect(low, high float64, holds func(float64) bool) float64 {
	for {
		mid := low + (high-low)/2
		if mid <= low || mid >= high {
			return high
		}
		if holds(mid) {
			high = mid
		} else {
			low = mid
		}
	}
}

// binomialLower is P(Bin(n,p) ≤ k). The sum starts at k and goes down, where
// terms fall geometrically once k is below the mean.
func binomialLower(k, n int64, p float64) float64 {
	q := 1 - p
	sum, term := 1.0, 1.0
	for j := k; j > 0 && term > 1e-18*sum; j-- {
		term *= float64(j) / float64(n-j+1) * (q / p)
		sum += float64(term)
	}
	return min(1, math.Exp(logBinomialTerm(k, n, p, q)+math.Log(sum)))
}

// binomialUpper is P(Bin(n,p) ≥ k), summed upwards from k.
func binomialUpper(k, n int64, p float64) float64 {
	q := 1 - p
	sum, term := 1.0, 1.0
	for j := k; j < n && term > 1e-18*sum; j++ {
		term *= float64(n-j) / float64(j+1) * (p / q)
		sum += float64(term)
	}
	return min(1, math.Exp(logBinomialTerm(k, n, p, q)+math.Log(sum)))
}
