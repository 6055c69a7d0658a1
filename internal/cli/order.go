package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// Names of the requests of orders.
const (
	promotePrefix = "promote-"
	skipPrefix    = "skip-"
	revertPrefix  = "revert-"
)

func (p *program) promoteCommand() *cobra.Command {
	var now bool
	var wait time.Duration
	c := p.writes(&cobra.Command{
		Use: "promote NAME --now", Short: "Leave the current stage whatever it has shown", Args: args(cobra.ExactArgs(1)),
		Long: `promote is for emergencies: it leaves the current stage at once and begins the next, without what the stage has yet to show (ramp,
coverage, bake, verdict, growth), and without approval, window, delay and sources. It counts once, for this stage, and is in the audit. Freeze, pause,
holds, the state of the edges, other rollouts' unproven changes and the limit on them still hold it; a verdict that fails still backs it out; and the
edges let no more nodes forward than their speed limit.`,
		Example:           `  sluice promote production_8f3c2d1a --now --reason "fix for incident 4711, checked by hand on db1"`,
		ValidArgsFunction: p.completeRollouts,
	}, false, func(w *writing, args []string) error {
		if !now {
			return usage("promote: say --now: it skips what the stage has yet to show")
		}
		name := args[0]
		r, err := w.whole(name)
		if err != nil {
			return err
		}
		stage := ""
		if i := r.State.Current(); i >= 0 {
			stage = r.State.Stages[i].Name
		}
		if why := r.State.Refuse(gate.Order{Promote: &gate.Promotion{Stage: stage}}, &r.Spec.Schedule); why != "" {
			return refused("%s: %s", name, why)
		}
		return w.order(promotePrefix+name, tree.Request{Kind: tree.RequestPromote, Rollout: name, Stage: stage}, wait,
			fmt.Sprintf("stage %s of %s is left as soon as nothing stops it; see: sluice explain %s", stage, name, name))
	})
	c.Flags().BoolVar(&now, "now", false, "yes, now (required)")
	waitFlag(c, &wait)
	return c
}

func (p *program) skipCommand() *cobra.Command {
	var wait time.Duration
	c := p.writes(&cobra.Command{
		Use: "skip NAME STAGE", Short: "Let a stage that is to come admit nobody", Args: args(cobra.ExactArgs(2)),
		Long:              `skip passes a stage over when the one before it has passed: its nodes come with the stages after it. The first and the last cannot be skipped.`,
		Example:           `  sluice skip production_8f3c2d1a fra1 --reason "fra1 comes with everyone this time"`,
		ValidArgsFunction: p.completeRollouts,
	}, false, func(w *writing, args []string) error {
		name, stage := args[0], args[1]
		r, err := w.whole(name)
		if err != nil {
			return err
		}
		if why := r.State.Refuse(gate.Order{Skip: stage}, &r.Spec.Schedule); why != "" {
			return refused("%s: %s", name, why)
		}
		return w.order(skipPrefix+name, tree.Request{Kind: tree.RequestSkip, Rollout: name, Stage: stage}, wait,
			fmt.Sprintf("stage %s of %s will admit nobody of its own.", stage, name))
	})
	waitFlag(c, &wait)
	return c
}

// whole finds a rollout that has not ended and can be read.
func (w *writing) whole(name string) (*tree.Rollout, error) {
	r, err := w.flagged(name)
	if err == nil && r == nil {
		err = fmt.Errorf("rollouts/%s cannot be read: %s", name, strings.Join(w.snap.Damaged, "; "))
	}
	return r, err
}

func (w *writing) order(id string, r tree.Request, wait time.Duration, done string) error {
	if wait < 0 {
		return usage("%s: --wait %s: expected 0 or more", w.verb, wait)
	}
	if err := w.put(id, r); err != nil {
		return err
	}
	taken, err := w.hand(id, wait)
	if taken {
		w.say("%s", done)
	}
	return err
}

func (p *program) revertCommand() *cobra.Command {
	var ask tree.Start
	var wait time.Duration
	c := p.writes(&cobra.Command{
		Use: "revert NAME", Short: "Undo a completed rollout by one in reverse", Args: args(cobra.ExactArgs(1)),
		Long: `revert starts a rollout of the environment that was the baseline before NAME, named revert-NAME, with stages and a judge of its own. A
rollout that is under way is taken back with backout instead. What parameters had before is not on record: start those with the values you want.`,
		Example:           `  sluice revert production_8f3c2d1a --schedule careful --reason "mail is slow since then"`,
		ValidArgsFunction: p.completeRollouts,
	}, false, func(w *writing, args []string) error {
		name := args[0]
		r := w.snap.Rollout(name)
		if r == nil {
			return noRollout(w.snap, name)
		}
		if why := irreversible(w.snap, r); why != "" {
			return refused("%s cannot be reverted: %s", name, why)
		}
		ask.Track, ask.Environment = r.Spec.Track, r.Spec.Baseline
		again, err := startOf(&ask, []string{revertPrefix + name}, nil, wait, w.snap)
		if err != nil {
			return err
		}
		if err := w.put(again, tree.Request{Kind: tree.RequestStart, Rollout: again, Start: &ask}); err != nil {
			return err
		}
		taken, err := w.hand(again, wait)
		if taken {
			return w.started(again, wait)
		}
		return err
	})
	c.Flags().StringVar(&ask.Schedule, "schedule", "", "name of the schedule (required)")
	c.Flags().StringVar(&ask.Policy, "policy", "default", "name of the analysis policy")
	waitFlag(c, &wait)
	return c
}

// irreversible says why a rollout cannot be undone by one in reverse, "" if it can.
func irreversible(snap *tree.Snapshot, r *tree.Rollout) string {
	switch i := slices.IndexFunc(snap.Tracks, func(t tree.Track) bool { return t.Name == r.Spec.Track }); {
	case r.State.Phase != gate.Completed && !r.State.Phase.Ended():
		return fmt.Sprintf("it is %s; sluice backout %s takes it back", r.State.Phase, r.Spec.Name)
	case r.State.Phase != gate.Completed:
		return fmt.Sprintf("it is %s, and there is nothing to undo", r.State.Phase)
	case r.Spec.Candidate == "":
		return "it is of parameters, and what they had before is not on record: sluice start NAME --parameter K=V"
	case i < 0 || snap.Tracks[i].Baseline != r.Spec.Candidate:
		return "its environment is not the baseline any more: start the one that you want"
	}
	return ""
}
