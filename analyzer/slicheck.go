package analyzer

import (
	"fmt"
	"math"
	"slices"

	"github.com/openinfrastructure/sluice/analyzer/stats"
)

// sliResult is a check with the road by which it fails, if it does.
type sliResult struct {
	Check
	required bool
	road     string
	looks    []MagnitudeLook
}

// slis runs the checks of the policy. A sample that no check asks for is not looked at.
func (c *cohorts) slis() []sliResult {
	out := make([]sliResult, 0, len(c.policy.SLIs))
	for _, p := range c.policy.SLIs {
		r := c.sli(p)
		r.Name, r.required = "sli:"+p.Name, p.Required
		if r.looks == nil {
			r.looks = c.looksAt(r.Name) // what was paid for stays so for want of data
		}
		out = append(out, r)
	}
	return out
}

func (c *cohorts) sli(p SLIPolicy) sliResult {
	at := slices.IndexFunc(c.evidence.SLIs, func(s SLISample) bool { return s.Name == p.Name })
	if at < 0 {
		return unknown("there is no sample")
	}
	s := c.evidence.SLIs[at]
	if s.Err != "" {
		return unknown("no data: " + s.Err)
	}
	a := c.arms(s)
	r := a.limit(p, s.Aggregate)
	if r.Result == Inconclusive && r.Reason == "" {
		r = c.compare(a, p)
	}
	r.Canary, r.CanaryTotal = len(a.canary), a.exposed
	r.Control, r.ControlTotal = len(a.control), a.controls
	r.Effect, r.Low, r.High, r.P = bounded(r.Effect), bounded(r.Low), bounded(r.High), bounded(r.P)
	return r
}

func unknown(reason string) sliResult {
	return sliResult{Check: Check{Reason: reason, P: 1, RulesOut: 1}}
}

// bounded makes an unbounded interval writable as JSON.
func bounded(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return min(max(x, -math.MaxFloat64), math.MaxFloat64)
}

// limit applies the absolute limit. It may stop, never let pass: within the limit the
// result is inconclusive without a reason, and the comparison goes on.
func (a arms) limit(p SLIPolicy, aggregate *float64) sliResult {
	if p.Max == nil {
		return sliResult{}
	}
	over := func(what string, v float64) sliResult {
		r := unknown(fmt.Sprintf("%s is %.4g, more than the limit %.4g", what, v, *p.Max))
		r.Result, r.road, r.Method = Fail, RoadStopRule, "limit"
		r.Effect = v - *p.Max
		return r
	}
	if aggregate != nil && *aggregate > *p.Max {
		return over("the aggregate of the canaries", *aggregate)
	}
	if len(a.every) > 0 {
		if m := mean(a.every); m > *p.Max {
			return over("the mean of the canaries", m)
		}
	}
	return sliResult{}
}

// compare asks whether the canaries are worse than the controls.
func (c *cohorts) compare(a arms, p SLIPolicy) sliResult {
	if n := len(a.canary); n < p.minNodes() {
		return unknown(fmt.Sprintf("%s data, %d are needed", have(n, "exposed node"), p.minNodes()))
	}
	// Values that vanish on canaries only are the worst news an exporter can give.
	if a.controls > 0 {
		usual := float64(len(a.control)) / float64(a.controls)
		if want := needed(c.policy.Coverage*usual, a.exposed); len(a.canary) < want {
			return unknown(fmt.Sprintf("%d of %s data, %d are needed: %d of %s it",
				len(a.canary), have(a.exposed, "exposed node"), want, len(a.control), have(a.controls, "control")))
		}
	}
	if smallest := a.smallestP(p.Direction); smallest > p.alpha()*stageShare(c.evidence.StageIndex) {
		why := fmt.Sprintf("%d canaries and %d controls are too few: no result could reach p <= %.4g", len(a.canary), len(a.control), p.alpha()*stageShare(c.evidence.StageIndex))
		r := unknown(why)
		if p.Max != nil {
			r.Result, r.Method, r.Reason = Pass, "limit", fmt.Sprintf("within the limit %.4g; %s", *p.Max, why)
		}
		return r
	}
	if n := a.compared(); n < p.minNodes() {
		return unknown(fmt.Sprintf("%d of %d exposed nodes with data have controls of their stratum to compare with, %d are needed", n, len(a.canary), p.minNodes()))
	}
	d, err := a.difference(p.Direction)
	if err != nil {
		return unknown("the comparison failed: " + err.Error())
	}
	return c.weigh(a, p, d, c.looksAt("sli:"+p.Name))
}

func alternative(direction string) stats.Alternative {
	switch direction {
	case Increase:
		return stats.Greater
	case Decrease:
		return stats.Less
	}
	return stats.TwoSided
}

// weigh fails a check only if the difference is both significant and of a size that matters. The level is spent over the
// looks of the stage, so that looking often does not find more.
func (c *cohorts) weigh(a arms, p SLIPolicy, d difference, taken []MagnitudeLook) sliResult {
	r := sliResult{Check: Check{Effect: d.shift, Low: d.low, High: d.high, P: d.p, Method: d.method, RulesOut: 1}}
	typical := median(a.control)
	if a.mostlyTied() {
		// The median of differences is 0 then whatever happens to the rest, and normal
		// tails are wrong: ask instead how often a node leaves the common value.
		beyond, on, err := a.leaving(p.Direction)
		if err != nil {
			return unknown("the comparison failed: " + err.Error())
		}
		typical = mean(a.control)
		r.Effect = a.meanDifference()
		r.P = min(1, 3*min(beyond, on, d.trusted())) // three looks at the same values
		r.Method = "exact on leaving the common value"
	}
	harm := r.Effect
	switch p.Direction {
	case Decrease:
		harm = -r.Effect
	case Either:
		harm = math.Abs(r.Effect)
	}
	next := MagnitudeLook{Check: "sli:" + p.Name, Stage: c.evidence.StageIndex, T: c.info()(c.evidence.Now.UnixMilli()),
		Information: d.information, Z: quantile(r.P), Shift: harm}
	looks, err := c.look(taken, next, p.alpha()*stageShare(c.evidence.StageIndex))
	if err != nil {
		return unknown("the comparison failed: " + err.Error())
	}
	r.looks = looks
	tolerated := p.Tolerate * math.Abs(typical)
	figures := fmt.Sprintf("the canaries differ by %.4g, p = %.3g", r.Effect, r.P)
	significant := false
	for _, l := range looks {
		if significant = significant || l.Z >= l.Boundary; l.Z >= l.Boundary && l.Shift > tolerated {
			r.Result, r.road = Fail, RoadBound
			r.Reason = fmt.Sprintf("significantly worse: %s (z = %.3g at the look at %.0f %% of the stage, the boundary was %.3g; alpha %.4g, tolerated %.4g)", figures, l.Z, 100*l.T, l.Boundary, p.alpha(), tolerated)
			return r
		}
	}
	if r.Result, r.Reason = Pass, "not significantly worse: "+figures; significant {
		r.Reason = fmt.Sprintf("within what is tolerated (%.4g): %s", tolerated, figures)
	}
	return r
}

// quantile is the z of a one-sided p-value.
func quantile(p float64) float64 { return bounded(math.Sqrt2 * math.Erfcinv(float64(2*p))) }

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v / float64(len(values)) // no overflow on the way
	}
	return sum
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return sorted[(n-1)/2]/2 + sorted[n/2]/2
}
