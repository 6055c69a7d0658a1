package why

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

var t0 = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// site is a rollout with three stages on a fleet of 10,000: 1% of everyone, all of fra1, everyone but a holdback of 2%. The first is
// admitted.
func site() *tree.Snapshot {
	first := segments.FromShare(uint64(schedule.Hundred / 100))
	bake := schedule.Bake{Time: model.Duration(2 * time.Hour), Runs: 2}
	r := tree.Rollout{
		Spec: gate.Spec{Name: "ntp", Salt: "ntp", Track: "production", Candidate: "production_2", Baseline: "production_1", Created: t0,
			Segments: map[string]gate.Segment{"fra1": {Selector: `{enc.datacenter="fra1"}`}},
			Schedule: schedule.Schedule{Stages: []schedule.Stage{
				{Name: "few", Percent: schedule.Hundred / 100, Bake: bake},
				{Name: "fra1", Segment: "fra1", Percent: schedule.Hundred, Bake: bake},
				{Name: "rest", Percent: schedule.Hundred, Bake: bake},
			}}},
		State: gate.State{Phase: gate.Running, Since: t0, Stages: []gate.StageState{{Name: "few", Count: 10_000, Target: first, Threshold: first, Since: t0, Full: t0}}},
		Status: tree.Status{At: t0, Gates: []gate.Gate{
			{Name: "bake", Reason: "bakes for 2h", Next: t0.Add(time.Hour)}, {Name: "verdict", Reason: "inconclusive"}, {Name: "freeze", Open: true}}},
	}
	return &tree.Snapshot{Rollouts: []tree.Rollout{r}, Document: segments.Document{Generation: 7,
		Tracks:   []segments.Track{{Name: "production", Baseline: "production_1", Nodes: 10_000}},
		Rollouts: []segments.Rollout{{Name: "ntp", Track: "production", Candidate: "production_2", Salt: "ntp", Stages: []segments.Stage{{Name: "few", Threshold: first}}}}}}
}

// nodeAt finds a certname whose position is in [low, high) of the fleet.
func nodeAt(low, high float64) string {
	for i := 0; ; i++ {
		name := fmt.Sprintf("web%d.example.test", i)
		if at := segments.Threshold(segments.Position("ntp", name)).Share(); at >= low && at < high {
			return name
		}
	}
}

func noSets(string, int, string) (bool, error) { return false, errors.New("there is no set") }

func inDatacenter(name, dc string) *Attributes {
	return Inventory(name, nil, nil, map[string]any{"datacenter": dc})
}

// TestNext: which stage admits a node, what that stage waits for, and when that can be.
func TestNext(t *testing.T) {
	middle, last := nodeAt(.3, .9), nodeAt(.985, 1)
	type change = func(s *tree.Snapshot, r *tree.Rollout)
	for name, c := range map[string]struct {
		node, dc  string
		change    change
		stage     string
		possible  string
		after     string
		waits     string
		notBefore time.Duration // after t0
		says      string
	}{
		"the next stage has it": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict", notBefore: time.Hour, says: "waits for bake, verdict"},
		"a later one has it":    {node: middle, dc: "iad1", stage: "rest", after: "few fra1", waits: "bake verdict", notBefore: 3 * time.Hour},
		"nobody knows where the node is": {node: middle, stage: "rest", possible: "fra1", after: "few fra1", waits: "bake verdict", notBefore: 3 * time.Hour,
			says: "perhaps earlier by fra1"},
		"it is of the holdback": {node: last, dc: "iad1", stage: Settling, after: "few fra1 rest", waits: "bake verdict", notBefore: 5 * time.Hour, says: "kept as control"},
		"its stage still grows": {node: middle, dc: "iad1", stage: "few", waits: "ramp", change: func(s *tree.Snapshot, r *tree.Rollout) {
			r.State.Stages[0].Target, r.State.Stages[0].Full = segments.All, time.Time{}
			r.Status.Gates = append(r.Status.Gates, gate.Gate{Name: "ramp", Reason: "20 in flight"})
		}},
		"a window": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict window", notBefore: 23 * time.Hour, change: func(s *tree.Snapshot, r *tree.Rollout) {
			r.Status.Gates = append(r.Status.Gates, gate.Gate{Name: "window", Reason: "outside office", Next: t0.Add(23 * time.Hour)})
		}},
		"a stage is skipped": {node: middle, dc: "fra1", stage: "rest", after: "few fra1", waits: "bake verdict", notBefore: 3 * time.Hour,
			change: func(s *tree.Snapshot, r *tree.Rollout) { r.State.Skips = map[string]string{"fra1": "anna"} }},
		"a hold with an end": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict", notBefore: 8 * time.Hour, says: "when hold/upgrade ends, at 2026-11-02T17:00:00Z",
			change: func(s *tree.Snapshot, r *tree.Rollout) {
				s.Holds = []gate.Hold{{ID: "upgrade", Selector: `{enc.datacenter="fra1"}`, Until: t0.Add(8 * time.Hour), By: "anna", Comment: "switches"}}
			}},
		"a hold of others": {node: middle, dc: "iad1", stage: "rest", after: "few fra1", waits: "bake verdict", notBefore: 3 * time.Hour, change: func(s *tree.Snapshot, r *tree.Rollout) {
			s.Holds = []gate.Hold{{ID: "upgrade", Selector: `{enc.datacenter="fra1"}`, Until: t0.Add(8 * time.Hour), By: "anna"}}
		}},
		"a hold that is over": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict", notBefore: time.Hour, change: func(s *tree.Snapshot, r *tree.Rollout) {
			s.Holds = []gate.Hold{{ID: "upgrade", Selector: `{}`, Until: t0, By: "anna"}}
		}},
		"a hold nobody can read": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict", notBefore: time.Hour, says: "when a person ends hold/torn",
			change: func(s *tree.Snapshot, r *tree.Rollout) { s.Holds = []gate.Hold{{ID: "torn", Err: "torn"}} }},
		"cut out": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict", notBefore: time.Hour, says: "never by itself: veto/ntp-1",
			change: func(s *tree.Snapshot, r *tree.Rollout) {
				s.Vetoes = []gate.Veto{{ID: "ntp-1", Rollout: "ntp", Selector: `{enc.datacenter="fra1"}`, By: "anna"}, {ID: "other", Rollout: "sshd", Selector: "{}"}}
			}},
		"pinned": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict", notBefore: 24 * time.Hour, says: "when pin/" + middle + " ends",
			change: func(s *tree.Snapshot, r *tree.Rollout) {
				s.Pins = []gate.Pin{{Certname: middle, To: segments.ToBaseline, Until: t0.Add(24 * time.Hour)}}
			}},
		"pinned in another rollout": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict", notBefore: time.Hour, change: func(s *tree.Snapshot, r *tree.Rollout) {
			s.Pins = []gate.Pin{{Certname: middle, To: segments.ToBaseline, Rollout: "sshd"}}
		}},
		"backed out": {node: middle, dc: "fra1", says: "never by itself: the rollout is backed out", change: func(s *tree.Snapshot, r *tree.Rollout) { s.Document.Rollouts[0].BackedOut = true }},
		"it waits for its start": {node: middle, dc: "fra1", stage: "fra1", after: "few", notBefore: 30 * time.Hour, waits: "start", change: func(s *tree.Snapshot, r *tree.Rollout) {
			s.Document.Rollouts, r.State = nil, gate.State{}
			r.Spec.Schedule.Start = &schedule.Start{NotBefore: t0.Add(28 * time.Hour)}
			r.Status.Gates = []gate.Gate{{Name: "start", Reason: "not before", Next: t0.Add(28 * time.Hour)}}
		}},
		"a stage before it needs approval": {node: middle, dc: "iad1", stage: "rest", after: "few fra1", waits: "bake verdict", notBefore: 3 * time.Hour, says: "needs approval of fra1;",
			change: func(s *tree.Snapshot, r *tree.Rollout) {
				r.Spec.Schedule.Stages[1].Approval, r.Spec.Schedule.Stages[2].Approval = true, true
				r.State.Approvals = map[string]gate.DelaySeen{"rest": {Raw: "true"}}
			}},
		"nobody leads": {node: middle, dc: "fra1", stage: "fra1", after: "few", says: "no leader has looked at it yet",
			change: func(s *tree.Snapshot, r *tree.Rollout) { r.Status = tree.Status{} }},
		"a window that never opens": {node: middle, dc: "fra1", stage: "fra1", after: "few", waits: "bake verdict", says: "it never begins: ", change: func(s *tree.Snapshot, r *tree.Rollout) {
			r.Spec.Schedule.Stages[1].Windows = []string{"gone"}
		}},
		"settling": {node: last, dc: "iad1", stage: Settling, waits: "ramp", change: func(s *tree.Snapshot, r *tree.Rollout) {
			r.State.Phase = gate.Settling
			for _, name := range []string{"fra1", "rest"} {
				held := segments.FromShare(uint64(98 * schedule.Hundred / 100))
				r.State.Stages = append(r.State.Stages, gate.StageState{Name: name, Count: 10_000, Target: held, Threshold: held, Since: t0, Full: t0})
			}
			r.Status.Gates = []gate.Gate{{Name: "ramp", Reason: "200 in flight"}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := site()
			if c.change != nil {
				c.change(s, &s.Rollouts[0])
			}
			ask := Ask{Certname: c.node, Now: t0, Member: noSets}
			if c.dc != "" {
				ask.Attributes = inDatacenter(c.node, c.dc)
			}
			v, err := Of(s, ask)
			if err != nil {
				t.Fatal(err)
			}
			n := v.Tracks[0].Rollouts[0].Next
			if n == nil {
				t.Fatal("it says nothing of what is next")
			}
			want := time.Time{}
			if c.notBefore > 0 {
				want = t0.Add(c.notBefore)
			}
			if n.Stage != c.stage || strings.Join(n.Possible, " ") != c.possible || strings.Join(n.After, " ") != c.after || strings.Join(gateNames(n.Waits), " ") != c.waits || !n.NotBefore.Equal(want) || !strings.Contains(n.Says, c.says) {
				t.Errorf("got %+v\nwant stage %q, possible %q, after %q, waits %q, not before %s, says %q", *n, c.stage, c.possible, c.after, c.waits, want, c.says)
			}
		})
	}
}

// TestAdmittedHasNoNext: a node that has the change waits for nothing.
func TestAdmittedHasNoNext(t *testing.T) {
	v, err := Of(site(), Ask{Certname: nodeAt(0, .01), Now: t0, Member: noSets})
	if err != nil {
		t.Fatal(err)
	}
	if on := v.Tracks[0]; on.Environment != "production_2" || !on.Rollouts[0].Admitted || on.Rollouts[0].Next != nil {
		t.Errorf("got %+v", on)
	}
}

// TestCapsByState: a hold that the leader has resolved concerns the nodes of its set, whatever its selector says now.
func TestCapsByState(t *testing.T) {
	node := nodeAt(.3, .9)
	set := segments.NewSet([]string{node})
	s := site()
	s.Document.Sets = map[string]int{set.Digest: 1}
	s.Document.Rollouts[0].Caps = []segments.Cap{{ID: "hold/upgrade", Set: set.Digest, Limit: segments.None}}
	s.Rollouts[0].State.Caps = []gate.Cap{{ID: "hold/upgrade", Set: set.Digest, Count: 1, Since: t0}}
	s.Holds = []gate.Hold{{ID: "upgrade", Selector: `{enc.datacenter="fra1"}`, By: "anna", Comment: "switches", Until: t0.Add(time.Hour)}}
	member := func(_ string, _ int, print string) (bool, error) {
		return print == segments.Fingerprint(node), nil
	}
	for _, name := range []string{node, node + "x"} {
		v, err := Of(s, Ask{Certname: name, Now: t0, Member: member})
		if err != nil {
			t.Fatal(err)
		}
		caps := v.Tracks[0].Rollouts[0].Caps
		if name != node {
			if len(caps) != 0 {
				t.Errorf("%s is not held: %+v", name, caps)
			}
			continue
		}
		if len(caps) != 1 || caps[0].Holds != Yes || caps[0].By != "anna" || caps[0].Reason != "switches" || !caps[0].Until.Equal(t0.Add(time.Hour)) || !caps[0].Since.Equal(t0) {
			t.Errorf("caps: %+v", caps)
		}
	}
}

// TestSegmentsNeedAttributes: what was not read is not known, and never empty.
func TestSegmentsNeedAttributes(t *testing.T) {
	all := map[string]gate.Segment{
		"web": {Certnames: []string{"web*.example.test"}}, "fra1": {Selector: `{enc.datacenter="fra1"}`}, "notfra1": {Not: "fra1"},
		"debian": {Selector: `{facts.os.family="Debian"}`}, "asked": {PQL: "nodes[certname] {}"}, "byname": {Selector: `{certname=~"web.*"}`}}
	for name, c := range map[string]struct {
		attributes *Attributes
		want       string
	}{
		"only its name": {nil, "asked=not known byname=yes debian=not known fra1=not known notfra1=not known web=yes"},
		"without ENC":   {Inventory("web1.example.test", map[string]any{"os": map[string]any{"family": "Debian"}}, nil, nil), "asked=not known byname=yes debian=yes fra1=not known notfra1=not known web=yes"},
		"all":           {Inventory("web1.example.test", map[string]any{}, nil, map[string]any{"datacenter": "iad1"}), "asked=not known byname=yes debian=no fra1=no notfra1=yes web=yes"},
	} {
		v, err := Of(site(), Ask{Certname: "web1.example.test", Now: t0, Member: noSets, Segments: all, Attributes: c.attributes})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range v.Segments {
			got = append(got, s.Name+"="+string(s.Holds))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got  %s\nwant %s", name, strings.Join(got, " "), c.want)
		}
	}
}

// TestStagesInNodes: a stage to come that is given in nodes ends where the leader says, and nowhere that is known where it does not.
func TestStagesInNodes(t *testing.T) {
	third := segments.FromShare(segments.Billion / 3)
	for name, c := range map[string]struct {
		at      float64
		targets []segments.Threshold
		admits  Answer
		why     string
	}{
		"below":          {.1, []segments.Threshold{"", "", third}, Yes, "its first 3333 nodes by position, as of the leader's last look"},
		"above":          {.5, []segments.Threshold{"", "", third}, No, "as of the leader's last look"},
		"not said":       {.1, nil, Unknown, "the threshold is known when it begins"},
		"said of others": {.1, []segments.Threshold{third}, Unknown, "the threshold is known when it begins"},
		"not known":      {.1, []segments.Threshold{"", "", ""}, Unknown, "the threshold is known when it begins"},
	} {
		s := site()
		r := &s.Rollouts[0]
		r.Spec.Schedule.Stages[2].Percent, r.Spec.Schedule.Stages[2].Nodes, r.Status.Targets = 0, 3333, c.targets
		v, err := Of(s, Ask{Certname: nodeAt(c.at, c.at+.05), Now: t0, Member: noSets})
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Tracks[0].Rollouts[0].Stages[2]; got.Admits != c.admits || !strings.Contains(got.Why, c.why) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestAdmitsAsTheGate: a stage to come is said to admit a node exactly where the gate's own target does.
func TestAdmitsAsTheGate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := schedule.Percent(rapid.Uint64Range(0, uint64(schedule.Hundred/5)).Draw(t, "holdback"))
		stage := schedule.Stage{Name: "s", Percent: schedule.Percent(rapid.Uint64Range(1, uint64(schedule.Hundred)).Draw(t, "percent"))}
		s := schedule.Schedule{Stages: []schedule.Stage{stage}, Holdback: &held}
		var positions []segments.Point
		for i := range 50 {
			positions = append(positions, segments.PointOf("salt", fmt.Sprint("n", i)))
		}
		slices.Sort(positions)
		want := gate.Target(s, stage, positions, len(positions))
		got, _ := target(s, stage, len(positions))
		for _, p := range positions[1:] { // the gate gives a stage its first node whatever its share
			if got.Admits(p.String()) != want.Admits(p.String()) {
				t.Fatalf("position %s: %v here, %v at the gate", p, got, want)
			}
		}
	})
}
