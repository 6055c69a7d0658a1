package daemon

import (
	"context"
	"fmt"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/segment"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// resolve gives the members of segments among the nodes of a track, in the order of names. A segment cut to a share keeps the
// nodes whose position, salted with the segment's name, is below it. Every node is looked at once for all of them: at a
// million nodes it is fetching them from memory that takes the time.
func resolve(names []string, all map[string]gate.Segment, nodes []*node, query func(pql string) (compose.Members, error)) ([][]string, error) {
	in, err := compose.CompileAll(segment.Definitions(all), names, query)
	if err != nil {
		return nil, err
	}
	out := make([][]string, len(names))
	var n *node
	var asked, said string // segments that follow each other often ask the same
	attributes := func(name string) string {
		if name != asked {
			asked, said = name, n.attribute(name)
		}
		return said
	}
	for _, n = range nodes {
		asked, said = "", ""
		for i, match := range in {
			if match(n.certname, attributes) {
				out[i] = append(out[i], n.certname)
			}
		}
	}
	return out, nil
}

// publishSegment resolves a segment and publishes it as a set. It does so anew when the inventory is a new one: what a
// selector looks at changes with it, and nobody asks PuppetDB the same at every look.
func (l *leader) publishSegment(ctx context.Context, r *tree.Rollout, f *roster, name string) (segments.Set, error) {
	key := r.Spec.Name + "/" + name
	if k := l.resolutions[key]; k != nil && k.inv == f.inv && k.roster == f {
		return k.set, l.putSet(ctx, k.set)
	}
	in, err := resolve([]string{name}, r.Spec.Segments, f.nodes, l.answered)
	if err != nil {
		return segments.Set{}, err
	}
	set := segments.NewSet(in[0])
	l.resolutions[key] = &resolution{rollout: r.Spec.Name, inv: f.inv, roster: f, set: set}
	return set, l.putSet(ctx, set)
}

// snapshots resolves the segments whose members are those of the rollout's beginning.
func (l *leader) snapshots(ctx context.Context, r *tree.Rollout, f *roster) (map[string]gate.SetRef, error) {
	out := map[string]gate.SetRef{}
	for _, stage := range r.Spec.Schedule.Stages {
		name := stage.Segment
		if _, done := out[name]; done || r.Spec.Segments[name].Membership != gate.Snapshot {
			continue
		}
		set, err := l.publishSegment(ctx, r, f, name)
		if err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		out[name] = gate.SetRef{Digest: set.Digest, Count: set.Count}
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}
