package verb

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// CutOutID names a cut-out by what it says, so that the same one has one key.
func CutOutID(rollout, where string) string {
	sum := sha256.Sum256([]byte(rollout + "\n" + where))
	return rollout[:min(len(rollout), 50)] + "-" + hex.EncodeToString(sum[:4])
}

// cutOut takes the change from the nodes that match, in one rollout.
func (r *run) cutOut(name, where string) error {
	s, err := selector.Parse(where)
	if err != nil {
		return wrong("where", "backout: %s: %v", Field("where"), err)
	}
	if len(s.Names()) == 0 {
		return wrong("where", "backout: %s {} is every node: leave it out to back the whole rollout out", Field("where"))
	}
	if _, err := r.flagged("rollouts[0]", name); err != nil {
		return err
	}
	v := gate.Veto{ID: CutOutID(name, where), Rollout: name, Selector: where, By: r.who(), Comment: r.Reason}
	if err := r.setJSON(tree.VetoKey(v.ID), v); err != nil {
		return err
	}
	r.say("nodes of %s get baseline instead of %s on the next run; the rest of it goes on. The leader does that: without one nothing happens yet.", where, name)
	r.say("It latches. Whom it keeps, and whether it matches anybody: sluice explain %s (gate hold)", name)
	r.say("To give the change back: sluice unveto %s --where %s --reason ...", name, v.ID)
	return nil
}

// unvetoPart asks the leader to give the change back to nodes that were cut out; where is an ID or the selector.
func (r *run) unvetoPart(name, where string) error {
	r.verb = "unveto --where"
	found, err := r.whole("name", name)
	if err != nil {
		return err
	}
	id := r.cutOutOf(name, where)
	standing := slices.ContainsFunc(found.State.Caps, func(c gate.Cap) bool { return c.Standing() && c.Source() == gate.CapCutOut+"/"+id })
	version, there := r.Snap.Versions[tree.VetoKey(id)]
	switch {
	case !standing && !there:
		return missing("where", "no nodes are cut out of %s by %q; see: sluice explain %s (gate hold)", name, where, name)
	case !standing: // the leader has not seen it, or it matches nobody
		if err := r.set(store.DeleteCAS(tree.VetoKey(id), version)); err != nil {
			return err
		}
		r.say("the cut-out %s is gone; it kept nobody.", id)
		return nil
	}
	var with []store.Op
	if there {
		with = append(with, store.DeleteCAS(tree.VetoKey(id), version))
	}
	if err := r.leave(unvetoPrefix+name, tree.Request{Kind: tree.RequestUnveto, Rollout: name, Veto: id}, with...); err != nil {
		return err
	}
	return r.hand("the cut-out %s of %s has ended: its nodes come back when every gate of the rollout is open.", id, name)
}

func (r *run) cutOutOf(name, where string) string {
	for _, v := range r.Snap.Vetoes {
		if v.Rollout == name && v.Selector == where {
			return v.ID
		}
	}
	if !schedule.ValidName(where) {
		return CutOutID(name, where) // its key may be gone, with what it said
	}
	return where
}
