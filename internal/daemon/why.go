package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/why"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments/compose"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// why answers for one node as `sluice why` does. The leader has the inventory, and so knows what selectors look at; another
// sluiced knows nodes by name.
func (d *Daemon) why(ctx context.Context, snap *tree.Snapshot, certname, track string) (why.View, error) {
	known, absent := d.attributes(ctx, certname)
	return why.Of(snap, why.Ask{Certname: certname, Track: track, Now: d.now(), Attributes: known, Absent: absent, Segments: d.current().cfg.AllSegments(),
		Member: func(digest string, count int, print string) (bool, error) {
			return edge.FetchMember(ctx, d.store, digest, count, print)
		}})
}

// attributes are what the leader's inventory knows of a node, nil for nothing; absent says that it lacks the node.
func (d *Daemon) attributes(ctx context.Context, certname string) (known *why.Attributes, absent string) {
	c := d.collecting.Load()
	if c == nil {
		return nil, ""
	}
	inv := c.nodes()
	if inv == nil {
		return nil, ""
	}
	i, found := slices.BinarySearchFunc(inv.nodes, certname, func(n *node, name string) int { return strings.Compare(n.certname, name) })
	if !found {
		return nil, "not among the active nodes that PuppetDB listed at " + inv.at.UTC().Format(time.RFC3339) + ": it has never run, or came since, or is deactivated or expired"
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
	}, Query: func(pql string) (compose.Members, error) { return d.holding(ctx, c.pdb, pql, certname) }}, ""
}

// holding asks PuppetDB whether a query's answer has one node. Nobody who asks why may burden PuppetDB: one query at a time, and none
// for longer than a segment's.
func (d *Daemon) holding(ctx context.Context, pdb *puppetdb.Client, pql, certname string) (compose.Members, error) {
	ctx, cancel := context.WithTimeout(ctx, askPQL)
	defer cancel()
	if !d.querying.TryLock() {
		return nil, errors.New("PuppetDB is asked for somebody else just now: ask again")
	}
	defer d.querying.Unlock()
	found := compose.Members{}
	err := pdb.PQL(ctx, pql, func(name string) error {
		if name == certname {
			found[name] = true
		}
		return nil
	})
	return found, err
}
