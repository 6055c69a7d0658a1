package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/segment"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// resolve gives the members of a segment among the nodes of a track. A segment cut to a share keeps the nodes
// whose position, salted with the segment's name, is below it.
func resolve(ctx context.Context, pdb *puppetdb.Client, name string, all map[string]gate.Segment, nodes []*node) ([]*node, error) {
	in, err := compose.Compile(segment.Definitions(all), name, func(pql string) (compose.Members, error) {
		found := compose.Members{}
		return found, pdb.PQL(ctx, pql, func(certname string) error { found[certname] = true; return nil })
	})
	if err != nil {
		return nil, err
	}
	var out []*node
	for _, n := range nodes {
		if in(n.certname, n.attributes()) {
			out = append(out, n)
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
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	in, err := resolve(ctx, l.site.pdb, name, r.Spec.Segments, f.nodes)
	if err != nil {
		return segments.Set{}, err
	}
	certnames := make([]string, len(in))
	for k, n := range in {
		certnames[k] = n.certname
	}
	set := segments.NewSet(certnames)
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
