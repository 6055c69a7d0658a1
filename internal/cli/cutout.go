package cli

import (
	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/verb"
)

func (p *program) vetoCommand() *cobra.Command {
	var ask verb.Ask
	return p.writes(&cobra.Command{
		Use: "veto ENVIRONMENT", Short: "Keep an environment from being rolled out", Args: args(cobra.ExactArgs(1)),
		Long: `veto keeps an environment from being started, and takes it back where it is rolled out. unveto ENVIRONMENT ends it. To take
one rollout back, use backout, which the edges obey without a daemon.`,
		Example: `  sluice veto production_8f3c2d1a --reason "CVE-2026-1234 in the module"`,
	}, &ask, func(args []string) error { ask.Environment = args[0]; return nil })
}

func (p *program) pinCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "pin CERTNAME --to baseline|candidate", Short: "Keep one node on baseline, or give it the candidate now", Args: args(cobra.ExactArgs(1)),
		Long: `pin keeps one node on baseline, whatever the stages say, or gives it the candidate of rollouts that are under way before its
turn, until a time. A pinned node is in neither cohort. Back-outs, vetoes and holds win over a pin to candidate. unpin ends it.`,
		Example: `  sluice pin db1.example.com --to baseline --for 2d --reason "restore under way"
  sluice pin web7.example.com --to candidate --rollout production_8f3c2d1a --until 2026-11-30T08:00:00Z --reason "try it by hand"`,
	}, &ask, func(args []string) error { ask.Certname = args[0]; return nil })
	c.Flags().StringVar(&ask.To, "to", "", "baseline or candidate (required)")
	c.Flags().StringVar(&ask.Rollout, "rollout", "", "only in this rollout (default: in every one)")
	until(c, &ask)
	return c
}

func (p *program) unpinCommand() *cobra.Command {
	var ask verb.Ask
	return p.writes(&cobra.Command{
		Use: "unpin CERTNAME", Short: "End a pin now", Args: args(cobra.ExactArgs(1)),
		Long:    `unpin ends a pin. A node that was kept on baseline gets what its stage has when every gate of the rollout is open.`,
		Example: `  sluice unpin db1.example.com --reason "restored"`,
	}, &ask, func(args []string) error { ask.Certname = args[0]; return nil })
}

// until adds the flags of what has an end.
func until(c *cobra.Command, ask *verb.Ask) {
	c.Flags().StringVar(&ask.Until, "until", "", "when it ends, such as 2026-01-31T08:00:00Z")
	c.Flags().StringVar(&ask.For, "for", "", "how long it lasts, such as 90m, 6h, 2d or 1w")
}
