package stats

import (
	"fmt"
	"math"
)

// Alternative is the direction of a test. The zero value looks both ways.
type Alternative int

// The alternatives, named from the canary's point of view.
const (
	TwoSided Alternative = iota // the arms differ
	Greater                     // the canary tends to be larger than the control
	Less                        // the canary tends to be smaller than the control
)

// String is the word used in evidence: two-sided, greater or less.
func (a Alternative) String() string {
	return name(int(a), "two-sided", "greater", "less")
}

// MarshalText writes the word, so that stored evidence reads without this file.
func (a Alternative) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Method says how a p-value is computed.
type Method int

// The methods. Auto is exact where that is cheap, see [AutoExactWork].
const (
	Auto Method = iota
	Exact
	Asymptotic
)

// String is the word used in evidence: auto, exact or asymptotic.
func (m Method) String() string {
	return name(int(m), "auto", "exact", "asymptotic")
}

// MarshalText writes the word.
func (m Method) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func name(i int, names ...string) string {
	if i < 0 || i >= len(names) {
		return fmt.Sprintf("unknown(%d)", i)
	}
	return names[i]
}

// Options choose the test. The zero value is the two-sided test, exact where
// that is cheap, with a 95 % interval for the shift.
type Options struct {
	Alternative Alternative
	Method      Method
	// Continuity moves U by ½ towards its mean before the normal approximation.
	// It has no effect on exact p-values.
	Continuity bool
	// Level is the confidence level of the shift interval, in (0,1); 0 means .95.
	Level float64
	// NoShift leaves Shift and its interval 0, which take longer than all the rest.
	NoShift bool
}

func (o Options) check() (Options, error) {
	if o.Alternative < TwoSided || o.Alternative > Less {
		return o, fmt.Errorf("alternative %d: %w, expected two-sided, greater or less", o.Alternative, ErrArgument)
	}
	if o.Method < Auto || o.Method > Asymptotic {
		return o, fmt.Errorf("method %d: %w, expected auto, exact or asymptotic", o.Method, ErrArgument)
	}
	if o.Level == 0 {
		o.Level = .95
	}
	if !inside(o.Level) {
		return o, fmt.Errorf("level %v: %w, expected a number between 0 and 1", o.Level, ErrArgument)
	}
	return o, nil
}

// inside reports whether x lies in the open interval (0,1); NaN does not.
func inside(x float64) bool { return x > 0 && x < 1 }

// Result is the outcome of a Mann-Whitney test.
type Result struct {
	// U counts the pairs in which the canary is larger, ties as ½:
	// #{x>y} + ½·#{x=y}, in [0, N·M]. It is rounded above 2^53.
	U float64
	// P is in (0,1]. The two-sided value is min(1, 2·smaller tail).
	P float64
	// LogP is the natural logarithm of P, also where P itself underflows.
	LogP float64
	// Z is (U − N·M/2)/σ with the tie-corrected σ, 0 if all values are equal.
	Z           float64
	Method      Method // Exact or Asymptotic, as used
	Alternative Alternative
	N, M        int  // canary and control observations
	Ties        bool // at least two pooled values are equal
	// A12 = U/(N·M) is the probability that a random canary is larger than a
	// random control, ties as ½ (Vargha and Delaney 2000).
	A12 float64
	// CliffsDelta = 2·A12 − 1, in [−1,1].
	CliffsDelta float64
	// Shift is the Hodges-Lehmann estimate: the exact median of all N·M
	// differences canary − control, in the unit of the values.
	Shift float64
	// ShiftLow and ShiftHigh bound the shift with a confidence of at least
	// ShiftLevel. They are infinite where the arms are too small for it, which
	// encoding/json refuses to write.
	ShiftLow, ShiftHigh, ShiftLevel float64
	// Warnings are sentences for the operator about what limits the result.
	Warnings []string
}

// tail is a probability and its logarithm, each to full precision.
type tail struct{ p, logP float64 }

var certain = tail{p: 1}

// floor keeps a possible outcome from being shown as an impossible one.
func (t tail) floor() tail {
	if t.p < math.SmallestNonzeroFloat64 && !math.IsInf(t.logP, -1) {
		t.p = math.SmallestNonzeroFloat64
	}
	return t
}

// twice is the two-sided tail min(1, 2·t).
func (t tail) twice() tail {
	if t.p >= .5 {
		return certain
	}
	return tail{p: 2 * t.p, logP: min(0, t.logP+math.Ln2)}
}

// pick chooses between the tails of the two directions.
func pick(alt Alternative, less, greater tail) tail {
	switch alt {
	case Greater:
		return greater.floor()
	case Less:
		return less.floor()
	}
	if less.logP < greater.logP {
		return less.twice().floor()
	}
	return greater.twice().floor()
}
