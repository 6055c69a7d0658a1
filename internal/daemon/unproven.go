package daemon

import (
	"sort"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/segments"
)

// blastRule is what the site allows.
func blastRule(cfg *config.Config) gate.BlastRule {
	if cfg.Blast == nil {
		return gate.BlastRule{}
	}
	return gate.BlastRule{Limit: cfg.Blast.Limit, By: cfg.Blast.By, DomainLimit: cfg.Blast.DomainLimit}
}

// unproven finds out on which nodes the change of every rollout under way is not past its bake: of stages that have not passed, too young, with
// too few runs of it, or beside an open question of the judge. It tells each rollout about its own and the others'.
func (l *leader) unproven(w *gate.World, now time.Time) {
	var active []int
	open := 0
	for i := range w.Rollouts {
		if r := &w.Rollouts[i]; r.State.Phase.Active() && l.collector.ledger.courses[r.Spec.Name] != nil {
			active = append(active, i)
		}
		if !w.Rollouts[i].State.Phase.Ended() {
			open++
		}
	}
	bounded := w.Blast != (gate.BlastRule{})
	for i := range w.Rollouts {
		r := &w.Rollouts[i]
		if !r.State.Phase.Ended() && l.rosters[r.Spec.Name] != nil {
			r.Shared, r.Unproven = map[string]gate.Shared{}, map[string]int{}
		}
	}
	if open == 1 && !bounded {
		return // nobody asks
	}
	for _, k := range active {
		o := &w.Rollouts[k]
		nodes := unbaked(o, l.collector.ledger.courses[o.Spec.Name], now)
		for i := range w.Rollouts {
			switch r := &w.Rollouts[i]; {
			case r.Shared == nil || r.Spec.Track != o.Spec.Track:
			case i == k && bounded:
				for _, n := range nodes {
					r.Unproven[domainOf(w.Blast, n)]++
				}
			case i != k:
				r.Shared[o.Spec.Name] = sharedWith(r.Spec.Salt, nodes)
			}
		}
	}
}

func domainOf(rule gate.BlastRule, n *node) string {
	if rule.By == "" {
		return ""
	}
	return n.attributes()(rule.By)
}

// unbaked lists the nodes on which the change of the rollout's current stage, or of one before it that was left by an order, is not past
// its bake.
func unbaked(r *gate.Rollout, c *course, now time.Time) (out []*node) {
	i := r.State.Current()
	bake := r.Spec.Schedule.Stages[i].Bake
	unshown := r.State.Unshown()
	doubt := gate.Unresolved(&r.Verdict) != ""
	for k, n := range c.nodes {
		// A node that came back from a cap counts to the stage in which it did.
		at := n.AdmittedAt.Time()
		if !n.Admitted() || !unshown.Has(at, int(n.Stage)) {
			continue
		}
		if doubt || now.Sub(at) < time.Duration(bake.Time) || int(c.sums[k].Runs) < bake.Runs {
			out = append(out, c.roster.nodes[k])
		}
	}
	return out
}

func sharedWith(salt string, nodes []*node) gate.Shared {
	s := gate.Shared{Positions: make([]segments.Point, len(nodes)), Names: make([]string, len(nodes))}
	for i, n := range nodes {
		s.Positions[i], s.Names[i] = segments.PointOf(salt, n.certname), n.certname
	}
	sort.Sort((*bySharedPosition)(&s))
	return s
}

type bySharedPosition gate.Shared

func (s *bySharedPosition) Len() int           { return len(s.Positions) }
func (s *bySharedPosition) Less(a, b int) bool { return s.Positions[a] < s.Positions[b] }
func (s *bySharedPosition) Swap(a, b int) {
	s.Positions[a], s.Positions[b] = s.Positions[b], s.Positions[a]
	s.Names[a], s.Names[b] = s.Names[b], s.Names[a]
}

// domains says which domain each member of the populations of a rollout is in, where the site limits them.
func (r *roster) domains(rule gate.BlastRule, out *gate.Rollout) {
	if rule.DomainLimit == nil {
		return
	}
	at := make(map[segments.Point]string, len(r.positions))
	for k, i := range r.order {
		at[r.positions[k]] = domainOf(rule, r.nodes[i])
	}
	for _, p := range []*gate.Population{&out.Current, &out.Next, &out.Back} {
		p.Domains = make([]string, len(p.Positions))
		for k, u := range p.Positions {
			p.Domains[k] = at[u]
		}
	}
}

// domainSizes counts the nodes of each domain, on all tracks.
func domainSizes(rule gate.BlastRule, tracks map[string]*tracked) map[string]int {
	if rule.DomainLimit == nil {
		return nil
	}
	out := map[string]int{}
	for _, t := range tracks {
		for _, n := range t.nodes {
			out[domainOf(rule, n)]++
		}
	}
	return out
}
