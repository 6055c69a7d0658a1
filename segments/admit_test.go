package segments

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

const (
	early = "web1.example.com" // u("ntp", early) = 78af…
	set1  = "11111111111111111111111111111111"
)

func doc(r Rollout, pins ...Pin) *Document {
	r.Name, r.Track = "ntp", "production"
	if r.Candidate == "" && r.Parameters == nil {
		r.Candidate = "production_new"
	}
	return &Document{
		Format: Format, Epoch: "e", Generation: 1, Pins: pins, Rollouts: []Rollout{r}, Sets: map[string]int{set1: 1},
		Tracks: []Track{{Name: "production", Baseline: "production_old", Nodes: 10}},
	}
}

// One row per rule of the precedence, each beating every weaker rule that is also present.
func TestDecidePrecedence(t *testing.T) {
	everyone := []Stage{{Name: "all", Threshold: All}}
	hold := []Cap{{ID: "hold1", Limit: None}}
	toBase, toCand := Pin{Certname: early, To: ToBaseline}, Pin{Certname: early, To: ToCandidate}
	in := func(string, string) (bool, error) { return true, nil }
	out := func(string, string) (bool, error) { return false, nil }
	for _, c := range []struct {
		name    string
		doc     *Document
		stops   Stops
		members Members
		want    string
		reason  Reason
	}{
		{"local baseline file", doc(Rollout{Stages: everyone}, toCand), Stops{Baseline: true}, in, "production_old", ReasonLocalBaseline},
		{"backed out in the document", doc(Rollout{Stages: everyone, BackedOut: true}, toCand), Stops{}, in, "production_old", ReasonBackedOut},
		{"backed out by a flag", doc(Rollout{Stages: everyone}, toCand), Stops{BackedOut: map[string]bool{"ntp": true}}, in, "production_old", ReasonBackedOut},
		{"another rollout's flag", doc(Rollout{Stages: everyone}), Stops{BackedOut: map[string]bool{"dns": true}}, in, "production_new", ReasonBelow},
		{"pin to baseline", doc(Rollout{Stages: everyone}, toCand, toBase), Stops{}, in, "production_old", ReasonPinBaseline},
		{"cap", doc(Rollout{Stages: everyone, Caps: hold}, toCand), Stops{}, in, "production_old", ReasonCap},
		{"cap for others", doc(Rollout{Stages: everyone, Caps: []Cap{{ID: "h", Set: set1, Limit: None}}}), Stops{}, out, "production_new", ReasonBelow},
		{"pin to candidate", doc(Rollout{}, toCand), Stops{}, in, "production_new", ReasonPinCandidate},
		{"pin for another rollout", doc(Rollout{}, Pin{Certname: early, To: ToCandidate, Rollout: "dns"}), Stops{}, in, "production_old", ReasonNoStage},
		{"below", doc(Rollout{Stages: []Stage{{Name: "s", Threshold: "8000000000000000"}}}), Stops{}, in, "production_new", ReasonBelow},
		{"above", doc(Rollout{Stages: []Stage{{Name: "s", Threshold: "7000000000000000"}}}), Stops{}, in, "production_old", ReasonAbove},
		{"not in the segment", doc(Rollout{Stages: []Stage{{Name: "s", Set: set1, Threshold: All}}}), Stops{}, out, "production_old", ReasonNoStage},
		{"in the segment", doc(Rollout{Stages: []Stage{{Name: "s", Set: set1, Threshold: All}}}), Stops{}, in, "production_new", ReasonBelow},
		{"no stage at all", doc(Rollout{}), Stops{}, in, "production_old", ReasonNoStage},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.doc.Validate(); err != nil {
				t.Fatal(err)
			}
			d, err := Decide(c.doc, c.stops, "production", early, c.members)
			if err != nil {
				t.Fatal(err)
			}
			if d.Environment != c.want || d.Rollouts[0].Reason != c.reason {
				t.Errorf("got %s because %q, want %s because %q", d.Environment, d.Rollouts[0].Reason, c.want, c.reason)
			}
		})
	}
}

// A null takes a parameter away from the nodes that are admitted, by default or by a rollout, and nobody is given a null.
func TestDecideNull(t *testing.T) {
	d := doc(Rollout{Parameters: map[string]any{"motd": nil, "level": 3.0}, Stages: []Stage{{Name: "s", Threshold: "8000000000000000"}}})
	d.Tracks[0].Parameters = map[string]any{"motd": "x", "level": 5.0, "gone": nil}
	for certname, want := range map[string]int{early: 1, "web5.example.com": 2} {
		got, err := Decide(d, Stops{}, "production", certname, nil)
		_, motd := got.Parameters["motd"]
		_, gone := got.Parameters["gone"]
		if err != nil || len(got.Parameters) != want || motd != (want == 2) || gone {
			t.Errorf("%s is given %v, %v", certname, got.Parameters, err)
		}
	}
}

func TestDecideOffTrack(t *testing.T) {
	d, err := Decide(doc(Rollout{Stages: []Stage{{Name: "all", Threshold: All}}}), Stops{}, "development", early, nil)
	if err != nil || d.Environment != "" || d.Parameters != nil {
		t.Errorf("a node off the track got %+v, %v", d, err)
	}
}

// A set that cannot be read gives no answer, neither baseline nor candidate.
func TestDecideUnreadableSet(t *testing.T) {
	broken := func(string, string) (bool, error) { return false, errors.New("gone") }
	for _, r := range []Rollout{
		{Stages: []Stage{{Name: "s", Set: set1, Threshold: All}}},
		{Stages: []Stage{{Name: "s", Threshold: All}}, Caps: []Cap{{ID: "h", Set: set1, Limit: None}}},
	} {
		if d, err := Decide(doc(r), Stops{}, "production", early, broken); err == nil || d.Environment != "" {
			t.Errorf("got %+v, %v", d, err)
		}
	}
}

func TestDecideParameters(t *testing.T) {
	d := doc(Rollout{Parameters: map[string]any{"sshd": "on"}, Stages: []Stage{{Name: "all", Threshold: All}}})
	d.Tracks[0].Parameters = map[string]any{"sshd": "off", "ntp": true}
	got, err := Decide(d, Stops{}, "production", early, nil)
	if err != nil || got.Environment != "production_old" || got.Parameters["sshd"] != "on" || got.Parameters["ntp"] != true {
		t.Errorf("got %+v, %v", got, err)
	}
	if d.Tracks[0].Parameters["sshd"] != "off" {
		t.Error("the decision changed the document")
	}
}

func TestValidate(t *testing.T) {
	for name, breakIt := range map[string]func(*Document){
		"format":             func(d *Document) { d.Format = 2 },
		"epoch":              func(d *Document) { d.Epoch = "" },
		"generation":         func(d *Document) { d.Generation = 0 },
		"no tracks":          func(d *Document) { d.Tracks = nil },
		"baseline":           func(d *Document) { d.Tracks[0].Baseline = "" },
		"baseline with dash": func(d *Document) { d.Tracks[0].Baseline = "pro-duction" },
		"candidate path":     func(d *Document) { d.Rollouts[0].Candidate = "../etc" },
		"unlisted set":       func(d *Document) { d.Rollouts[0].Stages = []Stage{{Name: "s", Set: "x", Threshold: All}} },
		"threshold":          func(d *Document) { d.Rollouts[0].Stages = []Stage{{Name: "s"}} },
		"cap limit":          func(d *Document) { d.Rollouts[0].Caps = []Cap{{ID: "h"}} },
		"unknown track":      func(d *Document) { d.Rollouts[0].Track = "dev" },
		"two kinds":          func(d *Document) { d.Rollouts[0].Parameters = map[string]any{"a": 1} },
		"twice":              func(d *Document) { d.Rollouts = append(d.Rollouts, d.Rollouts[0]) },
		"pin":                func(d *Document) { d.Pins = []Pin{{Certname: "a", To: "elsewhere"}} },
	} {
		d := doc(Rollout{})
		breakIt(d)
		if d.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestCapsAlwaysWin: against any stages, sets, caps and pins, a node that is admitted is below every cap that holds it, whatever
// admits it; one pinned to baseline or backed out never is; and nobody is admitted whom neither a stage nor a pin admits.
func TestCapsAlwaysWin(t *testing.T) {
	threshold := rapid.Custom(func(t *rapid.T) Threshold {
		return rapid.SampledFrom([]Threshold{None, All, "4000000000000000", "78af000000000000", "8000000000000000", "c000000000000000"}).Draw(t, "threshold")
	})
	set := rapid.SampledFrom([]string{"", "in", "out"})
	in := func(digest, _ string) (bool, error) { return digest == "in", nil }
	rapid.Check(t, func(t *rapid.T) {
		r := Rollout{BackedOut: rapid.IntRange(0, 9).Draw(t, "backed out") == 0}
		for range rapid.IntRange(0, 3).Draw(t, "stages") {
			r.Stages = append(r.Stages, Stage{Name: "s", Set: set.Draw(t, "of"), Threshold: threshold.Draw(t, "t")})
		}
		for range rapid.IntRange(0, 3).Draw(t, "caps") {
			r.Caps = append(r.Caps, Cap{ID: "c", Set: set.Draw(t, "capped"), Limit: threshold.Draw(t, "limit")})
		}
		var pins []Pin
		for range rapid.IntRange(0, 2).Draw(t, "pins") {
			pins = append(pins, Pin{Certname: early, To: rapid.SampledFrom([]string{ToBaseline, ToCandidate}).Draw(t, "to"), Rollout: rapid.SampledFrom([]string{"", "ntp", "dns"}).Draw(t, "in")})
		}
		stops := Stops{Baseline: rapid.IntRange(0, 9).Draw(t, "local") == 0, BackedOut: map[string]bool{"ntp": rapid.IntRange(0, 9).Draw(t, "flag") == 0}}
		got, err := Decide(doc(r, pins...), stops, "production", early, in)
		if err != nil {
			t.Fatal(err)
		}
		if !got.Rollouts[0].Admitted {
			return
		}
		if r.BackedOut || stops.Baseline || stops.BackedOut["ntp"] {
			t.Fatal("admitted past a back-out")
		}
		for _, c := range r.Caps {
			if (c.Set == "" || c.Set == "in") && !c.Limit.Admits(got.Rollouts[0].Position) {
				t.Fatalf("admitted past the cap %+v, because %s", c, got.Rollouts[0].Reason)
			}
		}
		pinned := false
		for _, p := range pins {
			if p.Rollout != "dns" && p.To == ToBaseline {
				t.Fatal("admitted past a pin to baseline")
			}
			pinned = pinned || p.Rollout != "dns"
		}
		reached := false
		for _, s := range r.Stages {
			reached = reached || (s.Set == "" || s.Set == "in") && s.Threshold.Admits(got.Rollouts[0].Position)
		}
		if !pinned && !reached {
			t.Fatal("admitted by nothing")
		}
	})
}
