package stats

import (
	"errors"
	"fmt"
	"math"
)

// MannWhitney compares the values of the canaries with those of the controls
// (Mann and Whitney 1947; Wilcoxon 1945), conditionally on the pooled values, so
// ties need no correction where the p-value is exact. The asymptotic p-value
// uses the tie-corrected variance
//
//	nm/12 · [(N+1) − Σ(t³−t)/(N(N−1))]
//
// Infinities are values like others. Where all values are equal P is 1.
func MannWhitney(canary, control []float64, opt Options) (Result, error) {
	opt, err := opt.check()
	if err != nil {
		return Result{}, err
	}
	p, err := poolSamples(canary, control)
	if err != nil {
		return Result{}, err
	}
	return test(p, opt)
}

// MannWhitneyHistogram is MannWhitney on counts: canaryCounts[i] canaries and
// controlCounts[i] controls have values[i]. Values ascend strictly; counts may
// be zero. Its cost grows with the bins, not with the observations, of which
// there may be up to [MaxObservations].
func MannWhitneyHistogram(values []float64, canaryCounts, controlCounts []int64, opt Options) (Result, error) {
	opt, err := opt.check()
	if err != nil {
		return Result{}, err
	}
	p, err := poolHistogram(values, canaryCounts, controlCounts)
	if err != nil {
		return Result{}, err
	}
	return test(p, opt)
}

func test(p pooled, opt Options) (Result, error) {
	p, err := p.complete()
	if err != nil {
		return Result{}, err
	}
	twoU, pairs := p.twoU(), p.n*p.m
	r := Result{
		U: float64(twoU) / 2, N: int(p.n), M: int(p.m), Ties: int64(len(p.values)) < p.n+p.m,
		Alternative: opt.Alternative, ShiftLevel: opt.Level,
		A12:         float64(twoU) / float64(2*pairs),
		CliffsDelta: float64(twoU-pairs) / float64(pairs),
	}
	normal, z := normalTail(p, twoU, opt)
	r.Z = z
	less, greater, err := exactTails(p, twoU, opt.Method)
	t := pick(opt.Alternative, less, greater)
	r.Method = Exact
	switch {
	case opt.Method == Asymptotic, opt.Method == Auto && errors.Is(err, ErrTooLarge):
		r.Method, t = Asymptotic, normal
	case err != nil:
		return Result{}, err
	}
	r.P, r.LogP = t.p, t.logP
	if !opt.NoShift {
		d := newDifferences(p)
		r.Shift = shift(d)
		r.ShiftLow, r.ShiftHigh = shiftInterval(p, d, opt.Level)
	}
	r.Warnings = warnings(p, r)
	return r, nil
}

// exactTails answers two-valued data by the hypergeometric distribution at any
// size, and all else by the tables, within the bound of the method.
func exactTails(p pooled, twoU int64, method Method) (less, greater tail, err error) {
	if method == Asymptotic {
		return certain, certain, nil
	}
	switch len(p.values) {
	case 1:
		return certain, certain, nil
	case 2:
		high := urn{failed: p.size(1), drawn: p.n, total: p.n + p.m}
		low := urn{failed: p.size(0), drawn: p.n, total: p.n + p.m}
		return low.upper(p.canary[0]), high.upper(p.canary[1]), nil
	}
	bound := float64(AutoExactWork)
	if method == Exact {
		bound = MaxExactWork
	}
	if p.hopeless(bound) {
		return certain, certain, fmt.Errorf("exact test of %d and %d observations: %w, expected fewer", p.n, p.m, ErrTooLarge)
	}
	pl := newPlan(p)
	if err := pl.affordable(bound); err != nil {
		return certain, certain, err
	}
	less, greater = pl.count(twoU).tails()
	return less, greater, nil
}

func warnings(p pooled, r Result) []string {
	var w []string
	switch {
	case len(p.values) == 1:
		w = append(w, "all values are equal: there is nothing to compare")
	case r.Method == Asymptotic && 2*p.largest() > p.n+p.m:
		w = append(w, "more than half of the values are equal: the normal approximation is not to be trusted, test that value as an event and rank the others apart")
	case r.Method == Asymptotic && min(p.n, p.m) < 10:
		w = append(w, "an arm has fewer than 10 values: the normal approximation is rough")
	}
	if math.IsInf(p.values[0], -1) || math.IsInf(p.values[len(p.values)-1], 1) {
		w = append(w, "some values are infinite: the shift may be infinite")
	}
	if math.IsInf(r.ShiftLow, 0) || math.IsInf(r.ShiftHigh, 0) {
		w = append(w, "the interval of the shift is unbounded")
	}
	return w
}
