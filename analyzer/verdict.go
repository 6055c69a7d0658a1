package analyzer

import "fmt"

// Result of a verdict or a check. The zero value is inconclusive.
type Result string

// The results. Inconclusive is written out as "inconclusive".
const (
	Inconclusive Result = ""
	Pass         Result = "pass"
	Fail         Result = "fail"
)

// String returns pass, fail or inconclusive.
func (r Result) String() string {
	switch r {
	case Pass, Fail:
		return string(r)
	}
	return "inconclusive"
}

// MarshalText writes String, so that a value nobody knows is never written as a pass.
func (r Result) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText writes, and the empty text as inconclusive.
func (r *Result) UnmarshalText(text []byte) error {
	switch s := string(text); s {
	case "pass", "fail":
		*r = Result(s)
	case "", "inconclusive":
		*r = Inconclusive
	default:
		return fmt.Errorf("verdict result %q: expected pass, fail or inconclusive", s)
	}
	return nil
}

// Grade says how much a pass proves.
type Grade string

// The grades of a pass.
const (
	Clean     Grade = "clean"
	Certified Grade = "certified"
)

// Roads to fail.
const (
	RoadStopRule = "stop_rule"
	RoadBound    = "bound"
)

// Verdict is the answer of Judge.
type Verdict struct {
	Result Result `json:"result"`
	// Grade is set on a pass only.
	Grade Grade `json:"grade"`
	// Road is stop_rule or bound on a fail, else empty.
	Road string `json:"road"`
	// Reason is one sentence for an operator.
	Reason string `json:"reason"`
	// Missing lists all that keeps an inconclusive verdict from a pass.
	Missing []string `json:"missing"`
	// Uncertified lists what keeps a pass from being a certified one, in a stage that asks for that; it is empty in all others.
	Uncertified []string `json:"uncertified"`
	Counts      Counts   `json:"counts"`
	// Checks are sorted by name.
	Checks  []Check  `json:"checks"`
	Culprit *Culprit `json:"culprit"`
	// Looks are those at magnitudes in this stage, this one included: they belong into the evidence of the next.
	Looks []MagnitudeLook `json:"looks,omitempty"`
	// Accounts are what the budgets of the checks come to if the stage ends now, by check: they belong into the evidence of the next stage.
	Accounts map[string]Account `json:"accounts,omitempty"`
	// Evidence is the sha256, in hex, of Evidence.Canonical.
	Evidence string `json:"evidence"`
}

// Counts are nodes, except Runs.
type Counts struct {
	Admitted int `json:"admitted"`
	// Live are the admitted that were alive and enforcing before (admitted less excluded).
	Live int `json:"live"`
	// Exposed and Silent count live admitted nodes.
	Exposed  int `json:"exposed"`
	Silent   int `json:"silent"`
	Excluded int `json:"excluded"`
	// Failed, CompileFailed and Hidden count admitted nodes, the excluded too; a node can be in several.
	Failed        int `json:"failed"`
	CompileFailed int `json:"compile_failed"`
	Hidden        int `json:"hidden"`
	// Control are the controls at risk; ControlFailed those with any failure since the first admission.
	Control         int `json:"control"`
	ControlFailed   int `json:"control_failed"`
	ControlExcluded int `json:"control_excluded"`
	// Runs is how many candidate runs the exposed live nodes have at least; of 100 and more, so many of them as coverage asks.
	Runs int `json:"runs"`
	// Unexposed, SilentNodes and ExcludedNodes name at most 20 nodes each, sorted.
	Unexposed     []string `json:"unexposed"`
	SilentNodes   []string `json:"silent_nodes"`
	ExcludedNodes []string `json:"excluded_nodes"`
}

// Check is one question of the verdict. All numbers are finite.
type Check struct {
	Name   string `json:"name"`
	Result Result `json:"result"`
	Reason string `json:"reason"`
	// Canary of CanaryTotal nodes showed it, Control of ControlTotal. For an SLI Canary and
	// Control are the nodes with data.
	Canary       int `json:"canary"`
	CanaryTotal  int `json:"canary_total"`
	Control      int `json:"control"`
	ControlTotal int `json:"control_total"`
	// Effect is the difference canary less control: of shares for events, the shift in the
	// SLI's own unit for an SLI (of the means where most values are one value, the excess
	// over a limit). Low and High are the 95 % interval of the shares' difference or of the
	// Hodges-Lehmann shift; plus or minus the largest float64 means unbounded.
	Effect float64 `json:"effect"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	// P is the p-value, 1 where nothing was tested.
	P float64 `json:"p"`
	// Method names the computation.
	Method string `json:"method"`
	// RulesOut is the smallest canary share that the data exclude with 95 % confidence, 1 = nothing.
	RulesOut float64 `json:"rules_out"`
	// Optional: without an answer from this check nothing waits.
	Optional bool `json:"optional,omitempty"`
	// Excludes is the increase of the share that a certified pass excludes with this Confidence; 0 = none.
	Excludes   float64 `json:"excludes,omitempty"`
	Confidence float64 `json:"confidence,omitempty"`
	// Bound is the sequential test of this stage; nil where none was made.
	Bound *Bound `json:"bound,omitempty"`
}

// Culprit is what most likely is at fault: the new failure that most admitted nodes show.
type Culprit struct {
	Kind     string `json:"kind"`
	Resource string `json:"resource"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Message  string `json:"message"`
	// Nodes names at most 20 of the Count admitted nodes, sorted.
	Nodes []string `json:"nodes"`
	Count int      `json:"count"`
	// Strata says where it happens, the hardest hit first, at most 5.
	Strata []StratumShare `json:"strata,omitempty"`
}

// StratumShare is how many admitted nodes of a stratum show a failure.
type StratumShare struct {
	Stratum string `json:"stratum"`
	Nodes   int    `json:"nodes"`
	Of      int    `json:"of"`
}
