package daemon

import "slices"

// trackCache is a track as it was found last, and what it was found by.
type trackCache struct {
	inv          *inventory
	members      string
	count        int
	environments []string
	nodes        []*node
	waiting      []*node // newcomers, until the set of members grows
}

// changed is the part of an inventory that has to be looked at: nodes that are not the very ones of the inventory before. Who is
// on a track takes two hashes and two searches for each, a second for a million. Newcomers that wait are looked at again.
func (k *trackCache) changed(inv *inventory) *inventory {
	if k == nil {
		return inv
	}
	out := &inventory{at: inv.at, asked: inv.asked, silentENC: inv.silentENC}
	old, waiting := k.inv.nodes, k.waiting
	for _, n := range inv.nodes {
		for len(old) > 0 && old[0].certname < n.certname {
			old = old[1:]
		}
		for len(waiting) > 0 && waiting[0].certname < n.certname {
			waiting = waiting[1:]
		}
		if len(old) == 0 || old[0] != n || len(waiting) > 0 && waiting[0] == n {
			out.nodes = append(out.nodes, n)
		}
	}
	return out
}

// merge gives all nodes of the track: of those that have changed the ones that were found to be on it now, and of the others
// those that were on it. A set that only grew takes nobody away, and whom it has gained is among those that have changed.
func (k *trackCache) merge(inv *inventory, found []*node) []*node {
	if k == nil {
		if len(found) == len(inv.nodes) {
			return inv.nodes // one list will do
		}
		return slices.Clip(found)
	}
	if len(k.nodes) == len(k.inv.nodes) && len(found) == len(k.changed(inv).nodes) {
		return inv.nodes
	}
	out := make([]*node, 0, len(k.nodes)+len(found))
	old := k.nodes
	for _, n := range inv.nodes {
		for len(old) > 0 && old[0].certname < n.certname {
			old = old[1:]
		}
		for len(found) > 0 && found[0].certname < n.certname {
			found = found[1:]
		}
		if len(found) > 0 && found[0] == n || len(old) > 0 && old[0] == n {
			out = append(out, n)
		}
	}
	return out
}
