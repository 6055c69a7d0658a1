package daemon

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// mostNoted is how many flags, and how many requests, one look deals with: with the changes of gate.Decide they fit into
// one transaction.
const mostNoted = 3

// flagChanges notes in the audit what people wrote since the last look.
func (c *change) flagChanges(ops *[]store.Op) {
	seen := c.snap.Stops.Seen
	keys := slices.Sorted(maps.Keys(c.snap.Flags))
	for k := range seen {
		if _, ok := c.snap.Flags[k]; !ok {
			keys = append(keys, k)
		}
	}
	next := tree.Stops{Latched: c.living(), Seen: maps.Clone(seen)}
	if next.Seen == nil {
		next.Seen = map[string]string{}
	}
	noted := 0
	for _, k := range keys {
		value, there := c.snap.Flags[k]
		old, was := seen[k]
		if c.dead(k) {
			delete(next.Seen, k)
			continue
		}
		if there == was && value == old || noted == mostNoted {
			continue // the rest at the next look: a transaction holds 64 operations
		}
		noted++
		if next.Seen[k] = value; !there {
			delete(next.Seen, k)
		}
		text := fmt.Sprintf("flags/%s = %q", k, value)
		if !there {
			text = fmt.Sprintf("flags/%s is gone; that ends no stop", k)
		}
		name, _, nested := strings.Cut(k, "/")
		if !nested {
			name = ""
		}
		c.audit(gate.Event{Kind: "flag", Rollout: name, Text: text, By: "consul-kv (unverified)", Index: -1}, "", "")
	}
	next.Asked = c.askedChanges(noted)
	a, _ := json.Marshal(next)
	b, _ := json.Marshal(c.snap.Stops)
	if string(a) != string(b) {
		*ops = append(*ops, tree.Put(tree.StopsKey, next, c.snap.Versions[tree.StopsKey]))
	}
}

// dead says whether a flag is of a rollout that has ended.
func (c *change) dead(key string) bool {
	name, _, nested := strings.Cut(key, "/")
	r := c.snap.Rollout(name)
	_, gone := c.snap.Gone[name]
	return nested && (gone || r != nil && r.State.Phase.Ended())
}

// living are the stops in force, without those of rollouts that have ended.
func (c *change) living() flags.Latched {
	l := flags.Latched{Freeze: c.latched.Freeze, Pause: maps.Clone(c.latched.Pause), BackOut: maps.Clone(c.latched.BackOut)}
	for i := range c.snap.Rollouts {
		if r := &c.snap.Rollouts[i]; r.State.Phase.Ended() {
			delete(l.Pause, r.Spec.Name)
			delete(l.BackOut, r.Spec.Name)
		}
	}
	for name := range c.snap.Gone {
		delete(l.Pause, name)
		delete(l.BackOut, name)
	}
	return l
}

// readFlags reads people's flags and adds the stops that any edge remembers: a restored store must not end one.
func (c *change) stops() {
	c.reading = flags.Read(c.snap.Flags)
	prev := c.snap.Stops.Latched
	c.latched = flags.Latch(prev, c.reading, c.snap.Document.Generation, func(string) uint64 { return 0 })
	for _, e := range c.snap.Edges {
		if e.Epoch == c.snap.Init.Epoch {
			c.latched = c.latched.Join(e.Stops, c.reading)
		}
	}
}
