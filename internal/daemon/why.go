package daemon

import (
	"context"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/why"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// why answers for one node as `sluice why` does. The leader has the inventory, and so knows what selectors look at; another
// sluiced knows nodes by name.
func (d *Daemon) why(ctx context.Context, snap *tree.Snapshot, certname, track string) (why.View, error) {
	return why.Of(snap, why.Ask{Certname: certname, Track: track, Now: d.now(), Attributes: d.attributes(certname), Segments: d.current().cfg.AllSegments(),
		Member: func(digest string, count int, print string) (bool, error) {
			return edge.FetchMember(ctx, d.store, digest, count, print)
		}})
}

// attributes are what the leader's inventory knows of a node, nil for nothing.
func (d *Daemon) attributes(certname string) *why.Attributes {
	c := d.collecting.Load()
	if c == nil {
		return nil
	}
	inv := c.nodes()
	if inv == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(inv.nodes, certname, func(n *node, name string) int { return strings.Compare(n.certname, name) })
	if !found {
		return nil
	}
	n := inv.nodes[i]
	return &why.Attributes{Value: n.attribute, Known: func(name string) bool {
		switch {
		case name == selector.Certname:
			return true
		case fromPuppetDB(name):
			return len(inv.lacks([]string{name})) == 0
		}
		return n.encKnown
	}}
}
