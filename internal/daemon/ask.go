package daemon

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/openinfrastructure/sluice/analyzer/sli"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/segment"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// What a look asks of PuppetDB and Prometheus it asks before it locks the ledger: while one of them hangs, reports come in.

// sampled is Prometheus' answer about one SLI.
type sampled struct {
	sample sli.Sample
	err    error
}

// listed is PuppetDB's answer to a segment's query, as good as the inventory that it was asked beside.
type listed struct {
	inv     *inventory
	members compose.Members
	err     error
}

// The longest that one look waits for answers about one rollout.
const (
	askSLIs = 5 * time.Second
	askPQL  = 10 * time.Second
)

// askAhead asks what the rollouts of this look rest on.
func (l *leader) askAhead(ctx context.Context, c *change) {
	c.samples = map[string][]sampled{}
	inv := l.collector.nodes()
	maps.DeleteFunc(l.lists, func(_ string, k listed) bool { return k.inv != inv || k.err != nil })
	for i := range c.snap.Rollouts {
		r := &c.snap.Rollouts[i]
		if r.State.Phase.Active() {
			c.samples[r.Spec.Name] = l.sample(ctx, r, c.now)
		}
		if inv != nil && !r.State.Phase.Ended() {
			l.list(ctx, r, inv)
		}
	}
}

func (l *leader) sample(ctx context.Context, r *tree.Rollout, now time.Time) []sampled {
	ctx, cancel := context.WithTimeout(ctx, askSLIs) // a Prometheus that hangs never keeps a back-out for longer
	defer cancel()
	var out []sampled
	for _, s := range r.Spec.PolicyOf(r.State.Current()).SLIs {
		sample, err := l.ask(ctx, s, now)
		out = append(out, sampled{sample, err})
	}
	return out
}

// list asks the queries of the segments that may be resolved in this look: the next stage's, and snapshots at the beginning.
func (l *leader) list(ctx context.Context, r *tree.Rollout, inv *inventory) {
	ctx, cancel := context.WithTimeout(ctx, askPQL)
	defer cancel()
	definitions := segment.Definitions(r.Spec.Segments)
	next := r.State.Current() + 1
	for i, stage := range r.Spec.Schedule.Stages {
		name := stage.Segment
		if _, taken := r.State.Snapshots[name]; name == "" || taken || i != next && (next > 0 || r.Spec.Segments[name].Membership != gate.Snapshot) {
			continue
		}
		all, err := compose.Closure(definitions, name)
		if err != nil {
			continue // resolving it says so
		}
		for _, part := range all {
			pql := definitions[part].PQL
			if _, known := l.lists[pql]; pql == "" || known {
				continue
			}
			found := compose.Members{}
			err := l.site.pdb.PQL(ctx, pql, func(certname string) error { found[certname] = true; return nil })
			l.lists[pql] = listed{inv, found, err}
		}
	}
}

// answered gives what PuppetDB said to a segment's query. What was not asked ahead is asked at the next look.
func (l *leader) answered(pql string) (compose.Members, error) {
	k, ok := l.lists[pql]
	if !ok {
		return nil, fmt.Errorf("%q has not been asked yet", pql)
	}
	return k.members, k.err
}
