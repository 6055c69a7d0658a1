package daemon

import (
	"context"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// reading is an inventory that is being made. Its nodes are those of the last one until they are owned: others look at them.
type reading struct {
	*inventory
	last   *inventory
	shared []bool // beside nodes: it is the last one's
	told   []bool // PuppetDB has facts of it
	values map[string]*values
}

// readNodes reads who is active, and which environment the latest report of each names.
func (r *reading) readNodes(ctx context.Context, pdb *puppetdb.Client) error {
	environments := map[string]*string{}
	if r.last != nil {
		r.nodes = make([]*node, 0, len(r.last.nodes)+len(r.last.nodes)/64)
	}
	if err := pdb.Nodes(ctx, func(s puppetdb.NodeStatus) error {
		old := r.last.find(s.Certname)
		if old != nil && *old.reported == s.ReportEnvironment {
			r.nodes = append(r.nodes, old)
			return nil
		}
		env, ok := environments[s.ReportEnvironment]
		if !ok {
			name := strings.Clone(s.ReportEnvironment)
			env = &name
			environments[name] = env
		}
		n := &node{certname: s.Certname, reported: env}
		if old != nil {
			*n = *old
			n.reported = env
		}
		r.nodes = append(r.nodes, n)
		return nil
	}); err != nil {
		return err
	}
	slices.SortFunc(r.nodes, func(a, b *node) int { return strings.Compare(a.certname, b.certname) })
	r.nodes = slices.CompactFunc(r.nodes, func(a, b *node) bool { return a.certname == b.certname })
	r.shared, r.told = make([]bool, len(r.nodes)), make([]bool, len(r.nodes))
	k := 0
	for i, n := range r.nodes {
		for r.last != nil && k < len(r.last.nodes) && r.last.nodes[k].certname < n.certname {
			k++
		}
		r.shared[i] = r.last != nil && k < len(r.last.nodes) && r.last.nodes[k] == n
	}
	return nil
}

// own gives a node that may be written to.
func (r *reading) own(i int) *node {
	if r.shared[i] {
		n := *r.nodes[i]
		r.nodes[i], r.shared[i] = &n, false
	}
	return r.nodes[i]
}

// readFacts asks PuppetDB for the attributes alone: a whole set of facts has tens of kilobytes. A fact whose own name has
// dots cannot be asked for like that, so a sample of nodes is read whole, and everybody is where it says something else.
func (r *reading) readFacts(ctx context.Context, pdb *puppetdb.Client) error {
	defer func() {
		for i, n := range r.nodes { // PuppetDB has no facts of them any more
			if !r.told[i] && n.values != nil {
				r.own(i).values = nil
			}
		}
	}()
	if len(r.asked) == 0 || len(r.nodes) == 0 {
		return nil
	}
	r.values = map[string]*values{}
	if slices.ContainsFunc(r.asked, func(a string) bool { return len(a) > 63 }) {
		return pdb.Inventory(ctx, nil, r.take)
	}
	if err := pdb.InventoryOf(ctx, r.asked, nil, r.take); err != nil {
		return err
	}
	const most = 50
	var sample []any
	for i := 0; i < len(r.nodes); i += max(1, len(r.nodes)/most) {
		sample = append(sample, r.nodes[i].certname)
	}
	differs := false
	err := pdb.Inventory(ctx, []any{"in", "certname", []any{"array", sample}}, func(i puppetdb.Node) error {
		of := selector.Of(i.Certname, i.Facts, i.Trusted, nil)
		k := r.index(i.Certname)
		if k < 0 {
			return nil
		}
		differs = differs || !r.told[k] // it has facts, and the short question did not bring them
		for _, a := range r.asked {
			differs = differs || r.nodes[k].value(a) != of(a)
		}
		return nil
	})
	if err != nil || !differs {
		return err
	}
	return pdb.Inventory(ctx, nil, r.take)
}

// take notes what selectors look at.
func (r *reading) take(i puppetdb.Node) error {
	k := r.index(i.Certname)
	if k < 0 {
		return nil // it came since
	}
	of := selector.Of(i.Certname, i.Facts, i.Trusted, nil)
	r.told[k] = true
	if n := r.nodes[k]; n.values != nil && len(*n.values) == len(r.asked) && !slices.ContainsFunc(r.asked, func(a string) bool {
		v, ok := (*n.values)[a]
		return !ok || v != of(a)
	}) {
		return nil // as before
	}
	r.own(k).values = r.share(of)
	return nil
}

// share gives values that nodes which say the same have in common.
func (r *reading) share(of selector.Attributes) *values {
	key := make([]byte, 0, 64)
	for _, a := range r.asked {
		key = append(append(key, of(a)...), 0)
	}
	if v, ok := r.values[string(key)]; ok {
		return v
	}
	v := make(values, len(r.asked))
	for _, a := range r.asked {
		v[a] = strings.Clone(of(a))
	}
	r.values[string(key)] = &v
	return &v
}
