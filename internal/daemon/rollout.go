package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// rollout finds out about one rollout: who is in its stages, and what the judge says.
func (l *leader) rollout(ctx context.Context, c *change, r *tree.Rollout, tracks map[string]*tracked, w *gate.World, inv *inventory) (gate.Rollout, error) {
	out := gate.Rollout{Spec: r.Spec, State: r.State, Orders: c.orders[r.Spec.Name]}
	if r.State.Phase.Ended() {
		l.recall(ctx, r, c.now)
		return out, nil
	}
	t := tracks[r.Spec.Track]
	if t == nil {
		return out, fmt.Errorf("rollout %s is on track %s, which is not in the store", r.Spec.Name, r.Spec.Track)
	}
	for _, s := range r.State.Stages {
		if s.Set != "" {
			set, err := l.sets.get(ctx, s.Set, s.Count)
			if err != nil {
				return out, err
			}
			w.Sets[s.Set] = set.Count
		}
	}
	for _, ref := range r.State.Snapshots {
		if _, err := l.sets.get(ctx, ref.Digest, ref.Count); err != nil {
			return out, err
		}
	}
	if err := l.capSets(ctx, r.State.Caps, w); err != nil {
		return out, err
	}
	if inv == nil {
		const unread = "the inventory has not been read yet"
		out.Current.Err, out.Next.Err, out.Back.Err = unread, unread, unread
		return out, nil
	}
	member := func(set, print string) bool { return l.sets.member(set)(print) }
	f := l.roster(r.Spec.Name, r.Spec.Salt, t, inv)
	if err := l.caps(ctx, c, r, f, member, &out); err != nil {
		return out, err
	}
	if err := l.capSets(ctx, out.Caps, w); err != nil {
		return out, err
	}
	// From here on the rollout is looked at as it will be with these caps.
	capped := *r
	capped.State.Caps = out.Caps
	r = &capped
	out.Back = f.back(&r.State, member)
	i := r.State.Current()
	if i >= 0 {
		out.Current = f.in(r.State.Stages[i].Set, &r.State, i, member)
	}
	if i+1 < len(r.Spec.Schedule.Stages) {
		out.Next = l.next(ctx, r, f, member, w)
	}
	if i < 0 {
		var err error
		if out.Snapshots, err = l.snapshots(ctx, r, f); err != nil {
			out.Next.Err = err.Error()
		}
	}
	f.domains(w.Blast, &out)
	coming := l.comings[r.Spec.Name]
	if coming == nil {
		coming = &gate.Coming{}
		l.comings[r.Spec.Name] = coming
	}
	out.Came = coming.Look(&r.State, f.positions)
	if r.State.Phase.Active() {
		course := l.collector.ledger.follow(&r.Spec, &r.State, f, l.collector.lookBack(), member)
		e := l.evidence(r, c.snap.Rollouts, course, t.Baseline, c.now)
		if stage := r.State.Stages[i]; e.StageIndex == i {
			e.Planned = out.Current.Fresh(stage.Target)
		}
		policy := r.Spec.PolicyOf(i)
		slis(c.samples[r.Spec.Name], policy, &e)
		out.Verdict = course.judge.look(policy, e, l.log)
		out.Verdict.Evidence = unwritten
		c.evidence[r.Spec.Name] = e
	}
	return out, nil
}

// recall reads the sets of a backed-out rollout, by which its nodes' failures are told from others. A set that cannot be
// read is taken to hold everybody.
func (l *leader) recall(ctx context.Context, r *tree.Rollout, now time.Time) {
	if l.past(r, now) {
		return // they may be deleted, and nothing asks for them
	}
	for _, s := range r.State.Stages {
		if s.Set != "" && r.State.Phase == gate.BackedOut {
			_, _ = l.sets.get(ctx, s.Set, s.Count)
		}
	}
}

// next resolves the segment of the next stage, and publishes it as a set so that the stage can begin at once.
func (l *leader) next(ctx context.Context, r *tree.Rollout, f *roster, member func(set, print string) bool, w *gate.World) gate.Population {
	i := r.State.Current() + 1
	name := r.Spec.Schedule.Stages[i].Segment
	if name == "" {
		return f.in("", &r.State, i, member)
	}
	ref, taken := r.State.Snapshots[name]
	if !taken {
		set, err := l.publishSegment(ctx, r, f, name)
		if err != nil {
			return gate.Population{Err: err.Error()}
		}
		ref = gate.SetRef{Digest: set.Digest, Count: set.Count}
	}
	w.Sets[ref.Digest] = ref.Count
	p := f.in(ref.Digest, &r.State, i, member)
	p.Count = ref.Count
	return p
}
