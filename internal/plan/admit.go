package plan

import (
	"slices"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

const planned = "plan"

// admissions is who is admitted when.
type admissions struct {
	by    []int // by node: the index of the stage that admits it first, or the number of stages for one that is kept as control to the end
	sizes []int // of the stages' segments
	// state has every stage as it is when it is full.
	state gate.State
}

// admit asks the function that the edges ask, with the document of each stage.
func (f *fleet) admit(s schedule.Schedule, salt string) (*admissions, error) {
	documents := []segments.Document{}
	rollout := segments.Rollout{Name: planned, Salt: salt, Track: planned, Candidate: "candidate"}
	out := &admissions{by: make([]int, len(f.nodes))}
	for i, stage := range s.Stages {
		positions := f.positions(stage.Segment, salt)
		out.sizes = append(out.sizes, len(positions))
		target := gate.Target(s, stage, positions, len(f.nodes))
		out.state.Stages = append(out.state.Stages, gate.StageState{Name: stage.Name, Set: stage.Segment, Target: target, Threshold: target})
		out.state.Admissions = append(out.state.Admissions, gate.Admission{Stage: i, Set: stage.Segment, Threshold: target})
		rollout.Stages = append(slices.Clone(rollout.Stages), segments.Stage{Name: stage.Name, Set: stage.Segment, Threshold: target})
		documents = append(documents, segments.Document{Tracks: []segments.Track{{Name: planned, Baseline: "baseline"}}, Rollouts: []segments.Rollout{rollout}})
	}
	for i, n := range f.nodes {
		members := func(segment, _ string) (bool, error) { return n.in[slices.Index(f.segments, segment)], nil }
		low, high := 0, len(documents) // more stages never admit fewer
		for low < high {
			mid := (low + high) / 2
			d, err := segments.Decide(&documents[mid], segments.Stops{}, planned, n.certname, members)
			if err != nil {
				return nil, err
			}
			if d.Rollouts[0].Admitted {
				high = mid
			} else {
				low = mid + 1
			}
		}
		out.by[i] = low
	}
	return out, nil
}

// positions are those of a segment's nodes, sorted.
func (f *fleet) positions(segment, salt string) []segments.Point {
	k := slices.Index(f.segments, segment)
	var out []segments.Point
	for _, n := range f.nodes {
		if segment == "" || n.in[k] {
			out = append(out, segments.PointOf(salt, n.certname))
		}
	}
	slices.Sort(out)
	return out
}
