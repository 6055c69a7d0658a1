package enc

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/openinfrastructure/sluice/segments"
)

// track moves a track's baseline only to a candidate that was accepted here for everyone. An edge
// that missed the end of a rollout goes on with it by itself, within its allowance, until it was.
func (a *advancer) track(t *segments.Track) {
	was := a.prev.Track(t.Name)
	if was == nil {
		return // new to this edge, see fresh
	}
	a.members(was, t)
	if was.Baseline != t.Baseline {
		carried := a.carry(t.Name, a.nodes(t.Name), func(r *segments.Rollout) bool { return r.Candidate == t.Baseline },
			segments.Rollout{Name: "baseline-" + t.Baseline, Track: t.Name, Candidate: t.Baseline})
		if carried != nil {
			t.Baseline = was.Baseline
			a.out.Rollouts = append(a.out.Rollouts, *carried)
		}
	}
	if gone := goneParameters(was.Parameters, t.Parameters); len(gone) > 0 {
		t.Parameters = maps.Clone(t.Parameters)
		if t.Parameters == nil {
			t.Parameters = map[string]any{}
		}
		maps.Copy(t.Parameters, gone)
		a.purse.clamped = append(a.purse.clamped, fmt.Sprintf("track %s: no document takes a default back: %v stays", t.Name, slices.Sorted(maps.Keys(gone))))
	}
	if changed := changedParameters(was.Parameters, t.Parameters); len(changed) > 0 {
		carried := a.carry(t.Name, a.nodes(t.Name), func(r *segments.Rollout) bool { return holds(r.Parameters, changed) },
			segments.Rollout{Name: "parameters-" + t.Name, Track: t.Name, Parameters: changed})
		if carried != nil {
			t.Parameters = was.Parameters
			a.out.Rollouts = append(a.out.Rollouts, *carried)
		}
	}
}

// fresh says whether a track may be in force that is new to this edge. How many nodes are on it, and what they have now, an edge
// cannot know, so after the first document, which the audit looked at, it takes a person.
func (a *advancer) fresh(t segments.Track) bool {
	if a.prev.Epoch == "" || a.prev.Track(t.Name) != nil || a.purse.free {
		return true
	}
	a.purse.clamped = append(a.purse.clamped, fmt.Sprintf("track %s is new here: a person has to force this generation (flags/force)", t.Name))
	return false
}

// members lets nodes onto a track as the allowance reaches. A first set is what the installation found; one that is gone would
// let the next one in for nothing.
func (a *advancer) members(was, t *segments.Track) {
	switch {
	case was.Members == t.Members || was.Members == "":
		return
	case t.Members == "":
		t.Members = was.Members
		return
	}
	added, err := a.added(was.Members, t.Members, a.nodes(t.Name))
	why := a.held("")
	if err == nil && (added == 0 || why == "" && a.purse.pay(float64(added))) {
		return
	}
	if why == "" {
		why = "they wait for the speed limit"
	}
	a.purse.clamped = append(a.purse.clamped, fmt.Sprintf("track %s: %d new members: %s", t.Name, added, why))
	t.Members = was.Members
}

// carry finds the rollout that became the baseline and takes it on to everyone; nil once it is there.
func (a *advancer) carry(track string, nodes int, is func(*segments.Rollout) bool, fresh segments.Rollout) *segments.Rollout {
	r := fresh
	if p := a.furthest(track, is); p != nil {
		r = *p
		r.Stages = slices.Clone(p.Stages)
	}
	a.rivals[r.Name] = a.rival(&r)
	if a.stops.BackedOut(r.Name) {
		r.BackedOut = true
		a.purse.clamped = append(a.purse.clamped, r.Name+" is backed out here and cannot become the baseline")
		return &r
	}
	if r.BackedOut { // it was backed out here and is the baseline now: begin again
		r.BackedOut, r.Stages = false, nil
	}
	everyone := slices.IndexFunc(r.Stages, func(s segments.Stage) bool { return s.Set == "" })
	if everyone < 0 {
		r.Stages = append(r.Stages, segments.Stage{Name: "everyone", Threshold: segments.None})
		everyone = len(r.Stages) - 1
	}
	s := &r.Stages[everyone]
	s.Threshold = a.raise(r.Name, r.Name+" (new baseline)", s.Threshold, segments.All, crowd{track: nodes})
	was := r
	r.Caps = nil
	var err error
	if r.Caps, err = a.caps(r.Name, was, r, nodes); err != nil { // a set that cannot be read lifts nothing
		r.Caps = was.Caps
	}
	if kept := a.unpin(r.Name); s.Threshold == segments.All && len(r.Caps) == 0 && kept == 0 {
		return nil
	}
	return &r
}

// furthest finds the rollout of the change that has come furthest here. A change may have been backed out once and
// rolled out again under another name: the one that is under way counts.
func (a *advancer) furthest(track string, is func(*segments.Rollout) bool) *segments.Rollout {
	var best *segments.Rollout
	reach := func(r *segments.Rollout) segments.Threshold {
		t := segments.None
		for _, s := range r.Stages {
			if s.Set == "" {
				t = segments.Higher(t, s.Threshold)
			}
		}
		return t
	}
	live := func(r *segments.Rollout) bool { return !r.BackedOut && !a.stops.BackedOut(r.Name) }
	for i := range a.prev.Rollouts {
		p := &a.prev.Rollouts[i]
		switch {
		case p.Track != track || !is(p):
		case best == nil, live(p) && !live(best), live(p) == live(best) && reach(best).Less(reach(p)):
			best = p
		}
	}
	return best
}

// holds says whether every key of part stands in whole with the same value.
func holds(whole, part map[string]any) bool {
	for k, v := range part {
		if w, ok := whole[k]; !ok || !reflect.DeepEqual(w, v) {
			return false
		}
	}
	return len(part) > 0
}

// goneParameters are defaults that the new document has no more.
func goneParameters(was, now map[string]any) map[string]any {
	gone := map[string]any{}
	for k, v := range was {
		if _, ok := now[k]; !ok {
			gone[k] = v
		}
	}
	return gone
}

func changedParameters(was, now map[string]any) map[string]any {
	changed := map[string]any{}
	for k, v := range now {
		if old, ok := was[k]; !ok || !reflect.DeepEqual(old, v) {
			changed[k] = v
		}
	}
	return changed
}
