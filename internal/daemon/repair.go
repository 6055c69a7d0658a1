package daemon

import (
	"fmt"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// repairable looks for damage. A manifest that was torn, emptied or edited is written again; anything else that cannot
// be read keeps everything as it is, for a person to mend. A store that is behind its edges is a restored one.
func (c *change) repairable() error {
	c.evidence, c.unvetoed, c.lifts = map[string]analyzer.Evidence{}, map[string]bool{}, map[string]func(){}
	c.orders = map[string][]gate.Order{}
	var rest []string
	for _, d := range c.snap.Damaged {
		if strings.HasPrefix(d, tree.ManifestKey+":") {
			c.repair = true
			continue
		}
		rest = append(rest, d)
	}
	if !c.repair {
		rest = append(rest, c.movedTracks()...)
	}
	for _, r := range c.snap.Rollouts {
		if p := r.State.Phase; p != gate.Waiting && !p.Active() && !p.Ended() { // of a newer program, or written by hand
			rest = append(rest, fmt.Sprintf("%s: phase %q is not known to this program", tree.StateKey(r.Spec.Name), p))
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("the store is damaged: %s", strings.Join(rest, "; "))
	}
	ahead, host := uint64(0), ""
	for _, e := range c.snap.Edges {
		if e.Epoch == c.snap.Init.Epoch && e.Generation > ahead {
			ahead, host = e.Generation, e.Host
		}
	}
	if c.repair {
		last := c.leader.lastDocument
		if last.Generation == 0 && ahead == 0 {
			return fmt.Errorf("the store is damaged: %s, and neither this leader nor any edge knows the last generation", strings.Join(c.snap.Damaged, "; "))
		}
		c.floor = max(last.Generation, ahead)
		c.snap.Document = last
		c.snap.Document.Epoch, c.snap.Document.Generation = c.snap.Init.Epoch, c.floor
		c.audit(gate.Event{Kind: "repaired", Text: strings.Join(c.snap.Damaged, "; ") + ": written again", By: "sluice", Index: -1}, "", "")
		return nil
	}
	if last := c.leader.lastDocument; last.Epoch == c.snap.Init.Epoch && last.Generation > ahead {
		ahead, host = last.Generation, "" // the edges' reports were restored with the rest: this leader remembers
	}
	if ahead > c.snap.Document.Generation {
		c.floor = ahead
		c.leader.sets.have = map[string]segments.Set{} // what was written since the snapshot is not there any more
		who := "edge " + host + " has"
		if host == "" {
			who = "this leader wrote"
		}
		c.halt = fmt.Sprintf("%s generation %d, the store has %d: the store was restored from before; a person must confirm that (sluice confirm-restore)", who, ahead, c.snap.Document.Generation)
		return nil
	}
	c.leader.lastDocument = c.snap.Document
	return nil
}

// movedTracks lists tracks that are not where the document in force has them: both move in one transaction, so that
// somebody else moved one of them.
func (c *change) movedTracks() []string {
	var out []string
	for _, t := range c.snap.Document.Tracks {
		switch have := c.snap.Track(t.Name); {
		case have == nil:
			out = append(out, tree.TrackKey(t.Name)+": missing, although the document names it")
		case have.Baseline != t.Baseline:
			out = append(out, fmt.Sprintf("%s: baseline %s, the document in force says %s", tree.TrackKey(t.Name), have.Baseline, t.Baseline))
		}
	}
	return out
}
