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
	said   map[string]*said
	moved  map[move]*said
	slab   []node // of which the next ones are taken
}

// move is a new environment for nodes of which something was said.
type move struct {
	from     *said
	reported string
}

// readNodes reads who is active, and which environment the latest report of each names.
func (r *reading) readNodes(ctx context.Context, pdb *puppetdb.Client) error {
	r.said, r.moved = map[string]*said{}, map[move]*said{}
	if r.last != nil {
		r.nodes = make([]*node, 0, len(r.last.nodes)+len(r.last.nodes)/64)
	}
	var fresh []*node
	if err := pdb.Nodes(ctx, func(s puppetdb.NodeStatus) error {
		old := r.last.find(s.Certname)
		switch {
		case old == nil:
			fresh = append(fresh, r.make(s.Certname, r.saying(s.ReportEnvironment, nil)))
			r.nodes = append(r.nodes, fresh[len(fresh)-1])
		case old.reported == s.ReportEnvironment:
			r.nodes = append(r.nodes, old)
		default:
			r.nodes = append(r.nodes, r.make(old.certname, r.move(old.said, s.ReportEnvironment)))
		}
		return nil
	}); err != nil {
		return err
	}
	joinNames(fresh)
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

// make gives a new node. They are made many at once: a collector has a hard time with a million small things.
func (r *reading) make(certname string, s *said) *node {
	if len(r.slab) == 0 {
		r.slab = make([]node, 64)
	}
	n := &r.slab[0]
	r.slab = r.slab[1:]
	n.certname, n.said = certname, s
	return n
}

// joinNames moves the names of new nodes together, for the same reason.
func joinNames(nodes []*node) {
	for part := range slices.Chunk(nodes, 256) {
		var b strings.Builder
		for _, n := range part {
			b.WriteString(n.certname)
		}
		all := b.String()
		for _, n := range part {
			n.certname, all = all[:len(n.certname)], all[len(n.certname):]
		}
	}
}

// own gives a node that may be written to.
func (r *reading) own(i int) *node {
	if r.shared[i] {
		r.nodes[i], r.shared[i] = r.make(r.nodes[i].certname, r.nodes[i].said), false
	}
	return r.nodes[i]
}

// readFacts asks PuppetDB for the attributes alone: a whole set of facts has tens of kilobytes. A fact whose own name has
// dots cannot be asked for like that, so a sample of nodes is read whole, and everybody is where it says something else.
func (r *reading) readFacts(ctx context.Context, pdb *puppetdb.Client) error {
	defer func() {
		for i, n := range r.nodes { // PuppetDB has no facts of them any more
			if !r.told[i] && n.values != nil {
				r.own(i).said = r.saying(n.reported, nil)
			}
		}
	}()
	if len(r.asked) == 0 || len(r.nodes) == 0 {
		return nil
	}
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
	n := r.nodes[k]
	same := n.values != nil && len(n.values) == len(r.asked)
	for _, a := range r.asked {
		v, ok := n.values[a]
		same = same && ok && v == of(a)
	}
	if !same {
		r.own(k).said = r.saying(n.reported, of)
	}
	return nil
}

// saying gives what nodes of which the same is said have in common; of is nil where PuppetDB has no facts.
func (r *reading) saying(reported string, of selector.Attributes) *said {
	key := append(make([]byte, 0, 96), reported...)
	if of != nil {
		for _, a := range r.asked {
			key = append(append(key, 0), of(a)...)
		}
	}
	if s, ok := r.said[string(key)]; ok {
		return s
	}
	s := &said{reported: strings.Clone(reported)}
	if of != nil {
		s.values = make(values, len(r.asked))
		for _, a := range r.asked {
			s.values[a] = strings.Clone(of(a))
		}
	}
	r.said[string(key)] = s
	return s
}

func (r *reading) move(from *said, reported string) *said {
	m := move{from, reported}
	if s, ok := r.moved[m]; ok {
		return s
	}
	s := *from
	s.reported = strings.Clone(reported)
	r.moved[move{from, s.reported}] = &s
	return &s
}
