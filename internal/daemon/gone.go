package daemon

import (
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// forgetEvery is how often nodes that are gone are looked for: it takes a look at every node.
const forgetEvery = time.Hour

// forgetGone lets nodes leave the ledger that have left the fleet, as deactivated and expired ones do and those that live for a day: what
// is left is what a leader knows that begins now.
func (c *collector) forgetGone() {
	now := c.now()
	if !c.forgot.IsZero() && now.Sub(c.forgot) < forgetEvery {
		return
	}
	c.forgot = now
	c.mu.Lock()
	inv, horizon := c.inventory, c.horizon(now)
	c.mu.Unlock()
	if inv != nil {
		c.ledger.leave(inv, horizon)
	}
}

// leave forgets the nodes that are not in the inventory and ran before the horizon for the last time. Those with trouble stay for as long as
// that does, and those of a rollout until it has seen that they are gone. Nobody else gives numbers up, or writes the file meanwhile.
func (l *ledger) leave(inv *inventory, horizon time.Time) (gone int) {
	stays := l.numbered(inv)
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(stays) < len(l.recent) {
		stays = append(stays, true) // it came just now
	}
	for _, all := range []map[string]*course{l.courses, l.saved} {
		for _, c := range all {
			for id, place := range c.at {
				stays[id] = stays[id] || place >= 0
			}
		}
	}
	to, kept := make([]uint32, len(stays)), 0 // the number that each has from now on
	for id := range stays {
		if stays[id] = stays[id] || l.seen[id] >= horizon.UnixMilli() || len(l.trouble[uint32(id)]) > 0; stays[id] {
			to[id] = uint32(kept)
			kept++
		}
	}
	if gone = len(stays) - kept; gone == 0 {
		return 0
	}
	for id, is := range stays {
		if k := to[id]; is {
			l.recent[k], l.seen[k], l.names.list[k] = l.recent[id], l.seen[id], l.names.list[id]
		}
	}
	l.recent, l.seen = l.recent[:kept], l.seen[:kept]
	l.names.cut(kept)
	trouble := make(map[uint32][]analyzer.Run, len(l.trouble))
	for id, runs := range l.trouble {
		trouble[to[id]] = runs
	}
	l.trouble = trouble
	for hash, id := range l.missing {
		if l.missing[hash] = to[id]; !stays[id] {
			delete(l.missing, hash)
		}
	}
	for _, c := range l.courses {
		c.renumber(stays, to, kept)
	}
	for _, c := range l.saved {
		c.renumber(stays, to, kept)
	}
	return gone
}

// numbered says of every number whether a node of the inventory has it. It lets the leader in between.
func (l *ledger) numbered(inv *inventory) []bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]bool, len(l.recent))
	for part := range slices.Chunk(inv.nodes, addAtOnce) {
		for _, n := range part {
			if id, ok := l.names.find(n.certname); ok && int(id) < len(out) {
				out[id] = true
			}
		}
		l.mu.Unlock()
		l.mu.Lock()
	}
	return out
}

// renumber gives the nodes of a course their new numbers. What was measured of one that is gone is gone, too.
func (c *course) renumber(stays []bool, to []uint32, kept int) {
	at := make([]int32, kept)
	for id := range at {
		at[id] = -1
	}
	for id, place := range c.at {
		if place >= 0 {
			at[to[id]] = place
		}
	}
	c.at = at
	for i, id := range c.ids {
		c.ids[i] = to[id]
	}
	if c.measured == nil {
		return // none have been drawn yet
	}
	left := make(map[uint32]*measured, len(c.measured))
	for id, m := range c.measured {
		if stays[id] {
			left[to[id]] = m
		}
	}
	c.measured = left
}
