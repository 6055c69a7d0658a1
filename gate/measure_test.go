package gate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

// number reads a count or a percentage.
func number(t *testing.T, g Gate, text string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil {
		t.Fatalf("%s: %q of %+v is no number", g.Name, text, g)
	}
	return v
}

// moment reads a time.
func moment(t *testing.T, g Gate, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatalf("%s: %q of %+v is no time", g.Name, text, g)
	}
	return v
}

// TestGatesSayWhatTheyCompare: value and limit of a gate are those by which it is open or closed, at every look of whole rollouts beside each
// other, and the sentence of a closed one has the same numbers.
func TestGatesSayWhatTheyCompare(t *testing.T) {
	s := newSite(t, 200)
	s.flag("sshd")
	s.w.Blast = BlastRule{Limit: &schedule.Amount{Nodes: 30}}
	for i := range s.w.Rollouts {
		stages := s.w.Rollouts[i].Spec.Schedule.Stages
		for k := range stages {
			stages[k].Ramp.InFlight.Nodes = 9
			stages[k].Bake.Runs = 3
		}
		stages[1].Deadline = schedule.Deadline{After: model.Duration(20 * time.Minute), Then: schedule.ThenHold}
		stages[2].Approval = true
		s.w.Rollouts[i].Spec.Schedule.Growth = 4
	}
	s.verdict = func(r *Rollout) analyzer.Verdict { // as healthy, two minutes later
		v := s.healthy(r)
		v.Counts.Exposed = 0
		for _, n := range s.nodes {
			if at, _ := s.admittedAt(r, n); !at.IsZero() && s.w.Now.Sub(at) >= 3*time.Minute {
				v.Counts.Exposed++
			}
		}
		if v.Counts.Exposed < v.Counts.Admitted {
			v.Result, v.Grade = analyzer.Inconclusive, ""
		}
		return v
	}
	both := map[string]bool{}
	for range 2400 {
		for stage, at := range map[string]time.Duration{"fra1": 5 * time.Hour, "fra1 ": 7 * time.Hour, "everyone": 18 * time.Hour} {
			if s.w.Now.Sub(t0) == at { // the second word for fra1 answers its deadline
				s.tree["ntp/approve/"+strings.TrimSpace(stage)], s.tree["sshd/approve/"+strings.TrimSpace(stage)] = "true at "+at.String(), "true at "+at.String()
			}
		}
		now := s.w.Now
		d := s.look()
		for _, name := range []string{"ntp", "sshd"} {
			for _, g := range d.Gates[name] {
				both[fmt.Sprint(g.Name, " ", g.Open)] = true
				checkMeasure(t, g, now)
			}
		}
		s.w.Now = s.w.Now.Add(time.Minute)
	}
	for _, name := range []string{"ntp", "sshd"} {
		if s.state(name).Phase != Completed {
			t.Errorf("%s is %s: %+v", name, s.state(name).Phase, s.look().Gates[name])
		}
	}
	for _, name := range []string{GateRamp, GateCoverage, GateBake, GateVerdict, GateGrowth, GateDeadline, GateBlast, GateUnproven, GateApproval} {
		for _, open := range []bool{true, false} {
			if key := fmt.Sprint(name, " ", open); !both[key] {
				t.Errorf("never seen: %s", key)
			}
		}
	}
}

func checkMeasure(t *testing.T, g Gate, now time.Time) {
	t.Helper()
	if g.Source == "" {
		t.Fatalf("nobody says so: %+v", g)
	}
	fits := true
	switch g.Name {
	case GateUnproven, GateEdges:
		fits = g.Value == "" || (number(t, g, g.Value) <= number(t, g, g.Limit)) == g.Open
	case GateSegment:
		fits = (number(t, g, g.Value) >= number(t, g, g.Limit)) == g.Open
	case GateBlast:
		fits = g.Value == "" || (number(t, g, g.Value) < number(t, g, g.Limit)) == g.Open || g.Open && strings.HasPrefix(g.Reason, "0 more")
	case GateRamp:
		fits = number(t, g, g.Value) <= number(t, g, g.Limit) && (g.Open || !strings.Contains(g.Reason, "in flight") || strings.HasPrefix(g.Reason, g.Value+" admitted nodes have not run yet, at most "+g.Limit+" may"))
	case GateCoverage:
		fits = (number(t, g, g.Value) >= number(t, g, g.Limit)) == g.Open
	case GateBake:
		if strings.Contains(g.Reason, "until") {
			fits = !g.Open && now.Before(moment(t, g, g.Limit)) && !now.Before(moment(t, g, g.Value)) && g.Next.Equal(moment(t, g, g.Limit))
		} else {
			fits = (number(t, g, g.Value) >= number(t, g, g.Limit)) == g.Open
		}
	case GateVerdict:
		fits = strings.HasPrefix(g.Value, "pass") == g.Open && g.Limit == "pass (clean)"
	case GateGrowth:
		fits = (number(t, g, g.Value) <= number(t, g, g.Limit)) == g.Open || strings.Contains(g.Reason, "approved")
	case GateDeadline:
		fits = g.Open || now.After(moment(t, g, g.Limit))
	case GateApproval:
		fits = g.Open == (g.Value == "approved" || g.Limit == "")
	case GateFreeze, GatePause, GateRestored:
		fits = g.Value == "false" && g.Limit == "false" && g.Open
	}
	if !fits {
		t.Fatalf("at %s: %+v", now, g)
	}
}

// TestGatesOfPeopleSayWhatStands: what people set is the value, and what it must be the limit.
func TestGatesOfPeopleSayWhatStands(t *testing.T) {
	s := newSite(t, 16)
	s.run(2 * time.Minute)
	for flag, want := range map[string]Gate{
		"freeze":    {Name: GateFreeze, Value: "true", Limit: "false", Source: "flags/freeze"},
		"ntp/pause": {Name: GatePause, Value: "true", Limit: "false", Source: "flags/ntp/pause"},
		"ntp/delay": {Name: GateDelay, Value: "2h", Limit: "2026-11-02T10:02:00Z", Source: "flags/ntp/delay"},
	} {
		s.tree[flag] = map[bool]string{true: "2h", false: "true"}[want.Name == GateDelay]
		found := false
		for _, g := range s.look().Gates["ntp"] {
			if g.Name == want.Name && !g.Open {
				found = true
				if g.Value != want.Value || g.Limit != want.Limit || g.Source != want.Source {
					t.Errorf("%+v, want %+v", g, want)
				}
			}
		}
		if !found {
			t.Errorf("%s does not close %s", flag, want.Name)
		}
		s.tree[flag] = "false"
		s.look()
	}
	for name := range asks {
		if !slices.Contains(GateNames, name) {
			t.Errorf("no gate is called %s", name)
		}
	}
	if len(asks) != len(GateNames) {
		t.Errorf("%d gates have a source, of %d", len(asks), len(GateNames))
	}
	if got := closed(GateVerdict, "x", "y").is(analyzer.Fail, .951); got.Value != "fail" || got.Limit != "95.1%" {
		t.Errorf("%+v", got)
	}
}
