package verb

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
)

func (r *run) promote() error {
	if !r.AtOnce {
		return wrong("now", "promote: say %s: it skips what the stage has yet to show", Field("now"))
	}
	name := r.Rollout
	found, err := r.whole("rollout", name)
	if err != nil {
		return err
	}
	stage := ""
	if i := found.State.Current(); i >= 0 {
		stage = found.State.Stages[i].Name
	}
	if why := found.State.Refuse(gate.Order{Promote: &gate.Promotion{Stage: stage}}, &found.Spec.Schedule); why != "" {
		return in(found.State.Phase, of(name, refused("%s: %s", name, why)))
	}
	if err := r.leave(promotePrefix+name, tree.Request{Kind: tree.RequestPromote, Rollout: name, Stage: stage}); err != nil {
		return err
	}
	return r.hand("stage %s of %s is left as soon as nothing stops it; see: sluice explain %s", stage, name, name)
}

func (r *run) skip() error {
	name, stage := r.Rollout, r.Stage
	found, err := r.whole("rollout", name)
	if err != nil {
		return err
	}
	if why := found.State.Refuse(gate.Order{Skip: stage}, &found.Spec.Schedule); why != "" {
		return in(found.State.Phase, of(name, refused("%s: %s", name, why)))
	}
	if err := r.leave(skipPrefix+name, tree.Request{Kind: tree.RequestSkip, Rollout: name, Stage: stage}); err != nil {
		return err
	}
	return r.hand("stage %s of %s will admit nobody of its own.", stage, name)
}

// revert asks for a rollout in reverse of one that is completed.
func (r *run) revert() error {
	found, err := r.known("rollout", r.Rollout)
	if err == nil && found == nil {
		err = r.cannotRead(r.Rollout)
	}
	if err != nil {
		return err
	}
	if why := irreversible(r.Snap, found); why != "" {
		return in(found.State.Phase, of(r.Rollout, refused("%s cannot be reverted: %s", r.Rollout, why)))
	}
	ask := tree.Start{Track: found.Spec.Track, Schedule: r.Schedule, Policy: r.Policy}
	if found.Spec.Candidate != "" {
		ask.Environment = found.Spec.Baseline
	} else {
		ask.Parameters = found.State.Former
	}
	return r.ask(revertPrefix+r.Rollout, &ask)
}

// irreversible says why a rollout cannot be undone by one in reverse, "" if it can.
func irreversible(snap *tree.Snapshot, r *tree.Rollout) string {
	track := snap.Track(r.Spec.Track)
	switch {
	case r.State.Phase != gate.Completed && !r.State.Phase.Ended():
		return fmt.Sprintf("it is %s; sluice backout %s takes it back", r.State.Phase, r.Spec.Name)
	case r.State.Phase != gate.Completed:
		return fmt.Sprintf("it is %s, and there is nothing to undo", r.State.Phase)
	case track == nil:
		return fmt.Sprintf("track %s is not in the store", r.Spec.Track)
	case r.Spec.Candidate == "":
		return irreversibleParameters(track, r)
	case track.Baseline != r.Spec.Candidate:
		return "its environment is not the baseline any more: start the one that you want"
	}
	return ""
}

// irreversibleParameters: what was there before is on record since the rollout became the default, and only while it is the default does
// that undo this rollout and no other.
func irreversibleParameters(track *tree.Track, r *tree.Rollout) string {
	var names []string
	for name := range r.Spec.Parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if _, known := r.State.Former[name]; !known {
			return fmt.Sprintf("what parameter %s had before is not on record: sluice start NAME --parameter %s=VALUE", name, name)
		}
		if now, there := track.Parameters[name]; !there || !reflect.DeepEqual(now, r.Spec.Parameters[name]) {
			return fmt.Sprintf("parameter %s of track %s has been changed since: start the one that you want", name, track.Name)
		}
	}
	return ""
}
