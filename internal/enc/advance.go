package enc

import (
	"fmt"
	"maps"
	"slices"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/segments"
)

// advance takes the effective document from prev towards target: everything that moves nodes to
// baseline at once, everything that moves them forward within the allowance, and nothing forward that is
// paused, frozen or stopped. An error means that a set cannot be read.
func advance(prev, target segments.Document, stops flags.Latched, stop bool, peaks map[string]Peak, p *purse) (segments.Document, error) {
	out := target
	out.Tracks, out.Rollouts = slices.Clone(target.Tracks), nil
	out.Pins = nil
	a := &advancer{prev: prev, target: target, out: &out, rivals: map[string]string{}, pinned: pinnedIn(prev.Pins), stops: stops, stop: stop, purse: p, counts: maps.Clone(target.Sets), peaks: peaks}
	if a.counts == nil {
		a.counts = map[string]int{}
	}
	maps.Copy(a.counts, prev.Sets)
	out.Tracks = slices.DeleteFunc(out.Tracks, func(t segments.Track) bool { return !a.fresh(t) })
	for i := range out.Tracks {
		a.track(&out.Tracks[i])
	}
	carried := len(out.Rollouts)
	for _, r := range target.Rollouts {
		if i := slices.IndexFunc(out.Rollouts[:carried], func(c segments.Rollout) bool { return c.Name == r.Name }); i >= 0 {
			out.Rollouts[i].BackedOut = out.Rollouts[i].BackedOut || r.BackedOut
			continue // it is on its way to be the baseline
		}
		next, err := a.rollout(r)
		if err != nil {
			return segments.Document{}, err
		}
		out.Rollouts = append(out.Rollouts, next)
	}
	a.pins(target.Pins, out.Rollouts[:carried], out.Rollouts[carried:])
	a.sets()
	return out, nil
}

type advancer struct {
	prev   segments.Document
	target segments.Document
	out    *segments.Document
	pinned map[string]bool   // rollouts that have pins to candidate, here before or now
	ending []string          // nodes whose pin to baseline must wait for its end
	rivals map[string]string // rollout → the one that it waits for
	stops  flags.Latched
	stop   bool
	purse  *purse
	counts map[string]int // sets of both documents
	peaks  map[string]Peak
}

// held says why this rollout may not go forward here, "" if it may.
func (a *advancer) held(rollout string) string {
	switch {
	case a.stop:
		return "the local stop file is there"
	case a.stops.Frozen():
		return "everything is frozen"
	case a.stops.Paused(rollout):
		return "paused"
	case a.rivals[rollout] != "":
		return a.rivals[rollout] + " is under way and decides about the same"
	}
	return ""
}

// raise is purse.raise unless something holds the rollout.
func (a *advancer) raise(rollout, what string, prior, want segments.Threshold, c crowd) segments.Threshold {
	if why := a.held(rollout); why != "" && prior.Less(want) {
		a.purse.clamped = append(a.purse.clamped, what+": stays where it is: "+why)
		return prior
	}
	return a.purse.raise(prior, want, c, what)
}

func (a *advancer) rollout(r segments.Rollout) (segments.Rollout, error) {
	var was segments.Rollout
	if p := a.prev.Rollout(r.Name); p != nil && !p.BackedOut {
		was = *p // a rollout that comes back from a back-out starts from nothing
	}
	if a.stops.BackedOut(r.Name) {
		r.BackedOut = true
	}
	if r.BackedOut {
		return r, nil
	}
	a.rivals[r.Name] = a.rival(&r)
	nodes := a.nodes(r.Track)
	stages := make([]segments.Stage, 0, len(r.Stages))
	for _, s := range r.Stages {
		next, err := a.stage(r.Name, s, was.Stages, nodes)
		if err != nil {
			return r, err
		}
		stages = append(stages, next)
	}
	r.Stages = stages
	caps, err := a.caps(r.Name, was, r, nodes)
	if err != nil {
		return r, err
	}
	r.Caps = caps
	return r, nil
}

// nodes is the size of a track for the price of a move: the largest that any document of the last day gave, so that a
// document cannot make itself cheap by counting few nodes.
func (a *advancer) nodes(track string) int {
	n := a.peaks[track].Nodes
	if t := a.out.Track(track); t != nil {
		n = max(n, t.Nodes)
	}
	return n
}

func (a *advancer) crowd(set string, nodes int) crowd {
	return crowd{track: nodes, members: a.counts[set], set: set != ""}
}

func (a *advancer) stage(rollout string, s segments.Stage, before []segments.Stage, nodes int) (segments.Stage, error) {
	what := rollout + " stage " + s.Name
	was := segments.Stage{Set: s.Set, Threshold: segments.None}
	if i := slices.IndexFunc(before, func(b segments.Stage) bool { return b.Name == s.Name }); i >= 0 {
		was = before[i]
	}
	for _, b := range before { // those nodes have the change, whatever the stage was called that gave it to them
		if b.Set == s.Set && was.Set == s.Set {
			was.Threshold = segments.Higher(was.Threshold, b.Threshold)
		}
	}
	if was.Set != s.Set && segments.None.Less(was.Threshold) {
		added, err := a.added(was.Set, s.Set, nodes)
		if err != nil {
			return s, err
		}
		cost := crowd{track: nodes, members: added, set: true}.price(was.Threshold.Share())
		why := a.held(rollout)
		switch {
		case cost > 0 && why != "":
			a.purse.clamped = append(a.purse.clamped, what+": its set stays as it is: "+why)
			return a.common(was, s)
		case !a.purse.pay(cost):
			a.purse.clamped = append(a.purse.clamped, fmt.Sprintf("%s: %d new members wait for the speed limit", what, added))
			return a.common(was, s)
		}
	}
	if c := a.crowd(s.Set, nodes); !c.set || c.members > 0 { // nobody is in an empty set: nothing moves
		s.Threshold = a.raise(rollout, what, was.Threshold, s.Threshold, c)
	}
	return s, nil
}

// common is the stage as it was without the nodes that the new one has no more: whoever must wait does not keep others from
// going back.
func (a *advancer) common(was, s segments.Stage) (segments.Stage, error) {
	was.Threshold = segments.Lower(was.Threshold, s.Threshold)
	if s.Set == "" {
		return was, nil
	}
	oldData, newData, err := a.both(was.Set, s.Set)
	if err != nil {
		return was, err
	}
	if both := segments.Common(oldData, newData); both.Count < a.counts[was.Set] {
		was.Set = both.Digest
		a.counts[both.Digest] = both.Count
		a.purse.made[both.Digest] = both.Data
	}
	return was, nil
}

// both reads two sets.
func (a *advancer) both(old, new string) (oldData, newData []byte, err error) {
	if oldData, err = a.purse.read(old, a.counts[old]); err == nil {
		newData, err = a.purse.read(new, a.counts[new])
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errSetGone, err)
	}
	return oldData, newData, nil
}

// added counts the nodes that are in the new set and not in the old one; "" is everyone.
func (a *advancer) added(old, new string, nodes int) (int, error) {
	switch {
	case new == "":
		return max(0, nodes-a.counts[old]), nil
	case old == "":
		return 0, nil
	}
	oldData, newData, err := a.both(old, new)
	if err != nil {
		return 0, err
	}
	return segments.Added(oldData, newData), nil
}

// caps takes new and lower caps at once; a cap that is lifted is a move forward of the nodes below it. One whose set only
// grew has lifted nobody.
func (a *advancer) caps(rollout string, was, now segments.Rollout, nodes int) ([]segments.Cap, error) {
	caps := slices.Clone(now.Caps)
	reach := segments.None
	for _, s := range now.Stages {
		reach = segments.Higher(reach, s.Threshold)
	}
	for _, old := range was.Caps {
		i := slices.IndexFunc(caps, func(c segments.Cap) bool { return c.ID == old.ID })
		if i >= 0 && caps[i].Set != old.Set {
			freed, err := a.added(caps[i].Set, old.Set, nodes)
			if err != nil {
				return nil, err
			}
			if freed > 0 {
				i = -1
			}
		}
		want := reach
		if i >= 0 {
			want = segments.Lower(reach, caps[i].Limit)
		}
		limit := a.raise(rollout, rollout+" cap "+old.ID, segments.Lower(old.Limit, reach), want, a.crowd(old.Set, nodes))
		switch {
		case i >= 0:
			caps[i].Limit = segments.Lower(caps[i].Limit, limit)
			if limit == want {
				caps[i].Limit = now.Caps[i].Limit
			}
		case limit.Less(want):
			caps = append(caps, segments.Cap{ID: old.ID, Set: old.Set, Limit: limit})
		}
	}
	return caps, nil
}

// sets lists exactly the sets that the effective document names.
func (a *advancer) sets() {
	a.out.Sets = map[string]int{}
	use := func(set string) {
		if set != "" {
			a.out.Sets[set] = a.counts[set]
		}
	}
	for _, t := range a.out.Tracks {
		use(t.Members)
	}
	for _, r := range a.out.Rollouts {
		for _, s := range r.Stages {
			use(s.Set)
		}
		for _, c := range r.Caps {
			use(c.Set)
		}
	}
}

// markBackedOut lets a back-out act on an effective document that is otherwise left alone.
func markBackedOut(d segments.Document, stops flags.Latched) segments.Document {
	d.Rollouts = slices.Clone(d.Rollouts)
	for i := range d.Rollouts {
		if stops.BackedOut(d.Rollouts[i].Name) {
			d.Rollouts[i].BackedOut = true
		}
	}
	return d
}
