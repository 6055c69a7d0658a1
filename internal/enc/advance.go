package enc

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/segments"
)

// purse pays for moves forward. Moves to baseline cost nothing.
type purse struct {
	saved   float64 // nodes
	free    bool    // a person forced this generation
	set     func(digest string, count int) ([]byte, error)
	clamped []string
}

func (p *purse) pay(nodes float64) bool {
	if p.free || nodes <= 0 {
		return true
	}
	if nodes > p.saved+1e-9 {
		return false
	}
	p.saved = max(0, p.saved-nodes)
	return true
}

// raise moves a threshold over n nodes from prior towards want, as far as the allowance reaches.
func (p *purse) raise(prior, want segments.Threshold, n int, what string) segments.Threshold {
	if !prior.Less(want) {
		return want
	}
	cost := float64(n) * (want.Share() - prior.Share())
	if n > 0 && p.pay(cost) {
		return want
	}
	if n <= 0 {
		p.clamped = append(p.clamped, what+": the document does not say over how many nodes")
		return prior
	}
	reach := segments.ThresholdAt(prior.Share() + p.saved/float64(n))
	p.saved = 0
	reach = segments.Higher(prior, segments.Lower(reach, want))
	p.clamped = append(p.clamped, fmt.Sprintf("%s: at %.4g %% of %d nodes, published %.4g %%: waits for the speed limit", what, 100*reach.Share(), n, 100*want.Share()))
	return reach
}

// advance takes the effective document from prev towards target: everything that moves nodes to
// baseline at once, everything that moves them forward within the allowance, and nothing forward that is
// paused, frozen or stopped. An error means that a set cannot be read.
func advance(prev, target segments.Document, stops flags.Latched, stop bool, peaks map[string]Peak, p *purse) (segments.Document, error) {
	out := target
	out.Tracks, out.Rollouts = slices.Clone(target.Tracks), nil
	out.Pins = nil
	a := &advancer{prev: prev, out: &out, stops: stops, stop: stop, purse: p, counts: maps.Clone(target.Sets), peaks: peaks}
	if a.counts == nil {
		a.counts = map[string]int{}
	}
	maps.Copy(a.counts, prev.Sets)
	for i := range out.Tracks {
		a.track(&out.Tracks[i])
	}
	for _, r := range target.Rollouts {
		next, err := a.rollout(r)
		if err != nil {
			return segments.Document{}, err
		}
		out.Rollouts = append(out.Rollouts, next)
	}
	a.pins(target.Pins)
	a.sets()
	return out, nil
}

type advancer struct {
	prev   segments.Document
	out    *segments.Document
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
	}
	return ""
}

// raise is purse.raise unless something holds the rollout.
func (a *advancer) raise(rollout, what string, prior, want segments.Threshold, n int) segments.Threshold {
	if why := a.held(rollout); why != "" && prior.Less(want) {
		a.purse.clamped = append(a.purse.clamped, what+": stays where it is: "+why)
		return prior
	}
	return a.purse.raise(prior, want, n, what)
}

// track moves a track's baseline only to a candidate that was accepted here for everyone. An edge
// that missed the end of a rollout goes on with it by itself, within its allowance, until it was.
func (a *advancer) track(t *segments.Track) {
	was := a.prev.Track(t.Name)
	if was == nil {
		return // new to this edge: its nodes got their answer from upstream so far
	}
	if was.Baseline != t.Baseline {
		carried := a.carry(t.Name, a.nodes(t.Name), func(r *segments.Rollout) bool { return r.Candidate == t.Baseline },
			segments.Rollout{Name: "baseline-" + t.Baseline, Track: t.Name, Candidate: t.Baseline})
		if carried != nil {
			t.Baseline = was.Baseline
			a.out.Rollouts = append(a.out.Rollouts, *carried)
		}
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

// carry finds the rollout that became the baseline and takes it on to everyone; nil once it is there.
func (a *advancer) carry(track string, nodes int, is func(*segments.Rollout) bool, fresh segments.Rollout) *segments.Rollout {
	r := fresh
	if p := a.furthest(track, is); p != nil {
		r = *p
		r.Stages = slices.Clone(p.Stages)
	}
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
	if s.Threshold = a.raise(r.Name, r.Name+" (new baseline)", s.Threshold, segments.All, nodes); s.Threshold == segments.All && len(r.Caps) == 0 {
		return nil
	}
	r.Caps = nil
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

func changedParameters(was, now map[string]any) map[string]any {
	changed := map[string]any{}
	for k, v := range now {
		if old, ok := was[k]; !ok || !reflect.DeepEqual(old, v) {
			changed[k] = v
		}
	}
	return changed
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

func (a *advancer) size(set string, nodes int) int {
	if set == "" {
		return nodes
	}
	return a.counts[set]
}

func (a *advancer) stage(rollout string, s segments.Stage, before []segments.Stage, nodes int) (segments.Stage, error) {
	what := rollout + " stage " + s.Name
	was := segments.Stage{Set: s.Set, Threshold: segments.None}
	if i := slices.IndexFunc(before, func(b segments.Stage) bool { return b.Name == s.Name }); i >= 0 {
		was = before[i]
	}
	if was.Set != s.Set && segments.None.Less(was.Threshold) {
		added, err := a.added(was.Set, s.Set, nodes)
		if err != nil {
			return s, err
		}
		cost := float64(added) * was.Threshold.Share()
		if why := a.held(rollout); cost > 0 && why != "" {
			a.purse.clamped = append(a.purse.clamped, what+": its set stays as it is: "+why)
			return was, nil
		}
		if !a.purse.pay(cost) {
			a.purse.clamped = append(a.purse.clamped, fmt.Sprintf("%s: %d new members wait for the speed limit", what, added))
			return was, nil
		}
	}
	if n := a.size(s.Set, nodes); s.Set == "" || n > 0 { // nobody is in an empty set: nothing moves
		s.Threshold = a.raise(rollout, what, was.Threshold, s.Threshold, n)
	}
	return s, nil
}

// added counts the nodes that are in the new set and not in the old one; "" is everyone.
func (a *advancer) added(old, new string, nodes int) (int, error) {
	switch {
	case new == "":
		return max(0, nodes-a.counts[old]), nil
	case old == "":
		return 0, nil
	}
	oldData, err := a.purse.set(old, a.counts[old])
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errSetGone, err)
	}
	newData, err := a.purse.set(new, a.counts[new])
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errSetGone, err)
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
		limit := a.raise(rollout, rollout+" cap "+old.ID, segments.Lower(old.Limit, reach), want, a.size(old.Set, nodes))
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

// pins: to baseline at once; one to candidate that is new, or one to baseline that is gone, is one node forward.
func (a *advancer) pins(want []segments.Pin) {
	for _, pin := range want {
		if pin.To == segments.ToCandidate && !slices.Contains(a.prev.Pins, pin) {
			if why := a.held(pin.Rollout); why != "" || !a.purse.pay(1) {
				a.purse.clamped = append(a.purse.clamped, "pin of "+pin.Certname+" to candidate waits")
				continue
			}
		}
		a.out.Pins = append(a.out.Pins, pin)
	}
	for _, pin := range a.prev.Pins {
		if pin.To != segments.ToBaseline || slices.Contains(want, pin) {
			continue
		}
		if why := a.held(pin.Rollout); why != "" || !a.purse.pay(1) {
			a.purse.clamped = append(a.purse.clamped, "end of the pin of "+pin.Certname+" waits")
			a.out.Pins = append(a.out.Pins, pin)
		}
	}
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
