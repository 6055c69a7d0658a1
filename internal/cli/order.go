package cli

import (
	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/verb"
)

func (p *program) promoteCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "promote NAME --now", Short: "Leave the current stage whatever it has shown", Args: args(cobra.ExactArgs(1)),
		Long: `promote is for emergencies: it leaves the current stage at once and begins the next, without what the stage has yet to show (ramp,
coverage, bake, verdict, growth), and without approval, window, delay and sources. It counts once, for this stage, and is in the audit. Freeze, pause,
holds, the state of the edges, other rollouts' unproven changes and the limit on them still hold it; a verdict that fails still backs it out; and the
edges let no more nodes forward than their speed limit.`,
		Example:           `  sluice promote production_8f3c2d1a --now --reason "fix for incident 4711, checked by hand on db1"`,
		ValidArgsFunction: p.completeRollouts,
	}, &ask, func(args []string) error { ask.Rollout = args[0]; return nil })
	c.Flags().BoolVar(&ask.AtOnce, "now", false, "yes, now (required)")
	waitFlag(c, &ask)
	return c
}

func (p *program) skipCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "skip NAME STAGE", Short: "Let a stage that is to come admit nobody", Args: args(cobra.ExactArgs(2)),
		Long:              `skip passes a stage over when the one before it has passed: its nodes come with the stages after it. The first and the last cannot be skipped.`,
		Example:           `  sluice skip production_8f3c2d1a fra1 --reason "fra1 comes with everyone this time"`,
		ValidArgsFunction: p.completeRollouts,
	}, &ask, func(args []string) error { ask.Rollout, ask.Stage = args[0], args[1]; return nil })
	waitFlag(c, &ask)
	return c
}

func (p *program) revertCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "revert NAME", Short: "Undo a completed rollout by one in reverse", Args: args(cobra.ExactArgs(1)),
		Long: `revert starts a rollout of what was there before NAME, named revert-NAME, with stages and a judge of its own: of the environment that was
the baseline, or of the values that the parameters had by default. A parameter that there was not is taken away. A rollout that is under way is taken back
with backout instead.`,
		Example:           `  sluice revert production_8f3c2d1a --schedule careful --reason "mail is slow since then"`,
		ValidArgsFunction: p.completeRollouts,
	}, &ask, func(args []string) error { ask.Rollout = args[0]; return nil })
	c.Flags().StringVar(&ask.Schedule, "schedule", "", "name of the schedule (required)")
	c.Flags().StringVar(&ask.Policy, "policy", "default", "name of the analysis policy")
	waitFlag(c, &ask)
	return c
}
