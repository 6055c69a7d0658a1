package gate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/segments"
)

// TestCaps: what a wish makes of the caps that were there.
func TestCaps(t *testing.T) {
	hold := func(set string, n int) Wish { return Wish{Source: "hold/a", Set: set, Count: n} }
	standing := Cap{ID: "hold/a", Set: "s1", Count: 1, Since: t0}
	gone := standing
	gone.Lifted = t0.Add(time.Hour)
	cut := Cap{ID: "veto/x", Set: "s1", Count: 1, Since: t0}
	for name, c := range map[string]struct {
		phase  Phase
		prev   []Cap
		wishes []Wish
		lift   string
		want   string
	}{
		"new":                           {Running, nil, []Wish{hold("s1", 1)}, "", "hold/a=s1"},
		"matches nobody":                {Running, nil, []Wish{{Source: "hold/a"}}, "", ""},
		"stands":                        {Running, []Cap{standing}, []Wish{hold("s1", 1)}, "", "hold/a=s1"},
		"grows":                         {Running, []Cap{standing}, []Wish{hold("s2", 2)}, "", "hold/a=s2"},
		"cannot be read any more":       {Running, []Cap{standing}, []Wish{{Source: "hold/a", Unknown: true}}, "", "hold/a=s1"},
		"ended":                         {Running, []Cap{standing}, nil, "", "hold/a=s1 lifted"},
		"ended before anybody had it":   {Waiting, []Cap{standing}, nil, "", ""},
		"stands again":                  {Running, []Cap{gone}, []Wish{hold("s2", 2)}, "", "hold/a=s1 lifted, hold/a#2=s2"},
		"a veto's key is gone":          {Running, []Cap{cut}, nil, "", "veto/x=s1"},
		"... while waiting":             {Waiting, []Cap{cut}, nil, "", "veto/x=s1"},
		"a veto is taken back":          {Running, []Cap{cut}, nil, "veto/x", "veto/x=s1 lifted"},
		"taken back, and its key there": {Running, []Cap{cut}, []Wish{{Source: "veto/x", Set: "s1", Count: 1}}, "veto/x", "veto/x=s1 lifted"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Caps(&State{Phase: c.phase, Caps: c.prev}, c.wishes, func(s string) bool { return s == c.lift }, t0.Add(2*time.Hour))
			var words []string
			for i := range got {
				w := got[i].ID + "=" + got[i].Set
				if !got[i].Standing() {
					w += " lifted"
				}
				words = append(words, w)
			}
			if s := strings.Join(words, ", "); s != c.want || got == nil {
				t.Errorf("%q, want %q", s, c.want)
			}
		})
	}
}

// hold caps the nodes of a site that had not been admitted, as the leader does.
func (s *site) hold(source string, nodes []string) {
	r := &s.w.Rollouts[0]
	s.kept[source] = nil
	for _, n := range nodes {
		if at, _ := s.admittedAt(r, n); at.IsZero() {
			s.kept[source] = append(s.kept[source], n)
		}
	}
}

// TestHeldNodesStayAndTheRestGoesOn: the stage of the held nodes is passed over, the others complete the stages, and nothing is
// completed before the hold has ended; then the nodes come back in steps of what may be in flight.
func TestHeldNodesStayAndTheRestGoesOn(t *testing.T) {
	s := newSite(t, 40)
	for i := range s.w.Rollouts[0].Spec.Schedule.Stages {
		s.w.Rollouts[0].Spec.Schedule.Stages[i].Ramp.InFlight.Nodes = 4
	}
	s.run(3 * time.Minute)
	s.hold("hold/fra1", s.fra1)
	s.run(4 * time.Hour)
	if st := s.state("ntp"); st.Phase != Settling || len(s.admitted("ntp")) != 21 { // the canary is of fra1, and had it
		t.Fatalf("%s, %d admitted", st.Phase, len(s.admitted("ntp")))
	}
	if got := closedGates(s.look(), "ntp"); got != "hold" {
		t.Errorf("closed gates %q", got)
	}
	delete(s.kept, "hold/fra1")
	s.tree["ntp/pause"] = "true"
	s.run(time.Hour)
	if n := len(s.admitted("ntp")); n != 21 {
		t.Errorf("%d admitted: the end of a hold does not end a pause", n)
	}
	s.tree["ntp/pause"] = "false"
	for last := 21; s.state("ntp").Phase == Settling; s.w.Now = s.w.Now.Add(time.Minute) {
		s.look()
		if n := len(s.admitted("ntp")); n > last+4 {
			t.Fatalf("%d came back at once", n-last)
		} else {
			last = max(n, last)
		}
		if s.w.Now.After(t0.Add(48 * time.Hour)) {
			t.Fatalf("stuck at %d: %s", last, closedGates(s.look(), "ntp"))
		}
	}
	if s.state("ntp").Phase != Completed {
		t.Errorf("%s", s.state("ntp").Phase)
	}
}

// Against any holds that come and go, at any moment: nobody is admitted who is held, a node that has the change keeps it, and
// the document says the same as the state.
func TestCapsKeepTheirNodes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newSite(t, 24)
		for i := range s.w.Rollouts[0].Spec.Schedule.Stages {
			s.w.Rollouts[0].Spec.Schedule.Stages[i].Ramp.InFlight.Nodes = 5
		}
		for range rapid.IntRange(10, 60).Draw(rt, "looks") {
			s.w.Now = s.w.Now.Add(time.Duration(rapid.IntRange(1, 20).Draw(rt, "minutes")) * time.Minute)
			switch source := rapid.SampledFrom([]string{"hold/a", "hold/b"}).Draw(rt, "which"); rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				from := rapid.IntRange(0, 23).Draw(rt, "from")
				s.hold(source, s.nodes[from:rapid.IntRange(from, 24).Draw(rt, "to")])
			case 1:
				delete(s.kept, source)
			}
			before := s.admitted("ntp")
			s.look()
			after := s.admitted("ntp")
			for _, kept := range s.kept {
				for _, n := range kept {
					if slices.Contains(after, n) {
						rt.Fatalf("%s is held and admitted", n)
					}
				}
			}
			r := &s.w.Rollouts[0]
			if !r.State.Phase.Active() {
				break
			}
			for _, n := range s.nodes {
				if slices.Contains(before, n) && !slices.Contains(after, n) {
					rt.Fatalf("a hold took the change from %s", n)
				}
				d, err := segments.Decide(&s.w.Document, segments.Stops{}, "production", n, func(set, print string) (bool, error) {
					i := slices.IndexFunc(s.nodes, func(n string) bool { return segments.Fingerprint(n) == print })
					return s.in(set, s.nodes[i]), nil
				})
				if err != nil {
					rt.Fatal(err)
				}
				if has := d.Environment == "production_b"; has != slices.Contains(after, n) {
					rt.Fatalf("the document gives %s %s, by the state it is admitted: %t (%+v)", n, d.Environment, !has, d.Rollouts)
				}
			}
		}
	})
}

// setOf names the set of some nodes, for sites.
func setOf(nodes []string) string { return fmt.Sprint(nodes) }

// TestPinThatCameAndWent: a pin to baseline that ended before the state could hear of it, as while the inventory is not read, ends
// with every gate open.
func TestPinThatCameAndWent(t *testing.T) {
	s := newSite(t, 24)
	for range 600 {
		if len(s.admitted("ntp")) > 1 {
			break
		}
		s.run(time.Minute)
	}
	node := s.admitted("ntp")[0]
	s.look()
	w := s.w
	w.Rollouts = slices.Clone(w.Rollouts)
	w.Rollouts[0].Caps = nil
	pinned := func() bool {
		d := Decide(w)
		w.Document.Pins = d.Document.Pins
		return slices.ContainsFunc(d.Document.Pins, func(p segments.Pin) bool { return p.Certname == node && p.To == segments.ToBaseline })
	}
	w.Pins = []Pin{{Certname: node, To: segments.ToBaseline}}
	if !pinned() {
		t.Fatal("the pin is not in the document")
	}
	w.Pins, w.Sources.Fresh = nil, false
	if !pinned() {
		t.Error("the pin ends although the sources are not fresh")
	}
	if w.Sources.Fresh = true; pinned() {
		t.Error("the pin stays with every gate open")
	}
}

// pinned has a rollout under way, one of its nodes, and a state that has heard of the node's pin to baseline.
func pinned(t *testing.T) (s *site, node string) {
	s = newSite(t, 24)
	for len(s.admitted("ntp")) < 2 {
		s.run(time.Minute)
	}
	node = s.admitted("ntp")[0]
	s.look()
	r := &s.w.Rollouts[0]
	r.State.Caps = []Cap{{ID: "pin/" + node, Position: segments.Position("ntp", node), Since: s.w.Now}}
	r.Caps = Caps(&r.State, nil, nil, s.w.Now)                         // nobody asks for it any more
	s.w.Stops = flags.Latched{Pause: map[string]flags.Stop{"ntp": {}}} // and nothing is given back
	return s, node
}

// TestPinEndsWithItsOwnNode: once its node is back a pin is in no document any more, although nodes of other caps are yet to come. Else
// the node would wait for those, and they for it, where a limit on unproven change lets one at a time.
func TestPinEndsWithItsOwnNode(t *testing.T) {
	s, node := pinned(t)
	r := &s.w.Rollouts[0]
	s.w.Document.Pins = []segments.Pin{{Certname: node, To: segments.ToBaseline, Rollout: "ntp"}}
	for limit, want := range map[segments.Threshold]int{segments.None: 1, segments.Threshold(r.Caps[0].Position): 1, "ffffffffffffffff": 0} {
		lifted := r.Caps[0]
		lifted.Steps = []CapStep{{At: s.w.Now, Limit: limit}}
		r.State.Caps = []Cap{lifted}
		r.Caps = r.State.Caps
		if got := Decide(s.w).Document.Pins; len(got) != want {
			t.Errorf("back below %s: the document pins %+v", limit, got)
		}
	}
}

// TestEndedPinStaysOutOfLaterRollouts: a pin of every rollout that has ended is left in the one that has yet to give its node back, and not
// in one that began since.
func TestEndedPinStaysOutOfLaterRollouts(t *testing.T) {
	s, node := pinned(t)
	s.flag("sshd").State = State{Phase: Running, Stages: []StageState{{Name: "canary", Set: "c", Count: 1, Target: segments.All, Threshold: segments.All, Since: s.w.Now, Full: s.w.Now}}}
	s.w.Document.Pins = []segments.Pin{{Certname: node, To: segments.ToBaseline}}
	want := []segments.Pin{{Certname: node, To: segments.ToBaseline, Rollout: "ntp"}}
	if got := Decide(s.w).Document.Pins; !slices.Equal(got, want) {
		t.Errorf("the document pins %+v, want %+v", got, want)
	}
}

// TestCapsWaitForADocument: while nothing may be published edges give the change to whoever a hold, a pin or a cut-out is to keep from it. One
// that comes and goes meanwhile has taken nothing, and its end takes nothing.
func TestCapsWaitForADocument(t *testing.T) {
	s := newSite(t, 24)
	for len(s.admitted("ntp")) < 3 {
		s.run(time.Minute)
	}
	had := s.admitted("ntp")
	s.w.Halt = "the store was restored from before"
	s.kept["veto/v"] = had[:2]
	if s.look(); len(s.state("ntp").Caps) > 0 || !slices.Equal(s.admitted("ntp"), had) {
		t.Errorf("%v have it, %d nodes had it; caps %+v", s.admitted("ntp"), len(had), s.state("ntp").Caps)
	}
	s.w.Halt = ""
	if s.look(); len(s.state("ntp").Caps) != 1 || slices.Contains(s.admitted("ntp"), had[0]) {
		t.Errorf("%v have it although it was taken from %s; caps %+v", s.admitted("ntp"), had[:2], s.state("ntp").Caps)
	}
}

// TestAllCutOutComeBack: where everybody who had the change was cut out, the judge has nobody to ask; when they are given back the first of
// them come all the same, as many as may be in flight, and the others when those have shown the change.
func TestAllCutOutComeBack(t *testing.T) {
	s := newSite(t, 24)
	s.w.Rollouts[0].Spec.Schedule.Stages[1].Ramp.InFlight.Nodes = 3
	ask := func(r *Rollout) analyzer.Verdict {
		v := s.healthy(r)
		if v.Counts.Admitted == 0 {
			v.Result, v.Checks = analyzer.Inconclusive, []analyzer.Check{{Name: "compile", Reason: "no exposed node yet"}, {Name: "new_failures", Reason: "no exposed node yet"}}
		}
		return v
	}
	s.verdict = ask
	for len(s.state("ntp").Stages) < 2 {
		s.run(time.Minute)
	}
	s.kept["veto/v"] = s.nodes[:12]
	if s.run(time.Hour); len(s.admitted("ntp")) > 0 {
		t.Fatalf("%v have it", s.admitted("ntp"))
	}
	delete(s.kept, "veto/v")
	s.w.Rollouts[0].State.Caps[0].Lifted = s.w.Now // a person took it back
	s.verdict = func(*Rollout) analyzer.Verdict { return analyzer.Verdict{Reason: "PuppetDB is slow"} }
	if s.run(time.Hour); len(s.admitted("ntp")) > 0 {
		t.Errorf("%v have it again although the judge has not answered", s.admitted("ntp"))
	}
	s.verdict = ask
	if s.look(); len(s.admitted("ntp")) != 3 {
		t.Errorf("%v have it again; closed %s", s.admitted("ntp"), closedGates(s.look(), "ntp"))
	}
	if s.run(12 * time.Hour); s.state("ntp").Phase != Completed {
		t.Errorf("%s, closed %s", s.state("ntp").Phase, closedGates(s.look(), "ntp"))
	}
}
