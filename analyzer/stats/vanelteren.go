package stats

import (
	"errors"
	"fmt"
)

// Stratum is one stratum's nodes as counts over values, which ascend strictly.
// Histograms of the same values merge by adding counts.
type Stratum struct {
	Values          []float64
	Canary, Control []int64
}

// NewStratum counts the values of both arms. An arm may be empty here: the test
// leaves such a stratum out.
func NewStratum(canary, control []float64) (Stratum, error) {
	p, err := poolSamples(canary, control)
	return Stratum{Values: p.values, Canary: p.canary, Control: p.control}, err
}

// StratifiedResult is the outcome of [VanElteren].
type StratifiedResult struct {
	Z, P, LogP  float64 // as in Result
	Method      Method  // Exact or Asymptotic, as used
	Alternative Alternative
	Strata      int // strata with both arms
	Omitted     int // strata left out, because an arm is empty
	N, M        int // canaries and controls in the strata used
	// Information is Σ n·m/(N+1), to which Var T is proportional without ties.
	Information float64
	Warnings    []string
}

// VanElteren is the stratified Mann-Whitney test (van Elteren 1960): nodes are
// ranked inside their stratum only, so an arm with another mix of strata does not
// fire. With midranks and the tie-corrected Var U of each stratum
//
//	T = Σ (U − nm/2)/(N+1)   Var T = Σ Var U/(N+1)²   z = T/√Var T
//
// and no continuity correction ([Options.Continuity] and Level have no effect).
// Strata without both arms are left out, strata with one value add nothing. The
// exact p-value is conditional on the pooled values of every stratum.
func VanElteren(strata []Stratum, opt Options) (StratifiedResult, error) {
	opt, err := opt.check()
	if err != nil {
		return StratifiedResult{}, err
	}
	r := StratifiedResult{Alternative: opt.Alternative, Method: Exact}
	var used []pooled
	var total int64
	for i, s := range strata {
		p, err := poolHistogram(s.Values, s.Canary, s.Control)
		if err != nil {
			return StratifiedResult{}, fmt.Errorf("stratum %d: %w", i, err)
		}
		if p.n == 0 || p.m == 0 {
			r.Omitted++
			continue
		}
		used = append(used, p)
		r.N, r.M = r.N+int(p.n), r.M+int(p.m)
		r.Information += float64(p.n*p.m) / float64(p.n+p.m+1)
		if total += p.n + p.m; total > MaxObservations {
			return StratifiedResult{}, fmt.Errorf("stratum %d: %w, expected at most %d observations", i, ErrTooLarge, MaxObservations)
		}
	}
	if r.Strata = len(used); r.Strata == 0 {
		return StratifiedResult{}, fmt.Errorf("all %d strata: %w", len(strata), ErrEmpty)
	}
	return r.fill(used, opt)
}

func (r StratifiedResult) fill(used []pooled, opt Options) (StratifiedResult, error) {
	less, greater, z := stratifiedNormal(used)
	l, g, err := stratifiedExact(used, opt.Method)
	switch {
	case opt.Method == Asymptotic, opt.Method == Auto && errors.Is(err, ErrTooLarge):
		r.Method, r.Warnings = Asymptotic, stratifiedWarnings(used)
	case err != nil:
		return StratifiedResult{}, err
	default:
		less, greater = l, g
	}
	t := pick(opt.Alternative, less, greater)
	r.Z, r.P, r.LogP = z, t.p, t.logP
	return r, nil
}

func stratifiedNormal(used []pooled) (less, greater tail, z float64) {
	t, variance := wide(), wide()
	for _, p := range used {
		weight := wide().SetInt64(p.n + p.m + 1)
		deviation := wide().SetInt64(p.twoU() - p.n*p.m)
		t.Add(t, deviation.Quo(deviation, weight))
		variance.Add(variance, wide().Quo(doubledVariance(p), weight.Mul(weight, weight)))
	}
	if variance.Sign() == 0 {
		return certain, certain, 0
	}
	hi, lo := split(t.Quo(t, variance.Sqrt(variance)))
	return upperTail(-hi, -lo), upperTail(hi, lo), hi
}

func stratifiedWarnings(used []pooled) []string {
	var total, equal int64
	for _, p := range used {
		total += p.n + p.m
		if t := p.largest(); 2*t > p.n+p.m {
			equal += p.n + p.m
		}
	}
	if 2*equal > total {
		return []string{"more than half of the nodes are in strata whose values are mostly equal: the normal approximation is not to be trusted"}
	}
	return nil
}
