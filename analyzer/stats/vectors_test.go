package stats

import (
	"encoding/json"
	"math"
	"math/big"
	"os"
	"strconv"
	"testing"
)

// number is a JSON number or one of the strings that stand for it.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	if len(b) > 1 && b[0] == '"' {
		b = b[1 : len(b)-1]
	}
	f, err := strconv.ParseFloat(string(b), 64)
	*n = number(f)
	return err
}

func floats(ns []number) []float64 {
	fs := make([]float64, len(ns))
	for i, n := range ns {
		fs[i] = float64(n)
	}
	return fs
}

type ratio struct{ Frac, Dec string }

type asymptoticRow struct {
	Alternative string
	Continuity  bool
	Z, P        string
}

type twoSample struct {
	ID         string
	X, Y       []number
	N, M       int
	U1         float64
	TieSum     json.Number `json:"tie_sum_t3_minus_t"`
	Asymptotic []asymptoticRow
	Exact      *struct {
		Ties          bool
		Less, Greater ratio
		TwoSided      ratio `json:"two_sided_2min"`
	}
	A12           float64
	CliffsDelta   float64  `json:"cliffs_delta"`
	HodgesLehmann *float64 `json:"hodges_lehmann"`
}

type histogramCase struct {
	ID               string
	Values           []float64
	CountsX          []int64 `json:"counts_x"`
	CountsY          []int64 `json:"counts_y"`
	N, M             int
	TwoU1            string
	TieSum           string `json:"tie_sum"`
	Asymptotic       []asymptoticRow
	Hypergeometrical *struct{ Less, Greater string } `json:"exact_permutation_equals_hypergeometric"`
}

type vectors struct {
	TwoSample []twoSample `json:"two_sample"`
	ExactNull []struct {
		N, M  int64
		Total string
		Rows  []struct {
			U     int64
			Count string
			CDF   ratio
		}
		FullCounts []string `json:"full_counts"`
	} `json:"exact_null_no_ties"`
	Histogram      []histogramCase
	NormalSurvival []struct{ Z, SF string }        `json:"normal_survival"`
	VanElteren     map[string]json.RawMessage      `json:"van_elteren"`
	Hypergeometric []hypergeometricCase            `json:"hypergeometric_upper"`
	Fisher         []struct{ Greater float64 }     `json:"fisher_R"`
	RuleOfThree    []map[string]float64            `json:"rule_of_three"`
	KnownWrong     struct{ Rows []knownWrongCase } `json:"moremath_known_wrong"`
}

// hypergeometricCase stays a map: the decoder takes k for K and n for N.
type hypergeometricCase map[string]any

func (h hypergeometricCase) int(key string) int64 { return int64(h[key].(float64)) }

type knownWrongCase struct {
	X, Y        json.RawMessage
	TwoSided    *float64 `json:"moremath_two_sided"`
	Greater     *float64 `json:"moremath_greater"`
	True2Min    string   `json:"true_2min"`
	TrueGreater string   `json:"true_greater"`
}

func loadVectors(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/mann_whitney_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const tolerance = 1e-13

// checkP compares p, and below 1e-150 its logarithm, with a decimal string of
// any length and size.
func checkP(t testing.TB, what string, p, logP float64, want string) {
	t.Helper()
	w, _, err := big.ParseFloat(want, 10, 256, big.ToNearestEven)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	wantP, _ := w.Float64()
	wantLog := logFloat(w)
	if wantP > 1e-150 && relative(p, wantP) > tolerance {
		t.Errorf("%s: p = %.17g, want %s, relative error %.2g", what, p, want, relative(p, wantP))
	}
	if wantP < .5 && relative(logP, wantLog) > tolerance {
		t.Errorf("%s: log p = %.17g, want %.17g, relative error %.2g", what, logP, wantLog, relative(logP, wantLog))
	}
	if wantP >= .5 && math.Abs(math.Expm1(logP)-(wantP-1)) > 1e-15 {
		t.Errorf("%s: log p = %.17g, want log of %s", what, logP, want)
	}
}

func relative(got, want float64) float64 {
	if got == want {
		return 0
	}
	return math.Abs(got-want) / math.Abs(want)
}

func alternative(t testing.TB, name string) Alternative {
	t.Helper()
	for _, a := range []Alternative{TwoSided, Greater, Less} {
		if a.String() == name {
			return a
		}
	}
	t.Fatalf("unknown alternative %q", name)
	return 0
}

func rat(t testing.TB, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("not a fraction: %q", s)
	}
	return r
}
