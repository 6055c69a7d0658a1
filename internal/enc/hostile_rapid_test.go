package enc

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/segments"
)

// Any sequence of documents over simulated hours: never more nodes forward than the limit allows, in a step and in all; and
// whoever the published document does not admit is not admitted here, at once.
func TestAnyControllerMovesAtMostTheLimit(t *testing.T) {
	order := byPosition("a")
	rapid.Check(t, func(rt *rapid.T) {
		e := attacked(t)
		sets := []segments.Set{e.set(order[:300]), e.set(order[700:]), e.set(order[200:800]), e.set(order[:5])}
		generation, total, start := uint64(10), 0.0, e.now
		saved, before := e.state.Saved, e.answers()
		for range rapid.IntRange(1, 5).Draw(rt, "steps") {
			e.now = e.now.Add(time.Duration(rapid.IntRange(0, 90).Draw(rt, "minutes")) * time.Minute)
			generation++
			was := e.state
			e.publish(anyDocument(rt, generation, sets))
			baseline := segments.Document{Tracks: was.Effective.Tracks}
			retreat := e.decide(&baseline, segments.Stops{}, "n0")
			after := e.answers()
			n := float64(forward(before, after, answerOf(retreat)))
			before = after
			if allowed := DefaultLimit.accrue(was, fleet, e.now); n > allowed+slack(allowed) {
				rt.Fatalf("%v nodes forward at once, %v allowed: %v", n, allowed, e.last.Clamped)
			}
			total += n
			if allowed := saved + 100*e.now.Sub(start).Hours(); total > allowed+slack(allowed) {
				rt.Fatalf("%v nodes forward in all, %v allowed", total, allowed)
			}
			e.retreats(rt)
		}
	})
}

// retreats: no node is admitted here that the published document does not admit, but to what is to be everyone's anyway.
func (e *edge) retreats(rt *rapid.T) {
	everyones := func(name string) bool {
		r, t := e.state.Effective.Rollout(name), e.state.Published.Tracks[0]
		return r.Candidate == t.Baseline || r.Candidate == "" && holds(t.Parameters, r.Parameters)
	}
	for i := 0; i < fleet; i += 7 {
		name := fmt.Sprintf("n%d", i)
		may := map[string]bool{}
		for _, a := range e.decide(&e.state.Published, segments.Stops{}, name).Rollouts {
			may[a.Rollout] = a.Admitted
		}
		for _, a := range e.decide(&e.state.Effective, segments.Stops{}, name).Rollouts {
			if admitted, known := may[a.Rollout]; a.Admitted && known && !admitted && !everyones(a.Rollout) {
				rt.Fatalf("%s is admitted to %s, which is not published: %+v", name, a.Rollout, a)
			}
		}
	}
}

// anyDocument draws what a controller could write: the changes of a rollout's name are always the same, since another one is refused.
func anyDocument(rt *rapid.T, generation uint64, sets []segments.Set) segments.Document {
	d := published(generation)
	one := func(label string, n int) int { return rapid.IntRange(0, n-1).Draw(rt, label) }
	threshold := func() segments.Threshold {
		return segments.FromShare(rapid.SampledFrom([]uint64{0, 1, 10, 30, 70, 100}).Draw(rt, "percent") * percent)
	}
	set := func() string {
		if i := one("set", len(sets)+1); i < len(sets) {
			return sets[i].Digest
		}
		return ""
	}
	d.Tracks[0].Baseline = rapid.SampledFrom([]string{"old", "old", "old", "env_a", "evil"}).Draw(rt, "baseline")
	d.Tracks[0].Nodes = rapid.SampledFrom([]int{fleet, fleet, 1}).Draw(rt, "nodes")
	for _, name := range []string{"a", "b", "flags"} {
		if one("there", 3) == 0 {
			continue
		}
		r := segments.Rollout{Name: name, Track: "production", Candidate: "env_" + name, BackedOut: one("backed", 6) == 0}
		if name == "flags" {
			r.Candidate, r.Parameters = "", map[string]any{"x": true}
		}
		for i := range one("stages", 3) {
			r.Stages = append(r.Stages, segments.Stage{Name: fmt.Sprint("s", i), Set: set(), Threshold: threshold()})
		}
		for i := range one("caps", 2) {
			r.Caps = append(r.Caps, segments.Cap{ID: fmt.Sprint("c", i), Set: set(), Limit: threshold()})
		}
		d.Rollouts = append(d.Rollouts, r)
	}
	if one("pins", 3) == 0 {
		d.Pins = pinned(rapid.SampledFrom([]string{segments.ToBaseline, segments.ToCandidate}).Draw(rt, "to"), rapid.SampledFrom([]int{5, fleet}).Draw(rt, "pinned"))
	}
	if one("flag default", 5) == 0 {
		d.Tracks[0].Parameters = map[string]any{"x": true}
	}
	return withSets(d, sets...)
}
