package verb

import (
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
	if found.State.Phase == gate.Settling {
		return r.hand("nodes of %s that have left the inventory are not waited for, and an inconclusive verdict does not count; see: sluice explain %s", name, name)
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
	environment, parameters, why := r.Snap.Reverse(found)
	if why != "" {
		return in(found.State.Phase, of(r.Rollout, refused("%s cannot be reverted: %s", r.Rollout, why)))
	}
	return r.ask(revertPrefix+r.Rollout, &tree.Start{Track: found.Spec.Track, Environment: environment, Parameters: parameters, Schedule: r.Schedule, Policy: r.Policy, Reverts: r.Rollout})
}
