package daemon

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
	"github.com/openinfrastructure/sluice/internal/tree"
)

func requestUnveto(name string) tree.Request {
	return tree.Request{Kind: tree.RequestUnveto, Rollout: name, Reason: "it was the network"}
}

// countWrites counts the leader's transactions from now on.
func (l *lab) countWrites() *int {
	n := new(int)
	l.l.faults.Plan(func(c storetest.Call) storetest.Fault {
		if c.Method == "Txn" {
			*n++
		}
		return storetest.Fault{}
	})
	return n
}

// TestRefusedRequests: a request that cannot be carried out says why, and nothing begins. It is refused once.
func TestRefusedRequests(t *testing.T) {
	start := func(name string, change func(*tree.Start)) tree.Request {
		s := startOf("production_3")
		change(s)
		return tree.Request{Kind: tree.RequestStart, Rollout: name, Start: s}
	}
	with := func(f func(*tree.Start)) tree.Request { return start("dns", f) }
	for name, c := range map[string]struct {
		request tree.Request
		want    string
	}{
		"schedule":              {with(func(s *tree.Start) { s.Schedule = "five" }), `schedule "five" is not in the configuration`},
		"policy":                {with(func(s *tree.Start) { s.Policy = "strict" }), `policy "strict" is not in the configuration`},
		"track":                 {with(func(s *tree.Start) { s.Track = "staging" }), `track "staging" is not in the store`},
		"nothing":               {with(func(s *tree.Start) { s.Environment = "" }), "exactly one of an environment and parameters"},
		"both":                  {with(func(s *tree.Start) { s.Parameters = map[string]any{"a": 1} }), "exactly one of an environment and parameters"},
		"the baseline":          {with(func(s *tree.Start) { s.Environment = "production_1" }), "is the baseline"},
		"the track itself":      {with(func(s *tree.Start) { s.Environment = "production" }), "is the track itself"},
		"a bad environment":     {with(func(s *tree.Start) { s.Environment = "../etc" }), "expected letters, digits and _"},
		"a bad name":            {start("Ntp 2", func(*tree.Start) {}), "expected lower-case letters"},
		"an existing name":      {start("ntp", func(*tree.Start) {}), "names are never used twice"},
		"under way":             {start("ntp2", func(s *tree.Start) { s.Environment = "production_2" }), "under way with the same"},
		"no start":              {tree.Request{Kind: tree.RequestStart, Rollout: "dns"}, "says nothing to start"},
		"parameters too large":  {with(func(s *tree.Start) { s.Environment, s.Parameters = "", map[string]any{"a": strings.Repeat("x", 5000)} }), "at most"},
		"kind":                  {tree.Request{Kind: "stop", Rollout: "ntp"}, `unknown kind "stop"`},
		"unveto of none":        {requestUnveto("dns"), "no backed-out rollout dns"},
		"unveto of a good one":  {requestUnveto("ntp"), "no backed-out rollout ntp"},
		"confirming no restore": {tree.Request{Kind: tree.RequestConfirmRestore}, "not behind any edge"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, 2).lead()
			l.start("ntp", "production_2")
			l.look()
			l.look()
			before := l.snapshot()
			l.request("r", c.request)
			l.look()
			after := l.snapshot()
			if r := after.Requests["r"]; !strings.Contains(r.Refused, c.want) || r.By != "alice" {
				t.Errorf("%+v, want %q", r, c.want)
			}
			if len(after.Rollouts) != len(before.Rollouts) {
				t.Errorf("%d rollouts, were %d", len(after.Rollouts), len(before.Rollouts))
			}
			if last := l.chain()[after.Audit.Seq-1]; last.Kind != "refused" || last.By != "alice" || !strings.Contains(last.Text, c.want) {
				t.Errorf("audit: %+v", last)
			}
			writes := l.countWrites()
			l.look()
			if *writes != 0 {
				t.Errorf("it is refused again: %d writes", *writes)
			}
		})
	}
}

// TestWindowThatNeverOpensIsRefused: a rollout that could not begin is refused when it is asked for, and says why.
func TestWindowThatNeverOpensIsRefused(t *testing.T) {
	l := newLab(t, 2).lead()
	var over schedule.Window
	l.must(yaml.Unmarshal([]byte(`{time_zone: UTC, years: ["2020:2021"]}`), &over))
	cfg := l.l.site.cfg
	never := cfg.Schedules["three"]
	never.Stages = slices.Clone(never.Stages)
	never.Stages[1].Windows = []string{"over"}
	cfg.Windows = map[string]schedule.Window{"over": over}
	cfg.Schedules["never"] = never
	l.startBy("never", "dns", "production_3")
	l.look()
	if r := l.snapshot().Requests["dns"]; !strings.Contains(r.Refused, "its windows [over] do not open within") || len(l.snapshot().Rollouts) != 0 {
		t.Errorf("%q, %d rollouts", r.Refused, len(l.snapshot().Rollouts))
	}
}

// TestUnreadableRequest is for a person to mend; nothing else waits for it.
func TestUnreadableRequest(t *testing.T) {
	l := newLab(t, 2).lead()
	l.set(tree.RequestKey("a"), "{")
	l.start("ntp", "production_2")
	l.look()
	if l.snapshot().Rollout("ntp") == nil || l.get(tree.RequestKey("a")) != "{" {
		t.Errorf("rollouts %v, the request is %q", l.snapshot().Rollouts, l.get(tree.RequestKey("a")))
	}
}

// TestVeto: what was backed out is refused under any name, until a person says otherwise.
func TestVeto(t *testing.T) {
	l := newLab(t, 4).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.set("flags/ntp/backout", "true")
	l.look()
	l.start("again", "production_2")
	l.look()
	if r := l.snapshot().Requests["again"]; !strings.Contains(r.Refused, "vetoed: sluice unveto ntp") {
		t.Fatalf("%+v", r)
	}
	l.request("1-unveto", requestUnveto("ntp"))
	l.start("again2", "production_2")
	l.look()
	if snap := l.snapshot(); snap.Requests["1-unveto"].Kind != "" || !snap.Rollout("ntp").State.Unvetoed || snap.Rollout("again2") == nil {
		t.Errorf("requests %v", snap.Requests)
	}
	l.until("again2", gate.Completed)
	if s := l.state("ntp"); s.Phase != gate.BackedOut {
		t.Errorf("the one that was backed out is %s", s.Phase)
	}
}

// TestManyRequestsAndFlags: however much people write at once, every bit of it is dealt with, once, and none of it can
// keep a look from ending.
func TestManyRequestsAndFlags(t *testing.T) {
	l := newLab(t, 4).lead()
	l.look()
	for n := range 40 {
		name := fmt.Sprintf("r%02d", n)
		l.start(name, fmt.Sprintf("production_x%02d", n))
		l.set("flags/"+name+"/pause", "true")
		l.set("flags/"+name+"/delay", "2d")
	}
	for range 60 {
		l.look()
	}
	count := map[string]int{}
	for _, e := range l.localChain("state") {
		if e.Kind == "queued" {
			count[e.Rollout]++
		}
		if e.Kind == "flag" {
			count[e.Text]++
		}
	}
	snap := l.snapshot()
	if len(snap.Rollouts) != 40 || len(snap.Requests) != 0 {
		t.Errorf("%d rollouts, %d requests left", len(snap.Rollouts), len(snap.Requests))
	}
	for what, n := range count {
		if n != 1 {
			t.Errorf("%s is in the audit %d times", what, n)
		}
	}
	if want := 40 + 80 + 1; len(count) != want {
		t.Errorf("%d things in the audit, want %d", len(count), want)
	}
	entries, _, err := l.kv.List(t.Context(), "flags/")
	l.must(err)
	for _, e := range entries { // consul kv delete -recurse sluice/flags
		l.must(l.kv.Txn(t.Context(), store.Delete(e.Key)))
	}
	for range 60 {
		l.look()
	}
	if left := l.snapshot().Stops.Seen; len(left) != 0 {
		t.Errorf("%d flags are still taken for written", len(left))
	}
	for n := range 40 {
		if _, paused := l.snapshot().Stops.Latched.Pause[fmt.Sprintf("r%02d", n)]; !paused {
			t.Errorf("r%02d is not paused any more, although nobody said so", n)
		}
	}
}

// TestBackOutOfManyAtOnce: forty rollouts are taken back by as many flags.
func TestBackOutOfManyAtOnce(t *testing.T) {
	l := newLab(t, 4).lead()
	for n := range 40 {
		l.start(fmt.Sprintf("r%02d", n), fmt.Sprintf("production_x%02d", n))
	}
	for range 20 {
		l.look()
	}
	for n := range 40 {
		l.set(fmt.Sprintf("flags/r%02d/backout", n), "true")
	}
	for range 20 {
		l.look()
	}
	for n := range 40 {
		if s := l.state(fmt.Sprintf("r%02d", n)); s.Phase != gate.BackedOut {
			t.Errorf("r%02d is %s", n, s.Phase)
		}
	}
}

// TestParametersBecomeTheDefault: a finished parameters rollout stays in force, also one that only changes a value.
func TestParametersBecomeTheDefault(t *testing.T) {
	l := newLab(t, 4).lead()
	for n, value := range []string{"on", "off"} {
		name := fmt.Sprintf("sshd%d", n)
		l.request(name, tree.Request{Kind: tree.RequestStart, Rollout: name,
			Start: &tree.Start{Track: "production", Parameters: map[string]any{"sshd": value}, Schedule: "three", Policy: "default"}})
		l.until(name, gate.Completed)
		l.tick()
		l.tick()
		want := map[string]any{"sshd": value}
		snap := l.snapshot()
		if diff := cmp.Diff(want, snap.Document.Tracks[0].Parameters); diff != "" {
			t.Errorf("document:\n%s", diff)
		}
		if diff := cmp.Diff(want, snap.Track("production").Parameters); diff != "" {
			t.Errorf("track:\n%s", diff)
		}
	}
}

// TestVetoOfParameters: flags that were backed out are vetoed like code is.
func TestVetoOfParameters(t *testing.T) {
	l := newLab(t, 4).lead()
	ask := func(name string, value string) {
		l.request(name, tree.Request{Kind: tree.RequestStart, Rollout: name,
			Start: &tree.Start{Track: "production", Parameters: map[string]any{"sshd": value}, Schedule: "three", Policy: "default"}})
	}
	ask("sshd", "on")
	l.until("sshd", gate.Running)
	l.set("flags/sshd/backout", "true")
	l.look()
	ask("again", "on")
	ask("other", "off")
	l.look()
	snap := l.snapshot()
	if r := snap.Requests["again"]; !strings.Contains(r.Refused, "vetoed") {
		t.Errorf("%+v", r)
	}
	if snap.Rollout("other") == nil {
		t.Errorf("another value is refused: %+v", snap.Requests["other"])
	}
}
