package enc

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// A controller that is hostile or broken, with every right in the store but flags/force, moves at most the limit per hour.
// Every test here is one way to try.

const fleet = 1000

// attacked is an edge with the default limit, 100 of 1000 nodes an hour, that obeys a quiet document.
func attacked(t testing.TB) *edge {
	e := newEdge(t)
	e.limit = DefaultLimit
	e.publish(published(1))
	e.now = e.now.Add(time.Minute)
	e.publish(published(2))
	return e
}

// answers is what every node of the fleet gets, by the effective document.
func (e *edge) answers() []string {
	e.t.Helper()
	backed := map[string]bool{}
	for name := range e.state.Stops.BackOut {
		backed[name] = true
	}
	out := make([]string, fleet)
	for i := range out {
		d := e.decide(&e.state.Effective, segments.Stops{BackedOut: backed}, fmt.Sprintf("n%d", i))
		out[i] = answerOf(d)
	}
	return out
}

func answerOf(d segments.Decision) string {
	if d.Parameters == nil {
		return d.Environment
	}
	parameters, _ := json.Marshal(d.Parameters) // of plain values
	return d.Environment + " " + string(parameters)
}

func (e *edge) decide(doc *segments.Document, stops segments.Stops, certname string) segments.Decision {
	e.t.Helper()
	d, err := segments.Decide(doc, stops, "production", certname, func(digest, print string) (bool, error) {
		data := e.sets[digest].Data
		return segments.Contains(strings.NewReader(string(data)), int64(len(data)), print)
	})
	must(e.t, err)
	return d
}

// forward counts the nodes whose environment or parameters are others than before and not the baseline's.
func forward(before, after []string, baseline string) int {
	n := 0
	env, parameters, _ := strings.Cut(baseline, " ")
	for i := range after {
		envWas, was, _ := strings.Cut(before[i], " ")
		envIs, is, _ := strings.Cut(after[i], " ")
		if envIs != envWas && envIs != env || is != was && is != parameters {
			n++
		}
	}
	return n
}

// slack is how far a number of nodes may be off what a share of the fleet is on average: positions are random.
func slack(nodes float64) float64 { return 6*math.Sqrt(nodes) + 6 }

// attack publishes every quarter of an hour for sixteen hours, and wants no more than the limit in any hour, and in all.
func (e *edge) attack(document func(generation uint64) segments.Document) {
	e.t.Helper()
	const perHour = 100.0
	start := e.answers()
	baseline := start[0]
	moved, hour, before := 0.0, []float64{}, e.answers()
	for step := range 64 {
		e.publish(document(uint64(10 + step)))
		after := e.answers()
		n := float64(forward(before, after, baseline))
		before = after
		moved, hour = moved+n, append(hour, n)
		last := 0.0
		for _, h := range hour[max(0, len(hour)-4):] {
			last += h
		}
		if last > 2*perHour+slack(2*perHour) { // what was saved before, and what the hour brought
			e.t.Fatalf("step %d: %v nodes within an hour", step, last)
		}
		if allowed := perHour * (1 + float64(step)/4); moved > allowed+slack(allowed) {
			e.t.Fatalf("step %d: %v nodes in all, %v allowed", step, moved, allowed)
		}
		e.now = e.now.Add(15 * time.Minute)
	}
}

// byPosition is the fleet in the order of a rollout's positions: what a hostile hand would make sets of.
func byPosition(salt string) []string {
	var names []string
	for i := range fleet {
		names = append(names, fmt.Sprintf("n%d", i))
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Compare(segments.Position(salt, a), segments.Position(salt, b))
	})
	return names
}

func (e *edge) set(names []string) segments.Set {
	s := segments.NewSet(names)
	e.sets[s.Digest] = s
	return s
}

func withSets(d segments.Document, sets ...segments.Set) segments.Document {
	d.Sets = map[string]int{}
	for _, s := range sets {
		d.Sets[s.Digest] = s.Count
	}
	return d
}

func TestHostileEverythingAtOnce(t *testing.T) {
	attacked(t).attack(func(g uint64) segments.Document { return published(g, everyone(100*percent)) })
}

// A new rollout of the same change in every document begins at 100 % each time.
func TestHostileNewRolloutEachTime(t *testing.T) {
	attacked(t).attack(func(g uint64) segments.Document {
		d := published(g, everyone(100*percent))
		d.Rollouts[0].Name = fmt.Sprint("r", g)
		return d
	})
}

func TestHostileNewSalt(t *testing.T) {
	e := attacked(t)
	e.publish(published(5, everyone(5*percent)))
	before := e.on()
	d := published(6, everyone(5*percent))
	d.Rollouts[0].Salt = "another"
	if out := e.publish(d); out.Reason != ReasonFrozen || e.on() != before {
		t.Errorf("refused %q, %d nodes, were %d", out.Refused, e.on(), before)
	}
	e.attack(func(g uint64) segments.Document {
		d := published(g, everyone(100*percent))
		d.Rollouts[0].Name, d.Rollouts[0].Salt = fmt.Sprint("r", g), fmt.Sprint("salt", g)
		return d
	})
}

// Members may be picked for their positions, so that a threshold of 1 % holds all of them.
func TestHostileSetOfLowPositions(t *testing.T) {
	e := attacked(t)
	low := e.set(byPosition("ntp")[:400])
	e.attack(func(g uint64) segments.Document {
		return withSets(published(g, segments.Stage{Name: "s", Set: low.Digest, Threshold: segments.FromShare(40 * percent)}), low)
	})
}

// A threshold is paid over a set that has nobody below it; then the set is another one.
func TestHostileSwappedSet(t *testing.T) {
	e := attacked(t)
	order := byPosition("ntp")
	high, low := e.set(order[600:]), e.set(order[:400])
	e.attack(func(g uint64) segments.Document {
		s := []segments.Set{high, low}[g/8%2]
		return withSets(published(g, segments.Stage{Name: "s", Set: s.Digest, Threshold: segments.FromShare(40 * percent)}), s)
	})
}

// The threshold over members of high positions costs little by little and moves nobody, until the last step.
func TestHostileSetOfHighPositions(t *testing.T) {
	e := attacked(t)
	high := e.set(byPosition("ntp")[600:])
	e.attack(func(g uint64) segments.Document {
		th := segments.FromShare(min(100, (g-9)*4) * percent)
		return withSets(published(g, segments.Stage{Name: "s", Set: high.Digest, Threshold: th}), high)
	})
}

func TestHostileBaseline(t *testing.T) {
	for name, doc := range map[string]func(g uint64) segments.Document{
		"moved": func(g uint64) segments.Document { d := published(g); d.Tracks[0].Baseline = "evil"; return d },
		"each time": func(g uint64) segments.Document {
			d := published(g)
			d.Tracks[0].Baseline = fmt.Sprint("evil", g)
			return d
		},
		"capped, then moved": func(g uint64) segments.Document {
			d := published(g, everyone(100*percent))
			d.Rollouts[0].Caps = []segments.Cap{{ID: "c", Limit: segments.None}}
			if g > 56 {
				d = published(g)
				d.Tracks[0].Baseline = "new"
			}
			return d
		},
		"pinned, then moved": func(g uint64) segments.Document {
			d := published(g, everyone(100*percent))
			d.Pins = pinned(segments.ToBaseline, fleet)
			if g > 56 {
				d.Rollouts, d.Tracks[0].Baseline = nil, "new"
			}
			return d
		},
		"default parameters": func(g uint64) segments.Document {
			d := published(g)
			d.Tracks[0].Parameters = map[string]any{"evil": true}
			return d
		},
	} {
		t.Run(name, func(t *testing.T) { attacked(t).attack(doc) })
	}
}

// Taking a default away is a change like another: no document does.
func TestHostileDefaultIsTakenAway(t *testing.T) {
	e := newEdge(t)
	d := published(1)
	d.Tracks[0].Parameters = map[string]any{"hardening": true, "mpm": "event"}
	e.publish(d)
	before := e.answers()
	d = published(2)
	d.Tracks[0].Parameters = map[string]any{"mpm": "event"}
	e.publish(d)
	if e.publish(published(3)); !slices.Equal(before, e.answers()) || len(e.last.Clamped) == 0 {
		t.Errorf("%s became %s; %v", before[0], e.answers()[0], e.last.Clamped)
	}
}

func pinned(to string, n int) []segments.Pin {
	pins := make([]segments.Pin, n)
	for i := range pins {
		pins[i] = segments.Pin{Certname: fmt.Sprintf("n%d", i), To: to}
	}
	return pins
}

func TestHostilePins(t *testing.T) {
	for name, doc := range map[string]func(g uint64) segments.Document{
		"thousands": func(g uint64) segments.Document {
			d := published(g, everyone(0))
			d.Pins = pinned(segments.ToCandidate, fleet)
			return d
		},
		"before the rollout": func(g uint64) segments.Document {
			d := published(g)
			if g > 56 {
				d = published(g, everyone(0))
			}
			d.Pins = pinned(segments.ToCandidate, fleet)
			return d
		},
		"under one that moves nobody": func(g uint64) segments.Document {
			d := published(g, everyone(0))
			d.Rollouts[0].Name = "harmless"
			if d.Rollouts[0].Candidate = "old"; g > 56 {
				d.Rollouts = append(d.Rollouts, segments.Rollout{Name: "evil", Track: "production", Candidate: "evil"})
			}
			d.Pins = pinned(segments.ToCandidate, fleet)
			return d
		},
		"under a back-out": func(g uint64) segments.Document {
			d := published(g, everyone(0))
			d.Rollouts[0].BackedOut = g <= 56
			d.Pins = pinned(segments.ToCandidate, fleet)
			return d
		},
		"ends of pins": func(g uint64) segments.Document {
			d := published(g, everyone(100*percent))
			if g <= 56 {
				d.Pins = pinned(segments.ToBaseline, fleet)
			}
			return d
		},
	} {
		t.Run(name, func(t *testing.T) { attacked(t).attack(doc) })
	}
}

// While one change has everyone, another one is paid for unseen below it; then the first one is gone.
func TestHostileShadow(t *testing.T) {
	rollout := func(name, candidate string, parameters map[string]any) segments.Rollout {
		return segments.Rollout{Name: name, Track: "production", Candidate: candidate, Parameters: parameters, Stages: []segments.Stage{everyone(100 * percent)}}
	}
	for name, two := range map[string][]segments.Rollout{
		"environments": {rollout("a", "new", nil), rollout("b", "evil", nil)},
		"parameters":   {rollout("b", "", map[string]any{"x": "evil"}), rollout("a", "", map[string]any{"x": "new", "y": 1})},
	} {
		t.Run(name, func(t *testing.T) {
			attacked(t).attack(func(g uint64) segments.Document {
				d := published(g)
				if d.Rollouts = two; g > 56 {
					d.Rollouts = slices.DeleteFunc(slices.Clone(two), func(r segments.Rollout) bool { return r.Name == "a" })
				}
				return d
			})
		})
	}
	t.Run("below a new baseline", func(t *testing.T) {
		attacked(t).attack(func(g uint64) segments.Document {
			d := published(g, everyone(50*percent))
			if g > 35 {
				d.Tracks[0].Baseline = "evil"
			}
			return d
		})
	})
	t.Run("by pins", func(t *testing.T) {
		attacked(t).attack(func(g uint64) segments.Document {
			d := published(g)
			d.Rollouts = []segments.Rollout{{Name: "a", Track: "production", Candidate: "new"}, {Name: "b", Track: "production", Candidate: "evil"}}
			if d.Pins = pinned(segments.ToCandidate, fleet); g > 60 {
				d.Rollouts = d.Rollouts[1:]
			}
			return d
		})
	})
}

// A document that counts few nodes to make them cheap, for days.
func TestHostileNodeCount(t *testing.T) {
	e := attacked(t)
	g := uint64(3)
	for range 3 * 48 { // three days, published every half hour
		d := published(g)
		d.Tracks[0].Nodes = 1
		e.publish(d)
		e.now = e.now.Add(30 * time.Minute)
		g++
	}
	before := e.on()
	d := published(g, everyone(100*percent))
	d.Tracks[0].Nodes = 1
	e.publish(d)
	if n := e.on() - before; n > 200 {
		t.Errorf("after three days of counting one node, %d of 1000 move at once", n)
	}
}

func TestHostileTrack(t *testing.T) {
	e := attacked(t)
	d := published(5)
	d.Tracks = append(d.Tracks, segments.Track{Name: "development", Baseline: "evil", Nodes: 1})
	e.publish(d)
	if e.state.Effective.Track("development") != nil || len(e.last.Clamped) != 1 {
		t.Fatalf("a new track is in force: %v", e.last.Clamped)
	}
	d.Generation = 6
	e.tree["force"] = "6"
	if e.publish(d); e.state.Effective.Track("development") == nil {
		t.Error("a person may let it in")
	}
}

func TestHostileMembers(t *testing.T) {
	e := newEdge(t)
	e.limit = DefaultLimit
	few, many := e.set(byPosition("x")[:10]), e.set(byPosition("x"))
	with := func(g uint64, s segments.Set) segments.Document {
		d := withSets(published(g), s)
		d.Tracks[0].Members = s.Digest
		return d
	}
	e.publish(published(1))
	e.publish(with(2, few)) // what the installation found
	e.now = e.now.Add(time.Minute)
	if e.publish(with(3, many)); e.state.Effective.Tracks[0].Members != few.Digest {
		t.Error("990 nodes came onto the track at once")
	}
	if e.publish(published(4)); e.state.Effective.Tracks[0].Members != few.Digest {
		t.Error("a set that is gone lets the next one in for nothing")
	}
}

// Whoever must wait for the allowance does not keep others from going back: a set that is swapped for another loses at once
// those that the new one has no more, and a threshold that falls with it falls.
func TestSwappedSetLetsNodesGoBack(t *testing.T) {
	e := newEdge(t)
	names := byPosition("ntp")
	a, b := e.set(names[:300]), e.set(names[200:])
	with := func(g uint64, s segments.Set, th segments.Threshold) segments.Document {
		return withSets(published(g, segments.Stage{Name: "s", Set: s.Digest, Threshold: th}), s)
	}
	e.publish(with(1, a, segments.All))
	e.limit, e.state.Saved = Limit{Nodes: 1}, 0
	if e.publish(with(2, b, segments.All)); e.on() < 100 || e.on() > 102 {
		t.Errorf("%d nodes, 100 are in both sets", e.on())
	}
	if e.publish(with(3, a, segments.None)); e.on() != 0 {
		t.Errorf("%d nodes below no threshold", e.on())
	}
}
