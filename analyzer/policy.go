package analyzer

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/common/model"
)

// Policy says what a pass needs and what stops a rollout. Shares lie in 0..1.
type Policy struct {
	// Coverage is the share of live admitted nodes that must be exposed (0 < coverage <= 1).
	Coverage float64 `yaml:"coverage" json:"coverage"`
	// MaxDeparted is the share of a stage's nodes that may leave the inventory before it ends (0..1); one node always may.
	MaxDeparted float64 `yaml:"max_departed" json:"max_departed"`
	// Runs is how many candidate runs every exposed node must have (>= 1).
	Runs    int           `yaml:"runs" json:"runs"`
	Stop    StopPolicy    `yaml:"stop" json:"stop"`
	Silence SilencePolicy `yaml:"silence" json:"silence"`
	// Alpha is the probability with which a change that does nothing may be taken back by the bounds of all checks together,
	// in a whole rollout (0 < alpha <= 0.1).
	Alpha  float64      `yaml:"alpha" json:"alpha"`
	Checks ChecksPolicy `yaml:"checks" json:"checks"`
	// Strata lists attributes, such as enc.role; nodes are compared with nodes that have the same values.
	Strata []string    `yaml:"strata,omitempty" json:"strata,omitempty"`
	SLIs   []SLIPolicy `yaml:"slis,omitempty" json:"slis,omitempty"`
}

// StopPolicy is the deterministic road to fail: max(Min, Share of the admitted) nodes.
type StopPolicy struct {
	Share float64 `yaml:"share" json:"share"`
	Min   int     `yaml:"min" json:"min"`
	// Below limits the rule to stages with fewer exposed nodes; 0 is any size.
	Below int `yaml:"below" json:"below"`
}

// SilencePolicy says when a node is overdue and which nodes never were at risk.
type SilencePolicy struct {
	// Interval is the run interval assumed for a node with fewer than MinReports reports in Lookback.
	Interval model.Duration `yaml:"interval" json:"interval"`
	// Splay is added to a node's usual gap.
	Splay model.Duration `yaml:"splay" json:"splay"`
	// Floor is the shortest time after which any node is overdue.
	Floor      model.Duration `yaml:"floor" json:"floor"`
	MinReports int            `yaml:"min_reports" json:"min_reports"`
	Lookback   model.Duration `yaml:"lookback" json:"lookback"`
	// MaxExcluded is the share of a cohort that may be left out as not alive or not enforcing.
	MaxExcluded float64 `yaml:"max_excluded" json:"max_excluded"`
}

// Directions of harm, as in SLIPolicy.Direction.
const (
	Increase = "increase"
	Decrease = "decrease"
	Either   = "either"
)

// SLIPolicy is one indicator from Prometheus.
type SLIPolicy struct {
	Name  string `yaml:"name" json:"name"`
	Query string `yaml:"query" json:"query"`
	// Label holds the node in a series; the adapter has the default.
	Label string `yaml:"label,omitempty" json:"label,omitempty"`
	// Node is a regular expression that finds the certname in Label.
	Node string `yaml:"node,omitempty" json:"node,omitempty"`
	// Direction is the harmful one: increase, decrease or either.
	Direction string `yaml:"direction" json:"direction"`
	// Max is an absolute limit on the canaries' mean and on the aggregate.
	Max *float64 `yaml:"max,omitempty" json:"max,omitempty"`
	// Alpha is the significance level of one comparison; 0 means DefaultAlpha.
	Alpha float64 `yaml:"alpha,omitempty" json:"alpha,omitempty"`
	// Tolerate is the shift, relative to the control's median, that is no harm.
	Tolerate float64 `yaml:"tolerate,omitempty" json:"tolerate,omitempty"`
	// MinNodes is how many exposed nodes must have data; 0 means 1.
	MinNodes int `yaml:"min_nodes,omitempty" json:"min_nodes,omitempty"`
	// Required: without a good answer from this check there is no pass.
	Required bool `yaml:"required,omitempty" json:"required,omitempty"`
}

// DefaultAlpha is the significance level of an SLI comparison that names none.
const DefaultAlpha = .01

// DefaultPolicy returns the policy of a site that configures nothing.
func DefaultPolicy() Policy {
	return Policy{
		Coverage: .95, MaxDeparted: .10,
		Runs:   2,
		Stop:   StopPolicy{Share: .05, Min: 1},
		Alpha:  DefaultBudget,
		Checks: defaultChecks(),
		Silence: SilencePolicy{
			Interval:    model.Duration(30 * time.Minute),
			Splay:       model.Duration(5 * time.Minute),
			MinReports:  5,
			Lookback:    model.Duration(7 * 24 * time.Hour),
			MaxExcluded: .10,
		},
	}
}

func (s SLIPolicy) alpha() float64 {
	if s.Alpha == 0 {
		return DefaultAlpha
	}
	return s.Alpha
}

func (s SLIPolicy) minNodes() int { return max(1, s.MinNodes) }

// Validate returns all errors, each with the path of its field below the policy.
func (p Policy) Validate() error {
	var errs []error
	check := func(ok bool, path, expected string, got any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %v, expected %s", path, got, expected))
		}
	}
	check(p.Coverage > 0 && p.Coverage <= 1, "coverage", "more than 0 and at most 1", p.Coverage)
	check(p.MaxDeparted >= 0 && p.MaxDeparted <= 1, "max_departed", "0 to 1", p.MaxDeparted)
	check(p.Runs >= 1, "runs", "at least 1", p.Runs)
	check(p.Stop.Share >= 0 && p.Stop.Share <= 1, "stop.share", "0 to 1", p.Stop.Share)
	check(p.Stop.Min >= 1, "stop.min", "at least 1", p.Stop.Min)
	check(p.Stop.Below >= 0, "stop.below", "0 or more", p.Stop.Below)
	check(p.Silence.Interval > 0, "silence.interval", "more than 0", p.Silence.Interval)
	check(p.Silence.Splay >= 0, "silence.splay", "0 or more", p.Silence.Splay)
	check(p.Silence.Floor >= 0, "silence.floor", "0 or more", p.Silence.Floor)
	check(p.Silence.MinReports >= 2, "silence.min_reports", "at least 2", p.Silence.MinReports)
	check(p.Silence.Lookback > 0, "silence.lookback", "more than 0", p.Silence.Lookback)
	check(p.Silence.MaxExcluded >= 0 && p.Silence.MaxExcluded <= 1, "silence.max_excluded", "0 to 1", p.Silence.MaxExcluded)
	check(p.Alpha > 0 && p.Alpha <= .1, "alpha", "more than 0 and at most 0.1", p.Alpha)
	errs = append(errs, p.validateChecks()...)
	for i, s := range p.Strata {
		twice := slices.Index(p.Strata, s) < i
		check(s != "" && !twice, fmt.Sprintf("strata[%d]", i), "an attribute such as enc.role, each once", quote(s))
	}
	names := map[string]int{}
	for i, s := range p.SLIs {
		path := fmt.Sprintf("slis[%d]", i)
		if at, twice := names[s.Name]; twice {
			errs = append(errs, fmt.Errorf("%s.name: %q is the name of slis[%d] too, expected a name of its own", path, s.Name, at))
		}
		names[s.Name] = i
		errs = append(errs, s.validate(path)...)
	}
	return errors.Join(errs...)
}

var sliName = regexp.MustCompile(`\A[a-zA-Z][a-zA-Z0-9_.-]*\z`)

func (s SLIPolicy) validate(path string) (errs []error) {
	check := func(ok bool, field, expected string, got any) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s.%s: %v, expected %s", path, field, got, expected))
		}
	}
	check(sliName.MatchString(s.Name), "name", "a letter, then letters, digits, '_', '.' or '-'", quote(s.Name))
	check(s.Query != "", "query", "a PromQL expression", quote(s.Query))
	check(slices.Contains([]string{Increase, Decrease, Either}, s.Direction), "direction", "increase, decrease or either", quote(s.Direction))
	check(s.Alpha >= 0 && s.Alpha <= .5, "alpha", "more than 0 and at most 0.5 (0 means the default)", s.Alpha)
	check(s.Tolerate >= 0 && !math.IsInf(s.Tolerate, 0), "tolerate", "0 or more", s.Tolerate)
	check(s.MinNodes >= 0, "min_nodes", "0 or more", s.MinNodes)
	if s.Max != nil {
		check(!math.IsNaN(*s.Max) && !math.IsInf(*s.Max, 0), "max", "a finite number", *s.Max)
	}
	if _, err := regexp.Compile(s.Node); err != nil {
		errs = append(errs, fmt.Errorf("%s.node: %w", path, err))
	}
	return errs
}

// needed is the smallest whole number that is at least share of n; the small term keeps
// a product like .95*20 from being rounded up by its last bit.
func needed(share float64, n int) int {
	return int(math.Ceil(share*float64(n) - 1e-9))
}

func quote(s string) string { return fmt.Sprintf("%q", s) }
