package daemon

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// askedChanges notes in the audit which holds, pins and vetoes people made, changed and ended since the last look, and returns what is on
// record now. Flags were noted before; the rest comes at the next look.
func (c *change) askedChanges(noted int) map[string]string {
	now := map[string]string{}
	for _, h := range c.snap.Holds {
		now[tree.HoldKey(h.ID)] = holdWords(h, c.now)
	}
	for _, v := range c.snap.Vetoes {
		now[tree.VetoKey(v.ID)] = vetoWords(v)
	}
	for _, p := range c.snap.Pins {
		now[tree.PinKey(p.Certname)] = pinWords(p, c.now)
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

func vetoWords(v gate.Veto) string {
	switch {
	case v.Err != "":
		return "cannot be read: " + v.Err
	case v.Environment != "":
		return fmt.Sprintf("of %s against %s: %s", v.By, v.Environment, v.Comment)
	}
	return fmt.Sprintf("of %s takes %s from %s: %s", v.By, v.Rollout, v.Selector, v.Comment)
}

func pinWords(p gate.Pin, now time.Time) string {
	of := p.Rollout
	if of == "" {
		of = "every rollout"
	}
	switch {
	case p.Err != "":
		return "cannot be read: " + p.Err
	case p.Until.IsZero():
		return fmt.Sprintf("of %s keeps the node on %s in %s, with no end: %s", p.By, p.To, of, p.Comment)
	case !now.Before(p.Until):
		return fmt.Sprintf("of %s ended at %s", p.By, p.Until.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("of %s keeps the node on %s in %s until %s: %s", p.By, p.To, of, p.Until.UTC().Format(time.RFC3339), p.Comment)
}
