package stats

import (
	"fmt"
	"math"
	"math/big"
)

// HypergeometricUpper is P(X ≥ k) and its natural logarithm, X being the number
// of canaries among K failed nodes, if n of N nodes are canaries:
//
//	P(X = j) = C(K,j)·C(N−K,n−j)/C(N,n)
//
// It is Fisher's exact test, and the exact Mann-Whitney test of two-valued data.
// Terms follow from their neighbours, starting at the mode, in 128-bit floats:
// differences of log-gammas lose nine digits at N = 500,000 (facts: 4.1).
func HypergeometricUpper(k, K, n, N int64) (p, logP float64, err error) {
	if N < 0 || N > MaxObservations || K < 0 || K > N || n < 0 || n > N {
		return 1, 0, fmt.Errorf("hypergeometric tail for %d of %d failed and %d of %d canaries: %w", k, K, n, N, ErrArgument)
	}
	t := urn{failed: K, drawn: n, total: N}.upper(k)
	return t.p, t.logP, nil
}

// urn describes a draw without replacement; 2·failed·drawn must fit an int64.
type urn struct{ failed, drawn, total int64 }

const (
	urnPrecision = 128
	// urnSteps bounds the way from the mode to k. Up to MaxObservations, every
	// tail beyond it is below 1e-200.
	urnSteps = 1 << 19
)

func (u urn) upper(k int64) tail {
	low, high := max(0, u.drawn+u.failed-u.total), min(u.drawn, u.failed)
	switch {
	case k <= low:
		return certain
	case k > high:
		return tail{logP: math.Inf(-1)}
	case k > u.mode():
		return u.beyond(k, high).floor()
	}
	// X ≥ k fails where at least n−k+1 of the drawn are not failed.
	mirror := urn{failed: u.total - u.failed, drawn: u.drawn, total: u.total}
	below := mirror.beyond(u.drawn-k+1, min(mirror.drawn, mirror.failed))
	return tail{p: 1 - below.p, logP: math.Log1p(-below.p)}
}

func (u urn) mode() int64 {
	// (n+1)(K+1) stays below 2^63 for total ≤ MaxObservations.
	return min((u.drawn+1)*(u.failed+1)/(u.total+2), u.drawn, u.failed)
}

// beyond is P(X ≥ k) for k at or above the mode.
func (u urn) beyond(k, high int64) tail {
	mode := u.mode()
	if k-mode > urnSteps {
		log := u.farLog(k, high)
		return tail{p: math.Exp(log), logP: log}
	}
	rest := u.sumBelow(mode)
	part := new(big.Float).SetPrec(urnPrecision)
	term := new(big.Float).SetPrec(urnPrecision).SetInt64(1)
	for j := mode; ; j++ {
		if j < k {
			addTo(rest, term)
		} else {
			addTo(part, term)
		}
		if j >= high || j >= k && negligible(term, part) {
			break
		}
		up, down := u.ratio(j)
		term.Mul(term, up).Quo(term, down)
	}
	all := new(big.Float).Copy(rest)
	addTo(all, part)
	return fraction(part, rest, all)
}

// sumBelow adds the terms below the mode, in units of the mode's.
func (u urn) sumBelow(mode int64) *big.Float {
	term := new(big.Float).SetPrec(urnPrecision).SetInt64(1)
	sum := new(big.Float).SetPrec(urnPrecision)
	for j := mode - 1; j >= max(0, u.drawn+u.failed-u.total); j-- {
		up, down := u.ratio(j)
		term.Mul(term, down).Quo(term, up)
		addTo(sum, term)
		if negligible(term, sum) {
			break
		}
	}
	return sum
}

// ratio is P(X = j+1)/P(X = j) as numerator and denominator.
func (u urn) ratio(j int64) (up, down *big.Float) {
	return new(big.Float).SetInt64((u.failed - j) * (u.drawn - j)),
		new(big.Float).SetInt64((j + 1) * (u.total - u.failed - u.drawn + j + 1))
}

// farLog is log P(X ≥ k) where k is so far above the mode that only the
// logarithm is left, by Loader's saddle-point form of the hypergeometric term.
func (u urn) farLog(k, high int64) float64 {
	p := float64(u.drawn) / float64(u.total)
	q := float64(u.total-u.drawn) / float64(u.total)
	log := logBinomialTerm(k, u.failed, p, q) +
		logBinomialTerm(u.drawn-k, u.total-u.failed, p, q) -
		logBinomialTerm(u.drawn, u.total, p, q)
	sum, term := 1.0, 1.0
	for j := k; j < high && term > 1e-17*sum; j++ {
		term = float64(term * (float64(u.failed-j) / float64(j+1)) * (float64(u.drawn-j) / float64(u.total-u.failed-u.drawn+j+1)))
		sum += term
	}
	return log + math.Log(sum)
}
