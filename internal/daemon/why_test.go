package daemon

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/why"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
)

// askWhy asks the API of a sluiced that leads, or does not.
func (l *lab) askWhy(leads bool, path string) (code int, v why.View) {
	l.Helper()
	d := &Daemon{store: l.kv, now: func() time.Time { return l.now }, site: l.l.site}
	if leads {
		d.collecting.Store(l.l.collector)
	}
	w := httptest.NewRecorder()
	d.api().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code == http.StatusOK {
		l.must(json.Unmarshal(w.Body.Bytes(), &v))
	}
	return w.Code, v
}

// TestWhyForetells: the stage that the API names for a node is the one that admits it in the end, and not before the time it names.
func TestWhyForetells(t *testing.T) {
	l := newLab(t, 12).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	told := map[string]*why.Next{}
	for _, name := range l.nodes {
		code, v := l.askWhy(true, "/api/v1/why/"+name)
		if code != http.StatusOK || len(v.Tracks) != 1 || len(v.Tracks[0].Rollouts) != 1 || len(v.Segments) != 2 {
			t.Fatalf("%s: %d %+v", name, code, v)
		}
		for _, s := range v.Segments {
			if s.Holds == why.Unknown {
				t.Errorf("%s: whether segment %s holds it is not known: %s", name, s.Name, s.Why)
			}
		}
		if n := v.Tracks[0].Rollouts[0].Next; n != nil {
			told[name] = n
		}
	}
	if len(told) != len(l.nodes)-1 {
		t.Fatalf("%d of %d nodes have something to wait for", len(told), len(l.nodes))
	}
	if _, v := l.askWhy(false, "/api/v1/why/n01"); v.Tracks[0].Rollouts[0].Next == nil || len(v.Tracks[0].Rollouts[0].Next.Possible) == 0 {
		t.Errorf("one that does not lead cannot know what n01 says of itself: %+v", v.Tracks[0].Rollouts[0].Next)
	}
	if _, v := l.askWhy(true, "/api/v1/why/n1"); !strings.Contains(v.Absent, "not among the active nodes that PuppetDB listed at") {
		t.Errorf("of a node that there is not: %q", v.Absent)
	}
	for _, leads := range []bool{true, false} {
		if _, v := l.askWhy(leads, "/api/v1/why/n01"); v.Absent != "" {
			t.Errorf("n01 is missed (leader %t): %q", leads, v.Absent)
		}
	}
	if code, _ := l.askWhy(true, "/api/v1/why/n01?track=prod"); code != http.StatusNotFound {
		t.Errorf("a track that there is not: %d", code)
	}
	l.until("ntp", gate.Completed)
	state, spec := l.state("ntp"), l.snapshot().Rollout("ntp").Spec
	stages := map[string]int{}
	for name, n := range told {
		at, stage := state.AdmittedAt(segments.Position(spec.Salt, name), func(set string) bool {
			held, err := edge.FetchMember(t.Context(), l.kv, set, countOf(&state, set), segments.Fingerprint(name))
			l.must(err)
			return held
		})
		if stage < 0 || spec.Schedule.Stages[stage].Name != n.Stage || at.Before(n.NotBefore) || len(n.Possible) > 0 {
			t.Errorf("%s was admitted by stage %d at %s, and foretold was %+v", name, stage, at, *n)
		}
		stages[n.Stage]++
	}
	if len(stages) != 2 {
		t.Errorf("all of them in one stage: %v", stages)
	}
}

// TestWhyForetellsStagesInNodes: who is in a stage to come that is given in nodes the leader knows, and everybody who asks hears it.
func TestWhyForetellsStagesInNodes(t *testing.T) {
	l := newLab(t, 22)
	l.extra = `  counted:
    growth: 100
    stages:
      - {name: canary, segment: canary, bake: {time: 10m, runs: 2}}
      - {name: three, segment: fra1, nodes: 3, bake: {time: 10m, runs: 2}}
      - {name: eight, nodes: 8, bake: {time: 10m, runs: 2}}
      - {name: later, segment: fra1, nodes: 9, bake: {time: 10m, runs: 2}}
      - {name: everyone, bake: {time: 10m, runs: 2}}
`
	l.lead()
	l.startBy("counted", "ntp", "production_2")
	l.until("ntp", gate.Running)
	l.look()
	told := map[string][]why.Answer{} // of the stages three, eight and later
	for _, name := range l.nodes {
		_, v := l.askWhy(true, "/api/v1/why/"+name)
		for _, s := range v.Tracks[0].Rollouts[0].Stages[1:4] {
			told[name] = append(told[name], s.Admits)
		}
	}
	// Without the inventory, whether a node is in fra1 is not known, and who is among the first of everyone is.
	if _, v := l.askWhy(false, "/api/v1/why/n01"); v.Tracks[0].Rollouts[0].Stages[2].Admits != told["n01"][1] || told["n01"][1] == why.Unknown {
		t.Errorf("one that does not lead: %+v", v.Tracks[0].Rollouts[0].Stages[2])
	}
	l.until("ntp", gate.Completed)
	state := l.state("ntp")
	counts := map[why.Answer]int{}
	for name, answers := range told {
		for k, got := range answers[:2] {
			st := &state.Stages[k+1]
			want := why.No
			if st.Target.Admits(segments.Position("ntp", name)) {
				want = why.Yes
				if st.Set != "" {
					held, err := edge.FetchMember(t.Context(), l.kv, st.Set, st.Count, segments.Fingerprint(name))
					l.must(err)
					want = map[bool]why.Answer{true: why.Yes, false: why.No}[held]
				}
			}
			if counts[want]++; got != want {
				t.Errorf("stage %s has %s: %s, foretold was %s", st.Name, name, want, got)
			}
		}
		if fra1 := answers[2] != why.No; fra1 && answers[2] != why.Unknown {
			t.Errorf("who is in fra1 when stage later begins nobody knows, and of %s it is said: %s", name, answers[2])
		}
	}
	if counts[why.Yes] != 3+8 {
		t.Errorf("%v", counts)
	}
}

// TestWhyAsksPuppetDBForQueries: the leader knows who is in a segment of a PQL query by asking, and what cannot be asked is not known.
func TestWhyAsksPuppetDBForQueries(t *testing.T) {
	l := newLab(t, 6).lead()
	l.l.site.cfg.Segments["fra1"] = config.Segment{PQL: `nodes[certname] { certname ~ "n0[0-3]" }`}
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	holds := func(leads bool, name string) (why.Answer, string) {
		_, v := l.askWhy(leads, "/api/v1/why/"+name)
		for _, s := range v.Segments {
			if s.Name == "fra1" {
				return s.Holds, s.Why
			}
		}
		t.Fatalf("no segment fra1 in %+v", v.Segments)
		return why.Unknown, ""
	}
	for name, want := range map[string]why.Answer{"n01": why.Yes, "n05": why.No} {
		if got, reason := holds(true, name); got != want {
			t.Errorf("%s: %v, %s; want %v", name, got, reason, want)
		}
	}
	if got, reason := holds(false, "n01"); got != why.Unknown || reason == "" {
		t.Errorf("one that does not lead: %v, %q", got, reason)
	}
	broken, err := puppetdb.New(puppetdb.Config{URL: "http://127.0.0.1:1"})
	l.must(err)
	l.l.collector.pdb = broken
	if got, reason := holds(true, "n01"); got != why.Unknown || reason == "" {
		t.Errorf("with PuppetDB gone: %v, %q", got, reason)
	}
}

// countOf is how many members a stage's set has.
func countOf(state *gate.State, set string) int {
	for _, s := range state.Stages {
		if s.Set == set {
			return s.Count
		}
	}
	return 0
}
