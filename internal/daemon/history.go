package daemon

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

const (
	mostLeft   = 20                  // keys of what is gone that one look deletes
	refusedFor = 30 * 24 * time.Hour // a refused request can be read for so long
)

// letGo drops the record of one rollout that ended long ago, or what is left of such, and requests that were refused long ago:
// everything there is of them is read at every look. The audit keeps who did what.
func (c *change) letGo(ops *[]store.Op) {
	for _, id := range slices.Sorted(maps.Keys(c.snap.Requests)) {
		r, key := c.snap.Requests[id], tree.RequestKey(id)
		if old := !r.At.IsZero() && c.now.Sub(r.At) > refusedFor; r.Refused != "" && old && len(*ops) < mostLeft {
			*ops = append(*ops, store.DeleteCAS(key, c.snap.Versions[key]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.snap.Gone)) {
		for _, key := range c.snap.Gone[name].Left {
			if len(*ops) == mostLeft {
				return
			}
			*ops = append(*ops, store.Delete(key))
		}
	}
	if r := forgettable(c.snap.Rollouts, c.leader.site.cfg.Controller.History); r != nil && len(*ops) == 0 {
		*ops = append(*ops, c.snap.LetGo(r)...)
		c.audit(gate.Event{Kind: "forgotten", Rollout: r.Spec.Name, Track: r.Spec.Track, By: "sluice", Index: -1,
			Text: fmt.Sprintf("its record is let go: more than %d rollouts of the track have ended since", c.leader.site.cfg.Controller.History)}, describe(r.State), "")
	}
}

// forgettable is the rollout that ended first, nil where its track has no more than keep ended ones. Those that were backed out
// and keep their change from being started again do not count, and stay.
func forgettable(rollouts []tree.Rollout, keep int) *tree.Rollout {
	ended := map[string][]*tree.Rollout{}
	for i := range rollouts {
		r := &rollouts[i]
		if vetoes := r.State.Phase == gate.BackedOut && !r.State.Unvetoed; r.State.Phase.Ended() && !vetoes {
			ended[r.Spec.Track] = append(ended[r.Spec.Track], r)
		}
	}
	first := func(a, b *tree.Rollout) int {
		return cmp.Or(a.State.Since.Compare(b.State.Since), cmp.Compare(a.Spec.Name, b.Spec.Name))
	}
	for _, track := range slices.Sorted(maps.Keys(ended)) {
		if of := ended[track]; len(of) > keep {
			return slices.MinFunc(of, first)
		}
	}
	return nil
}
