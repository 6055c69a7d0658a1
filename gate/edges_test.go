package gate

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate/schedule"
)

// The puppetserver that lags is the one that is named, not those that agree with each other.
func TestTheEdgeThatLagsIsNamed(t *testing.T) {
	w := World{EdgeRule: EdgeRule{Live: time.Hour}}
	edges := func(ids ...string) []Edge {
		var out []Edge
		for i, id := range ids {
			out = append(out, Edge{Host: "p" + string(rune('1'+i)), Code: map[string]string{"env": id}})
		}
		return out
	}
	for name, c := range map[string]struct {
		want  string
		edges []Edge
		said  []string
	}{
		"all agree":           {"", edges("a", "a", "a"), nil},
		"the first lags":      {"", edges("old", "new", "new"), []string{"bypass: env is old on p1, it is new elsewhere"}},
		"two lag differently": {"", edges("x", "new", "y", "new"), []string{"bypass: env is x on p1, it is new elsewhere", "bypass: env is y on p3, it is new elsewhere"}},
		"one against one":     {"", edges("b", "a"), []string{"bypass: env is a on p2 and b on p1"}},
		"changed on most":     {"a", edges("b", "b", "a"), []string{"bypass: env is b on p1, p2, it was a when the rollout began"}},
		"changed everywhere":  {"a", edges("b", "b"), []string{"bypass: env is b on p1, p2, it was a when the rollout began"}},
		"half deployed":       {"a", edges("a", "failed"), []string{"the deployment of env on p2 did not get through"}},
		"missing beside":      {"", edges("a", "missing", "a"), []string{"environment env is missing on p2"}},
		"unpinned":            {"", edges("unpinned"), []string{"the code of env on p1 is unpinned (expected the signature that r10k or g10k leaves in it)"}},
		"never said":          {"a", []Edge{{Host: "p1"}}, []string{"p1 has not said which code env is"}},
	} {
		if got := w.code("env", c.want, c.edges); !slices.Equal(got, c.said) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.said)
		}
	}
}

// Code that changes beside sluice under one rollout holds every rollout, on other tracks and of parameters too; a rollout
// that only waits may still be being deployed and holds nobody else.
func TestBypassHoldsEverything(t *testing.T) {
	s := newSite(t, 16)
	s.beside = true
	s.start("flags", "")
	s.w.Rollouts[1].Spec.Parameters = map[string]any{"x": true}
	s.start("queued", "production_c")
	s.w.Rollouts[2].Spec.Schedule.Supersede = schedule.SupersedeQueue
	s.run(5 * time.Minute)
	if !s.state("ntp").Phase.Active() || !s.state("flags").Phase.Active() || s.state("queued").Phase != Waiting {
		t.Fatalf("%s %s %s", s.state("ntp").Phase, s.state("flags").Phase, s.state("queued").Phase)
	}
	reason := func(rollout string) string {
		t.Helper()
		for _, g := range s.look().Gates[rollout] {
			if g.Name == "edges" && !g.Open {
				return g.Reason
			}
		}
		return ""
	}
	s.edge(func(e *Edge) { e.Code["production_c"] = "half" })
	s.w.Edges = append(s.w.Edges, s.w.Edges[0])
	s.w.Edges[1].Host, s.w.Edges[1].Code = "p2", map[string]string{"production_a": "sha-a", "production_b": "sha-production_b", "production_c": "other"}
	if got := reason("ntp") + reason("flags"); got != "" {
		t.Errorf("a rollout that waits holds others: %s", got)
	}
	s.w.Edges[1].Code["production_b"] = "edited"
	for rollout, want := range map[string]string{"ntp": "bypass: production_b is edited on p2", "flags": "under ntp: bypass: production_b is edited on p2"} {
		if got := reason(rollout); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", rollout, got, want)
		}
	}
	n := len(s.admitted("flags"))
	s.run(3 * time.Hour)
	if got := len(s.admitted("flags")); got != n {
		t.Errorf("%d nodes, then %d, under a bypass", n, got)
	}
}

// An environment that becomes the baseline under a rollout is watched from then on as well.
func TestNewBaselineIsWatched(t *testing.T) {
	s := newSite(t, 16)
	s.w.Rollouts = nil
	s.start("flags", "")
	s.w.Rollouts[0].Spec.Parameters = map[string]any{"x": true}
	s.run(2 * time.Minute)
	s.w.Tracks[0].Baseline = "production_b"
	s.edge(func(*Edge) {})
	s.look()
	s.w.Edges[0].Code["production_b"] = "edited"
	if got := closedGates(s.look(), "flags"); !strings.Contains(got, "edges") {
		t.Errorf("closed: %q", got)
	}
}
