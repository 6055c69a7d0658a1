package analyzer

import (
	"fmt"
	"math"
	"slices"
)

// ChecksPolicy says what each check tolerates and what a certified pass must exclude.
type ChecksPolicy struct {
	NewFailures CheckPolicy `yaml:"new_failures" json:"new_failures"`
	Compile     CheckPolicy `yaml:"compile" json:"compile"`
	Silence     CheckPolicy `yaml:"silence" json:"silence"`
	Corrective  CheckPolicy `yaml:"corrective" json:"corrective"`
	Convergence CheckPolicy `yaml:"convergence" json:"convergence"`
	RunTime     CheckPolicy `yaml:"run_time" json:"run_time"`
	// ConfigRetrieval is how long a run waits for its catalog.
	ConfigRetrieval CheckPolicy `yaml:"config_retrieval" json:"config_retrieval"`
}

// CheckPolicy is one check's. Shares of nodes for events, of the time for run_time and config_retrieval.
type CheckPolicy struct {
	// Tolerate is the increase that is no harm, however sure it is.
	Tolerate float64 `yaml:"tolerate" json:"tolerate"`
	// RuleOut is the increase that a certified pass must exclude; 0 means what DefaultRuleOut says.
	RuleOut float64 `yaml:"rule_out" json:"rule_out"`
	// Required: a certified pass needs this check to rule it out. Not for corrective and convergence.
	Required bool `yaml:"required" json:"required"`
}

// DefaultBudget is the probability with which a change that does nothing may be taken back by the bounds, in a whole rollout.
const DefaultBudget = .01

// shares of the budget. Checks from configuration have their own levels.
var budgetShares = [eventChecks]float64{compileEvents: .25, failureEvents: .25, silenceEvents: .30, convergenceEvents: .03, correctiveEvents: .03}

var magnitudeShares = [magnitudes]float64{runTime: .10, retrieval: .04}

// stageShare is what a stage may spend of an SLI's alpha: half of what the stages before it left. An SLI has no account, since its
// canaries may be those of any stage.
func stageShare(index int) float64 { return math.Ldexp(1, -index-1) }

func defaultChecks() ChecksPolicy {
	event := CheckPolicy{Tolerate: .001}
	required := event
	required.Required = true
	return ChecksPolicy{NewFailures: required, Compile: required, Silence: required, Corrective: event, Convergence: event, RunTime: CheckPolicy{Tolerate: .01, RuleOut: .05},
		ConfigRetrieval: CheckPolicy{Tolerate: .05, RuleOut: .20}}
}

func (p ChecksPolicy) magnitude(i int) CheckPolicy {
	return [magnitudes]CheckPolicy{p.RunTime, p.ConfigRetrieval}[i]
}

func (p ChecksPolicy) event(check int) CheckPolicy {
	return [eventChecks]CheckPolicy{p.Compile, p.Convergence, p.Corrective, p.NewFailures, p.Silence}[check]
}

// DefaultRuleOut is what a certified pass must exclude where nothing is configured: 5 points in fleets under 5,000 nodes, 2 in
// those under 20,000, else 1 point.
func DefaultRuleOut(fleet int) float64 {
	switch {
	case fleet < 5_000:
		return .05
	case fleet < 20_000:
		return .02
	}
	return .01
}

// ruleOut is what this check must exclude.
func (p CheckPolicy) ruleOut(fleet int) float64 {
	if p.RuleOut > 0 {
		return p.RuleOut
	}
	return DefaultRuleOut(fleet)
}

func (p Policy) validateChecks() (errs []error) {
	checks := map[string]CheckPolicy{}
	for i, name := range magnitudeNames {
		checks[name] = p.Checks.magnitude(i)
	}
	for i, name := range eventNames {
		checks[name] = p.Checks.event(i)
	}
	for name, c := range checks {
		if !(c.Tolerate >= 0 && c.Tolerate < 1) {
			errs = append(errs, fmt.Errorf("checks.%s.tolerate: %v, expected 0 or more and less than 1", name, c.Tolerate))
		}
		if !(c.RuleOut >= 0 && c.RuleOut < 1) {
			errs = append(errs, fmt.Errorf("checks.%s.rule_out: %v, expected more than 0 and less than 1 (0 means the default)", name, c.RuleOut))
		}
		if c.Required && (name == eventNames[correctiveEvents] || name == eventNames[convergenceEvents]) {
			errs = append(errs, fmt.Errorf("checks.%s.required: true, expected false: what a certified pass counts, the first runs after the change, cannot show it", name))
		}
		if c.RuleOut > 0 && c.RuleOut <= c.Tolerate {
			errs = append(errs, fmt.Errorf("checks.%s.rule_out: %v, expected more than the %v that is tolerated", name, c.RuleOut, c.Tolerate))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return cmpErrors(a, b) })
	return errs
}

func cmpErrors(a, b error) int {
	switch x, y := a.Error(), b.Error(); {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}
