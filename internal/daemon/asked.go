package daemon

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// askedChanges notes in the audit which holds people made, changed and ended since the last look, and returns what is on
// record now. Flags were noted before; the rest comes at the next look.
func (c *change) askedChanges(noted int) map[string]string {
	now := map[string]string{}
	for _, h := range c.snap.Holds {
		now[tree.HoldKey(h.ID)] = holdWords(h, c.now)
	}
	seen := maps.Clone(c.snap.Stops.Asked)
	if seen == nil {
		seen = map[string]string{}
	}
	keys := map[string]bool{}
	for k := range now {
		keys[k] = true
	}
	for k := range seen {
		keys[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		words, there := now[k]
		if old, was := seen[k]; was == there && old == words {
			continue
		}
		if noted++; noted > mostNoted {
			break
		}
		if seen[k] = words; !there {
			delete(seen, k)
			words = "is gone"
		}
		c.audit(gate.Event{Kind: "asked", Text: k + " " + words, By: "consul-kv (unverified)", Index: -1}, "", "")
	}
	if len(seen) == 0 {
		return nil
	}
	return seen
}

// holdWords is a hold in a sentence that changes when the hold does.
func holdWords(h gate.Hold, now time.Time) string {
	switch {
	case h.Err != "":
		return "cannot be read: " + h.Err
	case h.Ended != "":
		return fmt.Sprintf("of %s on %s was ended %s", h.By, h.Selector, h.Ended)
	case h.Until.IsZero():
		return fmt.Sprintf("of %s on %s, with no end: %s", h.By, h.Selector, h.Comment)
	case !now.Before(h.Until):
		return fmt.Sprintf("of %s on %s ended at %s", h.By, h.Selector, h.Until.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("of %s on %s until %s: %s", h.By, h.Selector, h.Until.UTC().Format(time.RFC3339), h.Comment)
}
