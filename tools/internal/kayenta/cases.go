package kayenta

import (
	_ "embed"
	"encoding/json"
)

// The numbers, parameters and expected labels of Kayenta's own unit tests. From
// github.com/spinnaker/kayenta at a69573be, Apache-2.0, copyright 2018 Netflix, Inc.
//
//go:embed testdata/kayenta_cases.json
var cases []byte

// Suite is the test data of Kayenta.
type Suite struct {
	Classifier  []Case        `json:"classifier"`
	MannWhitney []numericCase `json:"mann_whitney"`
}

// Case is one metric with what Kayenta calls it.
type Case struct {
	Name, Classifier    string
	Settings            caseParams `json:"params"`
	Expected            caseLabel
	Experiment, Control []float64
}

type caseParams struct {
	Tolerance  float64
	Confidence float64    `json:"confidence_level"`
	Measure    string     `json:"effect_size_measure"`
	Allowed    [2]float64 `json:"effect_size_thresholds"`
	Critical   [2]float64 `json:"critical_thresholds"`
	Direction  Direction
	NaN        string `json:"nan_strategy"`
	IsCritical bool   `json:"critical"`
}

type caseLabel struct {
	Classification Label
	Critical       *bool
	ReasonNotEmpty bool `json:"reason_not_empty"`
}

type numericCase struct {
	Name       string
	Confidence float64 `json:"confidence_level"`
	X, Y       []float64
	Checks     []struct {
		What                                        string
		Value, Tolerance, Mu, Quantile, Probability float64
	}
}

// Cases are those of Kayenta's tests.
func Cases() (Suite, error) {
	var s Suite
	err := json.Unmarshal(cases, &s)
	return s, err
}

// Params are the settings of the case.
func (k Case) Params() Params {
	c := k.Settings
	return Params{Tolerance: c.Tolerance, Confidence: c.Confidence, CLES: c.Measure == "cles", Allowed: c.Allowed,
		Critical: c.Critical, Direction: c.Direction, Replace: c.NaN == "Replace", IsCritical: c.IsCritical}
}
