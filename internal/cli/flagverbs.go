package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/verb"
)

// named takes the arguments as names of rollouts.
func named(ask *verb.Ask) func(args []string) error {
	return func(args []string) error { ask.Rollouts = args; return nil }
}

func (p *program) pauseCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "pause NAME...", Short: "Keep a rollout where it is", Args: args(cobra.ArbitraryArgs),
		Long: `pause keeps every threshold of a rollout where it is, here and at the edges, until resume. Nodes that are
admitted and have not run yet still get the change on their next run; backout takes it back.`,
		Example: `  sluice pause production_8f3c2d1a --reason "link flaps in fra1"
  sluice pause --all --reason "incident 4711"
  sluice pause -l 'track="production"' --reason "incident 4711"`,
		ValidArgsFunction: p.completeRollouts,
	}, &ask, named(&ask))
	several(c, &ask)
	return c
}

func (p *program) resumeCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "resume NAME...", Short: "End a pause", Args: args(cobra.ArbitraryArgs),
		Example:           `  sluice resume production_8f3c2d1a --reason "link is stable"`,
		ValidArgsFunction: p.completeRollouts,
	}, &ask, named(&ask))
	several(c, &ask)
	return c
}

func (p *program) freezeCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "freeze", Short: "Keep every rollout where it is", Args: args(cobra.NoArgs),
		Example: `  sluice freeze --reason "incident 4711"
  sluice freeze --end --reason "incident 4711 is over"`,
	}, &ask, func([]string) error { return nil })
	c.Flags().BoolVar(&ask.End, "end", false, "end the freeze")
	return c
}

func (p *program) delayCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "delay NAME... DURATION|TIME", Short: "Keep a rollout where it is for a while", Args: args(cobra.ArbitraryArgs),
		Long: `delay keeps a rollout where it is until a time (2026-01-31T08:00:00Z) or for a duration (90m, 2h, 1d, 1w), which
counts from when the leader first sees it. It is the leader who waits: to stop the edges too, use pause. Of several rollouts, those for which
it has no meaning are named and the others are delayed.`,
		Example: `  sluice delay production_8f3c2d1a 2h --reason "backup runs"
  sluice delay production_8f3c2d1a 2026-01-31T08:00:00+01:00 --reason "after the weekend"
  sluice delay -l 'kind="parameters"' 2h --reason "backup runs"
  sluice delay production_8f3c2d1a --end --reason "backup is done"`,
		ValidArgsFunction: p.completeRollouts,
	}, &ask, func(args []string) error {
		last := len(args) - 1
		room := last > 0 || last == 0 && (ask.All || ask.Select != "") // for a duration or a time after the names
		switch {
		case ask.End && !(room && isDelay(args[last])):
			ask.Rollouts = args
			return nil
		case ask.End || !room:
			return usage("delay: expected a duration, a time, or --end")
		}
		ask.Rollouts = args[:last]
		if _, err := time.Parse(time.RFC3339, args[last]); err == nil {
			ask.Until = args[last]
		} else {
			ask.For = args[last]
		}
		return nil
	})
	c.Flags().BoolVar(&ask.End, "end", false, "end the delay")
	several(c, &ask)
	return c
}

func isDelay(word string) bool {
	d := flags.ReadDelay(word)
	return d.For > 0 || !d.Until.IsZero()
}

func (p *program) backoutCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "backout NAME...", Short: "Give baseline back to every admitted node", Args: args(cobra.ArbitraryArgs),
		Long: `backout takes a rollout back, at the edges at once and without a daemon. It asks nothing and it latches: the change
does not come back by itself, whatever happens to the flag. unveto allows it to be started again.

With --where it takes the change from the nodes that match, and from nobody else: they get baseline, and the rest of the rollout goes on. That
latches, too, and is the leader's to do.`,
		Example: `  sluice backout production_8f3c2d1a --reason "sshd does not start on el7"
  sluice backout production_8f3c2d1a --where '{enc.datacenter="fra1"}' --reason "only fra1 has the old switches"`,
		ValidArgsFunction: p.completeRollouts,
	}, &ask, named(&ask))
	c.Flags().StringVar(&ask.Where, "where", "", "only nodes that this selector of nodes matches; the rest goes on")
	several(c, &ask)
	return c
}

func (p *program) approvalCommand(name string) *cobra.Command {
	var ask verb.Ask
	short := "Approve that a stage begins"
	if name == "deny" {
		short = "Deny that a stage begins"
	}
	c := p.writes(&cobra.Command{
		Use: name + " NAME... STAGE", Short: short, Args: args(cobra.MinimumNArgs(1)),
		Long: name + ` is for one rollout or for several that have a stage of that name. Those for which it has no meaning, and those whose
stage names other approvers, are named, and the others are decided.`,
		Example: fmt.Sprintf(`  sluice %s production_8f3c2d1a quarter --reason "change board 12 May"
  sluice %s -l 'track="production"' quarter --reason "change board 12 May"`, name, name),
		ValidArgsFunction: p.completeRollouts,
	}, &ask, func(args []string) error {
		last := len(args) - 1
		if last == 0 && !ask.All && ask.Select == "" {
			return usage("%s: expected the names of rollouts, --all, or --select, and then the stage", name)
		}
		ask.Rollouts, ask.Stage = args[:last], args[last]
		return nil
	})
	several(c, &ask)
	return c
}
