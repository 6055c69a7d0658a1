package gate

import (
	"encoding/json"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

func closedBy(d Decision, name string) string {
	var out []string
	for _, g := range d.Gates[name] {
		if !g.Open {
			out = append(out, g.Name+": "+g.Reason)
		}
	}
	return strings.Join(out, "; ")
}

// A stage that asks for more nodes than it has cannot end; its own coverage and policy count before the rollout's.
func TestStageTerms(t *testing.T) {
	s := newSite(t, 8)
	s.w.Rollouts[0].Spec.Schedule.Stages[0].MinNodes = 2
	s.run(2 * time.Hour)
	if n, why := len(s.state("ntp").Stages), closedBy(s.look(), "ntp"); n != 1 || !strings.Contains(why, "coverage: 1 node has run the change, stage canary needs 2 at least") {
		t.Errorf("%d stages: %s", n, why)
	}
	s.w.Rollouts[0].Spec.Schedule.Stages[0].MinNodes = 1
	s.run(30 * time.Minute)
	if n := len(s.state("ntp").Stages); n < 2 {
		t.Errorf("%d stages", n)
	}
	strict, half := analyzer.DefaultPolicy(), schedule.Hundred/2
	strict.Runs = 7
	spec := Spec{Policy: analyzer.DefaultPolicy(), Policies: Policies{"strict": strict}, Schedule: schedule.Schedule{Stages: []schedule.Stage{{Policy: "strict"}, {Coverage: &half}}}}
	if a, b := spec.PolicyOf(0), spec.PolicyOf(1); a.Runs != 7 || a.Coverage != .95 || b.Runs != 2 || b.Coverage != .5 {
		t.Errorf("%+v, %+v", a, b)
	}
}

// No calendar freeze lets anything forward, and none keeps a back-out.
func TestCalendarFreezeHolds(t *testing.T) {
	s := newSite(t, 8)
	s.w.Freezes = []schedule.Freeze{{Name: "x", Err: "gone"}}
	s.run(time.Hour)
	if s.state("ntp").Phase != Waiting {
		t.Error("a rollout began beside a freeze that cannot be read")
	}
	s.w.Freezes = nil
	s.run(5 * time.Minute)
	s.w.Freezes = []schedule.Freeze{{Name: "x", Spans: []schedule.Span{{From: s.w.Now, To: s.w.Now.Add(time.Hour)}}}}
	s.tree["ntp/backout"] = "true"
	s.run(2 * time.Minute)
	if s.state("ntp").Phase != BackedOut {
		t.Error("a freeze kept a back-out")
	}
}

// A spec is kept as JSON: a stage must open at the same times after it was read back.
func TestSpecRoundTrip(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	coverage := schedule.Hundred / 3
	spec := Spec{Name: "ntp", Windows: schedule.Presets(), Policies: Policies{"strict": analyzer.DefaultPolicy()}, Schedule: schedule.Schedule{Stages: []schedule.Stage{{
		Name: "s", Windows: []string{schedule.BusinessHours}, TimeZone: &timeinterval.Location{Location: berlin}, Policy: "strict", Coverage: &coverage, MinNodes: 3, Percent: 1}}},
		Segments: map[string]Segment{"s": {AnyOf: []string{"a"}, AllOf: []string{"b"}, Not: "c", Membership: Snapshot}}}
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	var again Spec
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(again)
	if err != nil || string(second) != string(data) {
		t.Errorf("%v\n%s\n%s", err, data, second)
	}
	for at, opened := t0, 0; ; at = at.Add(7 * time.Minute) {
		before, err := spec.Schedule.Stages[0].Open(spec.Windows, at)
		after, errAgain := again.Schedule.Stages[0].Open(again.Windows, at)
		if err != nil || errAgain != nil || before != after {
			t.Fatalf("%s: %+v %v, read back %+v %v", at, before, err, after, errAgain)
		}
		if before.Open {
			opened++
		}
		if at.After(t0.AddDate(0, 0, 7)) {
			if opened == 0 {
				t.Error("it never opened")
			}
			break
		}
	}
}

// The rest of an order may turn out to have nobody: the rollout goes past it, with its reason on record. Where it is not known who is in it,
// or somebody was and is gone, it holds.
func TestRestOfAnOrderMayBeEmpty(t *testing.T) {
	s := newSite(t, 16)
	s.fra1 = nil
	s.w.Rollouts[0].Spec.Schedule.Stages[1].Rest = true
	s.run(12 * time.Hour)
	st := s.state("ntp")
	if st.Phase != Completed || !st.Stages[1].Skipped || st.Stages[1].Set != "f" || st.Stages[1].Threshold != segments.None {
		t.Fatalf("%s, %+v; %s", st.Phase, st.Stages, s.closedGates("ntp"))
	}
	const want = "stage fra1 is passed over: fra1, the rest of an order, holds no node of track production"
	if i := slices.IndexFunc(s.events, func(e Event) bool { return e.Kind == EventSkipped && e.Text == want }); i < 0 {
		t.Errorf("no event says that %s", want)
	}
	if n := st.Admissions[len(st.Admissions)-1]; n.Stage != 2 {
		t.Errorf("the last admission is %+v", n)
	}
	for name, c := range map[string]struct {
		stage int
		p     Population
		nodes int
		rest  bool
		want  string // "" is open
	}{
		"empty":                       {1, Population{}, 16, true, ""},
		"not the rest of an order":    {1, Population{}, 16, false, "fra1 of stage fra1 holds no node"},
		"the first stage":             {0, Population{}, 16, true, "stage canary is the first: nothing could be shown by it"},
		"not known":                   {1, Population{Err: "PuppetDB does not answer"}, 16, true, "is not known: PuppetDB does not answer"},
		"they were there and are not": {1, Population{Count: 4}, 16, true, "fra1 of stage fra1 holds no node"},
		"an inventory without nodes":  {1, Population{}, 0, true, "fra1 of stage fra1 holds no node"},
	} {
		s := newSite(t, 16)
		s.w.Tracks[0].Nodes = c.nodes
		s.w.Rollouts[0].Spec.Schedule.Stages[c.stage].Rest, s.w.Rollouts[0].Next = c.rest, c.p
		g := (&stepper{w: &s.w, r: &s.w.Rollouts[0]}).segmentGate(c.stage)
		if g.Open != (c.want == "") || !strings.Contains(g.Reason, c.want) {
			t.Errorf("%s: open %t: %s", name, g.Open, g.Reason)
		}
	}
}

// Of a hundred million nodes that are spread evenly a small percentage admits as many as it says, to the node.
func TestSmallShares(t *testing.T) {
	const nodes = 100_000_000
	at := func(k uint64) string { // position of the k-th of them
		u, _ := bits.Div64(k, 0, nodes)
		return segments.Point(u).String()
	}
	for text, want := range map[string]uint64{"0.0000001%": 1, "0.000001%": 1, "0.000002%": 2, "0.00001%": 10, "0.0001%": 100, "0.123456%": 123_456, "33.333333%": 33_333_333} {
		p, err := schedule.ParsePercent(text)
		if err != nil {
			t.Fatal(err)
		}
		if threshold := segments.FromShare(uint64(p)); !threshold.Admits(at(want-1)) || threshold.Admits(at(want)) {
			t.Errorf("%s is %s: it admits number %d %t, number %d %t", text, threshold, want, threshold.Admits(at(want-1)), want+1, threshold.Admits(at(want)))
		}
		if uint64(p.Of(nodes)) != want {
			t.Errorf("%s of them are %d, want %d", text, p.Of(nodes), want)
		}
	}
}
