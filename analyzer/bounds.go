package analyzer

import "github.com/openinfrastructure/sluice/analyzer/stats"

// confidence of the intervals and of what a clean pass says it rules out.
const confidence = .95

// events fills in what the counts of a check say. The interval joins the exact limits of
// both shares, each at half the error, so it is conservative. A cohort without nodes
// leaves its share anywhere between 0 and 1.
func (c Check) events() Check {
	c.Method, c.P = "exact limits", 1
	half := (1 + confidence) / 2
	canaryLow, canaryHigh := limits(c.Canary, c.CanaryTotal, half)
	controlLow, controlHigh := limits(c.Control, c.ControlTotal, half)
	c.Effect = share(c.Canary, c.CanaryTotal) - share(c.Control, c.ControlTotal)
	c.Low, c.High = canaryLow-controlHigh, canaryHigh-controlLow
	_, c.RulesOut = limits(c.Canary, c.CanaryTotal, confidence)
	if p, _, err := stats.HypergeometricUpper(int64(c.Canary), int64(c.Canary+c.Control), int64(c.CanaryTotal), int64(c.CanaryTotal+c.ControlTotal)); err == nil {
		c.P = p
	}
	return c
}

// limits are the exact one-sided limits of a share, each at the level.
func limits(events, n int, level float64) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	return stats.ClopperPearsonLower(events, n, level), stats.ClopperPearsonUpper(events, n, level)
}

func share(events, n int) float64 {
	if n == 0 {
		return 0
	}
	return float64(events) / float64(n)
}
