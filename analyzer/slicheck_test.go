package analyzer

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func errorRate(required bool) SLIPolicy {
	return SLIPolicy{Name: "errors", Query: "rate(errors[5m])", Direction: Increase, Required: required}
}

// sample gives every node its own value around 1: canaries are shifted.
func (w *world) sample(shift float64) *SLISample {
	s := SLISample{Name: "errors", Canary: map[string]float64{}, Control: map[string]float64{}}
	for i, n := range w.Nodes {
		value := 1 + float64((i*7)%41)/1000
		if n.Admitted() {
			s.Canary[n.Certname] = value + shift
		} else {
			s.Control[n.Certname] = value
		}
	}
	w.SLIs = append(w.SLIs, s)
	return &w.SLIs[len(w.SLIs)-1]
}

func TestSLI(t *testing.T) {
	limit := func(x float64) *float64 { return &x }
	cases := []struct {
		name string
		edit func(*world, *SLIPolicy)
		want Result
		road string
		says string
	}{
		{"the same", func(w *world, _ *SLIPolicy) { w.sample(0) }, Pass, "", "not significantly worse"},
		{"higher", func(w *world, _ *SLIPolicy) { w.sample(.5) }, Fail, RoadBound, "significantly worse"},
		{"higher, not required", func(w *world, p *SLIPolicy) { w.sample(.5); p.Required = false }, Fail, RoadBound, "significantly worse"},
		{"lower", func(w *world, _ *SLIPolicy) { w.sample(-.5) }, Pass, "", "not significantly worse"},
		{"lower is harm", func(w *world, p *SLIPolicy) { w.sample(-.5); p.Direction = Decrease }, Fail, RoadBound, "significantly worse"},
		{"either, lower", func(w *world, p *SLIPolicy) { w.sample(-.5); p.Direction = Either }, Fail, RoadBound, "significantly worse"},
		{"higher, tolerated", func(w *world, p *SLIPolicy) { w.sample(.5); p.Tolerate = .6 }, Pass, "", "within what is tolerated"},
		{"over the limit", func(w *world, p *SLIPolicy) { w.sample(0); p.Max = limit(.9) }, Fail, RoadStopRule, "more than the limit 0.9"},
		{"within the limit, but worse", func(w *world, p *SLIPolicy) { w.sample(.5); p.Max = limit(9) }, Fail, RoadBound, "significantly worse"},
		{"the aggregate over the limit", func(w *world, p *SLIPolicy) { w.sample(0).Aggregate = limit(2); p.Max = limit(1.5) }, Fail, RoadStopRule, "aggregate"},
		{"only an aggregate, within the limit", func(w *world, p *SLIPolicy) {
			w.SLIs = []SLISample{{Name: "errors", Aggregate: limit(1)}}
			p.Max = limit(2)
		}, Inconclusive, "", "0 exposed nodes have data, 1 are needed"},
		{"an aggregate that is no number", func(w *world, p *SLIPolicy) { w.sample(0).Aggregate = limit(math.NaN()) }, Inconclusive, "", "no finite number"},
		{"an error", func(w *world, _ *SLIPolicy) { w.sample(0).Err = "timeout" }, Inconclusive, "", "no data: timeout"},
		{"an error, not required", func(w *world, p *SLIPolicy) { w.sample(0).Err = "timeout"; p.Required = false }, Pass, "", "no data: timeout"},
		{"an empty sample", func(w *world, _ *SLIPolicy) { w.SLIs = []SLISample{{Name: "errors"}} }, Inconclusive, "", "0 exposed nodes have data"},
		{"values that are no numbers", func(w *world, _ *SLIPolicy) {
			s := w.sample(0)
			for n := range s.Canary {
				s.Canary[n] = math.Inf(1)
			}
		}, Inconclusive, "", "0 exposed nodes have data"},
		{"too few by policy", func(w *world, p *SLIPolicy) { w.sample(0); p.MinNodes = 21 }, Inconclusive, "", "20 exposed nodes have data, 21 are needed"},
		{"values vanish on canaries", func(w *world, _ *SLIPolicy) {
			s := w.sample(0)
			delete(s.Canary, c0)
			delete(s.Canary, c1)
		}, Inconclusive, "", "18 of 20 exposed nodes have data, 19 are needed"},
		{"no control has data", func(w *world, _ *SLIPolicy) { w.sample(0).Control = nil }, Inconclusive, "", "no result could reach"},
		{"no control has data, within a limit", func(w *world, p *SLIPolicy) { w.sample(0).Control = nil; p.Max = limit(2) }, Pass, "", "within the limit 2; 20 canaries and 0 controls are too few"},
		{"another node's values", func(w *world, _ *SLIPolicy) {
			w.SLIs = []SLISample{{Name: "errors", Canary: map[string]float64{"zz": 1}, Control: map[string]float64{"yy": 1}}}
		}, Inconclusive, "", "0 exposed nodes have data"},
		{"mostly zeros, five canaries err", func(w *world, _ *SLIPolicy) {
			s := w.sample(0)
			for _, values := range []map[string]float64{s.Canary, s.Control} {
				for n := range values {
					values[n] = 0
				}
			}
			for i := range 8 {
				s.Canary[name(i)] = float64(i + 1)
			}
		}, Fail, RoadBound, "significantly worse"},
		{"all zeros", func(w *world, _ *SLIPolicy) {
			s := w.sample(0)
			for _, values := range []map[string]float64{s.Canary, s.Control} {
				for n := range values {
					values[n] = 0
				}
			}
		}, Pass, "", "not significantly worse"},
		{"two samples of one name", func(w *world, _ *SLIPolicy) { w.sample(0); w.sample(0) }, Inconclusive, "", "sli errors twice"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			w, p := newWorld(20, 40), DefaultPolicy()
			p.SLIs = []SLIPolicy{errorRate(true)}
			tc.edit(w, &p.SLIs[0])
			v := Judge(p, w.Evidence)
			if v.Result != tc.want || v.Road != tc.road {
				t.Fatalf("got %s by %q (%s), want %s by %q", v.Result, v.Road, v.Reason, tc.want, tc.road)
			}
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatalf("a verdict that is no JSON: %v", err)
			}
			if !strings.Contains(string(b), tc.says) {
				t.Errorf("%s\nwant it to contain %q", b, tc.says)
			}
		})
	}
}

// One canary against 40 controls can never be significant; the check says so.
func TestSLIOnAStageOfOneNode(t *testing.T) {
	w, p := newWorld(1, 40), DefaultPolicy()
	p.SLIs = []SLIPolicy{errorRate(true)}
	w.sample(0)
	if v := Judge(p, w.Evidence); v.Result != Inconclusive || !strings.Contains(v.Reason, "1 canaries and 40 controls are too few") {
		t.Errorf("got %s (%s), want inconclusive for too few nodes", v.Result, v.Reason)
	}
}

// mixed has canaries mostly of one role and controls mostly of another, whose values are ten times as large; what is added to
// the values of canaries is the change's effect.
func mixed(effect float64, value func(i int) float64) *world {
	w := newWorld(40, 240)
	s := SLISample{Name: "errors", Canary: map[string]float64{}, Control: map[string]float64{}}
	for i := range w.Nodes {
		n := &w.Nodes[i]
		db := i%8 == 0 // one in eight
		if n.Admitted() {
			db = !db
		}
		v := value(i)
		if n.Stratum = "web"; db {
			n.Stratum, v = "db", v+10
		}
		if n.Admitted() {
			s.Canary[n.Certname] = v + effect
		} else {
			s.Control[n.Certname] = v
		}
	}
	w.SLIs = []SLISample{s}
	return w
}

// TestSLIsAreComparedInStrata: another mix of roles is no effect, and an effect is found through it.
func TestSLIsAreComparedInStrata(t *testing.T) {
	spread := func(i int) float64 { return float64((i*7)%41) / 1000 }
	rare := func(i int) float64 { return float64(oneIf(i%20 == 0)) } // most are alike
	for what, c := range map[string]struct {
		effect float64
		value  func(int) float64
		want   Result
		method string
	}{
		"no effect":                {0, spread, Pass, "van elteren"},
		"an effect":                {.1, spread, Fail, "van elteren"},
		"no effect, mostly alike":  {0, rare, Pass, "exact on leaving"},
		"an effect, mostly alike":  {.5, rare, Fail, "exact on leaving"},
		"too small to be anything": {.0001, spread, Pass, "van elteren"},
	} {
		w, p := mixed(c.effect, c.value), DefaultPolicy()
		p.SLIs = []SLIPolicy{errorRate(true)}
		v := Judge(p, w.Evidence)
		at := len(v.Checks) - 1
		if v.Result != c.want || !strings.Contains(v.Checks[at].Method, c.method) {
			t.Errorf("%s: %s (%s), by %s", what, v.Result, v.Reason, v.Checks[at].Method)
		}
		if got := v.Checks[at].Effect; math.Abs(got-c.effect) > .1 {
			t.Errorf("%s: the effect is given as %v", what, got)
		}
	}
}

// TestSLIsWithoutTheirKind: canaries whose stratum has no control with data are compared with nobody, so they are not among those that the
// policy asks for.
func TestSLIsWithoutTheirKind(t *testing.T) {
	w, p := mixed(0, func(i int) float64 { return float64((i*7)%41) / 1000 }), DefaultPolicy()
	p.SLIs = []SLIPolicy{errorRate(true)}
	p.SLIs[0].MinNodes = 30 // of 40, of which 35 are of one kind
	for i := range w.Nodes {
		if n := &w.Nodes[i]; !n.Admitted() && n.Stratum == "db" {
			n.Stratum = "mail"
		}
	}
	if v := Judge(p, w.Evidence); v.Result != Inconclusive || !strings.Contains(v.Reason, "5 of 40 exposed nodes with data have controls of their stratum to compare with, 30 are needed") {
		t.Errorf("%s (%s)", v.Result, v.Reason)
	}
}

// TestSLIsOfEarlierStages: nodes that an earlier stage admitted are no canaries of this one, but the limit is theirs as well.
func TestSLIsOfEarlierStages(t *testing.T) {
	w, p := newWorld(60, 60), DefaultPolicy()
	p.SLIs = []SLIPolicy{errorRate(true)}
	s := w.sample(0)
	w.StageIndex = 1
	for i := range w.Nodes {
		if n := &w.Nodes[i]; n.Admitted() && i < 40 { // of another kind, by no chance
			s.Canary[n.Certname] += 5
		} else if n.Admitted() {
			n.Stage = 1
		}
	}
	if v := Judge(p, w.Evidence); v.Result == Fail {
		t.Errorf("%s (%s)", v.Result, v.Reason)
	}
	limit := 3.0
	p.SLIs[0].Max = &limit
	if v := Judge(p, w.Evidence); v.Result != Fail || v.Road != RoadStopRule {
		t.Errorf("over the limit: %s (%s)", v.Result, v.Reason)
	}
}
