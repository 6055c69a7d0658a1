package analyzer

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func TestDefaultPolicyIsValid(t *testing.T) {
	if err := DefaultPolicy().Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	nan := math.NaN()
	sli := func(edit func(*SLIPolicy)) func(*Policy) {
		return func(p *Policy) {
			s := errorRate(true)
			edit(&s)
			p.SLIs = append(p.SLIs, errorRate(true), s)
			p.SLIs[0].Name = "first"
		}
	}
	cases := []struct {
		edit func(*Policy)
		want string
	}{
		{func(p *Policy) { p.Coverage = 0 }, "coverage: 0, expected more than 0 and at most 1"},
		{func(p *Policy) { p.Coverage = 95 }, "coverage: 95, expected"},
		{func(p *Policy) { p.Runs = 0 }, "runs: 0, expected at least 1"},
		{func(p *Policy) { p.Stop.Share = nan }, "stop.share: NaN, expected 0 to 1"},
		{func(p *Policy) { p.Stop.Min = 0 }, "stop.min: 0, expected"},
		{func(p *Policy) { p.Stop.Below = -1 }, "stop.below: -1, expected"},
		{func(p *Policy) { p.Silence.Interval = 0 }, "silence.interval: 0s, expected"},
		{func(p *Policy) { p.Silence.Splay = -1 }, "silence.splay: "},
		{func(p *Policy) { p.Silence.Floor = -1 }, "silence.floor: "},
		{func(p *Policy) { p.Silence.MinReports = 1 }, "silence.min_reports: 1, expected at least 2"},
		{func(p *Policy) { p.Silence.Lookback = 0 }, "silence.lookback: 0s, expected"},
		{func(p *Policy) { p.Silence.MaxExcluded = 1.1 }, "silence.max_excluded: 1.1, expected 0 to 1"},
		{sli(func(s *SLIPolicy) { s.Name = "" }), `slis[1].name: "", expected a letter`},
		{sli(func(s *SLIPolicy) { s.Name = "first" }), `slis[1].name: "first" is the name of slis[0] too`},
		{sli(func(s *SLIPolicy) { s.Query = "" }), `slis[1].query: "", expected a PromQL expression`},
		{sli(func(s *SLIPolicy) { s.Direction = "up" }), `slis[1].direction: "up", expected increase, decrease or either`},
		{sli(func(s *SLIPolicy) { s.Alpha = .6 }), "slis[1].alpha: 0.6, expected"},
		{sli(func(s *SLIPolicy) { s.Alpha = nan }), "slis[1].alpha: NaN, expected"},
		{sli(func(s *SLIPolicy) { s.Tolerate = math.Inf(1) }), "slis[1].tolerate: +Inf, expected"},
		{sli(func(s *SLIPolicy) { s.MinNodes = -1 }), "slis[1].min_nodes: -1, expected"},
		{sli(func(s *SLIPolicy) { s.Max = &nan }), "slis[1].max: NaN, expected a finite number"},
		{sli(func(s *SLIPolicy) { s.Node = "(" }), "slis[1].node: error parsing regexp"},
	}
	for _, tc := range cases {
		p := DefaultPolicy()
		tc.edit(&p)
		err := p.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one error that begins %q", err, tc.want)
		}
	}
	p := Policy{Coverage: nan}
	if err := p.Validate(); err == nil || strings.Count(err.Error(), "\n") < 4 {
		t.Errorf("got %v, want all errors at once", err)
	}
}

// What a rollout freezes at its start must come back as it was, and a configuration that
// says nothing must keep the defaults.
func TestPolicyRoundTrips(t *testing.T) {
	limit := .001
	want := DefaultPolicy()
	want.SLIs = []SLIPolicy{{Name: "errors", Query: "up", Label: "instance", Node: "(.*)", Direction: Increase, Max: &limit, Alpha: .02, Tolerate: .1, MinNodes: 3, Required: true}}
	for name, codec := range map[string]struct {
		encode func(any) ([]byte, error)
		decode func([]byte, any) error
	}{
		"json": {json.Marshal, json.Unmarshal},
		"yaml": {yaml.Marshal, yaml.Unmarshal},
	} {
		b, err := codec.encode(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Policy
		if err := codec.decode(b, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	got := DefaultPolicy()
	if err := yaml.Unmarshal([]byte("silence: {interval: 1h30m}"), &got); err != nil {
		t.Fatal(err)
	}
	want = DefaultPolicy()
	want.Silence.Interval = minutes(90)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestResultIsNeverWrittenAsAPassByMistake(t *testing.T) {
	for _, r := range []Result{"", "inconclusive", "PASS", "passed", "unknown"} {
		if b, err := json.Marshal(r); err != nil || string(b) != `"inconclusive"` {
			t.Errorf("%q is written as %s, %v", string(r), b, err)
		}
	}
	var r Result
	for _, text := range []string{`"PASS"`, `"clean"`, `true`, `1`} {
		if err := json.Unmarshal([]byte(text), &r); err == nil {
			t.Errorf("%s is read as %q without an error", text, string(r))
		}
	}
	for text, want := range map[string]Result{`"pass"`: Pass, `"fail"`: Fail, `"inconclusive"`: Inconclusive, `""`: Inconclusive} {
		if err := json.Unmarshal([]byte(text), &r); err != nil || r != want {
			t.Errorf("%s is read as %q, %v, want %q", text, string(r), err, string(want))
		}
	}
}

// TestTheBudgetIsSpentOnce: all checks together may take back no more good changes than alpha says, in the parts that DESIGN gives.
func TestTheBudgetIsSpentOnce(t *testing.T) {
	rest := budgetShares[convergenceEvents] + budgetShares[correctiveEvents]
	for _, share := range magnitudeShares {
		rest += share
	}
	failures, silence := budgetShares[failureEvents]+budgetShares[compileEvents], budgetShares[silenceEvents]
	if failures != .5 || silence != .3 || math.Abs(rest-.2) > 1e-12 {
		t.Errorf("failures %v, silence %v, the rest %v", failures, silence, rest)
	}
}
