package enc

import (
	"slices"

	"github.com/openinfrastructure/sluice/segments"
)

// rival names another rollout that admits nodes here and decides about the same thing, "" where there is none. Of two such
// rollouts one would hide the other, which could be paid for unseen and then reach everyone at once, when the first one ends.
func (a *advancer) rival(r *segments.Rollout) string {
	for i := range a.out.Rollouts { // those that were dealt with
		o := &a.out.Rollouts[i]
		if o.Name != r.Name && collide(r, o) && !o.BackedOut && a.admits(o) {
			return o.Name
		}
	}
	for i := range a.target.Rollouts {
		t := &a.target.Rollouts[i]
		o := a.prev.Rollout(t.Name)
		if t.Name == r.Name || o == nil || t.BackedOut || o.BackedOut || a.stops.BackedOut(t.Name) || a.out.Rollout(t.Name) != nil {
			continue
		}
		if collide(r, o) && a.admits(o) {
			return o.Name
		}
	}
	return ""
}

// collide: both say which environment, or both give a parameter of the same name.
func collide(a, b *segments.Rollout) bool {
	if a.Track != b.Track {
		return false
	}
	if a.Candidate != "" || b.Candidate != "" {
		return a.Candidate != "" && b.Candidate != ""
	}
	for key := range a.Parameters {
		if _, ok := b.Parameters[key]; ok {
			return true
		}
	}
	return false
}

// admits says whether a rollout may have admitted a node, by a threshold or by a pin of now or of before.
func (a *advancer) admits(r *segments.Rollout) bool {
	return a.pinned[r.Name] || slices.ContainsFunc(r.Stages, func(s segments.Stage) bool { return segments.None.Less(s.Threshold) })
}

// pinnedIn lists the rollouts that have pins to candidate.
func pinnedIn(pins []segments.Pin) map[string]bool {
	out := map[string]bool{}
	for _, p := range pins {
		if p.To == segments.ToCandidate {
			out[p.Rollout] = true
		}
	}
	return out
}
