package enc

import (
	"fmt"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/segments"
)

// Every test here is a way in which a fresh reader once got past the edge.

// A change was backed out, a person lifted the veto, and a second rollout of it reached everyone: when it becomes the
// baseline nobody goes back.
func TestRetriedChangeBecomesTheBaseline(t *testing.T) {
	rollout := func(name string, th segments.Threshold) segments.Rollout {
		r := segments.Rollout{Name: name, Track: "production", Candidate: "new", BackedOut: th == ""}
		if th != "" {
			r.Stages = []segments.Stage{{Name: "everyone", Threshold: th}}
		}
		return r
	}
	with := func(g uint64, baseline string, rs ...segments.Rollout) segments.Document {
		d := published(g)
		d.Tracks[0].Baseline, d.Rollouts = baseline, rs
		return d
	}
	for _, byFlag := range []bool{false, true} {
		e := newEdge(t)
		e.publish(with(1, "old", rollout("first", segments.FromShare(10*percent))))
		if byFlag {
			e.tree["first/backout"] = "true"
		}
		e.publish(with(2, "old", rollout("first", "")))
		if e.on() != 0 {
			t.Fatal("not backed out")
		}
		e.tree["first/backout"] = "false"
		e.publish(with(3, "old", rollout("first", ""), rollout("second", segments.All)))
		if e.on() != 1000 {
			t.Fatalf("the second rollout has %d nodes", e.on())
		}
		e.limit, e.state.Saved = Limit{Nodes: 1}, 0
		e.publish(with(4, "new", rollout("first", "")))
		if e.on() != 1000 || e.state.Effective.Tracks[0].Baseline != "new" {
			t.Errorf("by flag %v: %d nodes have the new baseline: %v", byFlag, e.on(), e.last.Clamped)
		}
	}
}

func TestShrunkenTrackBuysNothing(t *testing.T) {
	e := newEdge(t)
	e.limit = DefaultLimit // 100 of 1000 nodes an hour
	e.publish(published(1))
	small := func(g uint64, stages ...segments.Stage) segments.Document {
		d := published(g, stages...)
		d.Tracks[0].Nodes = 10 // PuppetDB was purged
		return d
	}
	for g := uint64(2); g < 6; g++ {
		e.now = e.now.Add(10 * time.Second)
		e.publish(small(g))
	}
	e.publish(small(9, everyone(100*percent)))
	if n := e.on(); n > 150 {
		t.Errorf("%d of 1000 nodes at once", n)
	}
}

// A parameters rollout may state again what is a default already; when it ends, nobody loses what it brought.
func TestRestatedParametersBecomeTheDefault(t *testing.T) {
	with := func(g uint64, defaults map[string]any, rs ...segments.Rollout) segments.Document {
		d := published(g)
		d.Tracks[0].Parameters, d.Rollouts = defaults, rs
		return d
	}
	r := segments.Rollout{Name: "flags", Track: "production", Parameters: map[string]any{"a": true, "b": true}, Stages: []segments.Stage{{Name: "everyone", Threshold: segments.All}}}
	e := newEdge(t)
	e.publish(with(1, map[string]any{"a": true}, r))
	e.limit, e.state.Saved = Limit{Nodes: 1}, 0
	e.publish(with(2, map[string]any{"a": true, "b": true}))
	for i := range 100 {
		d, err := segments.Decide(&e.state.Effective, segments.Stops{}, "production", fmt.Sprintf("n%d", i), nil)
		if err != nil || d.Parameters["b"] != true {
			t.Fatalf("n%d has %v, %v; %v", i, d.Parameters, err, e.last.Clamped)
		}
	}
}

// TestStagesBecomeOneLine: a leader may publish several stages over the same nodes as one line, by the name of the first, or as
// several again, as when it is updated or set back under a rollout. Whom an edge gave the change keeps it, and nobody is paid twice.
func TestStagesBecomeOneLine(t *testing.T) {
	five, ten, twenty := everyone(5*percent), everyone(10*percent), everyone(20*percent)
	five.Name, ten.Name, twenty.Name = "five", "ten", "twenty"
	line := segments.Stage{Name: "five", Threshold: twenty.Threshold}
	for _, docs := range [][2][]segments.Stage{{{five, ten, twenty}, {line}}, {{line}, {five, ten, twenty}}} {
		e := newEdge(t)
		e.publish(published(1, docs[0]...))
		had := e.on()
		e.limit, e.state.Saved = Limit{Nodes: 1}, 0
		e.publish(published(2, docs[1]...))
		if n := e.on(); n != had || len(e.last.Clamped) > 0 {
			t.Errorf("%d of %d nodes have the change: %v", n, had, e.last.Clamped)
		}
	}
}
