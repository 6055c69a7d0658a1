package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/verb"
)

// waitFlag is of verbs that leave something for the leader.
func waitFlag(c *cobra.Command, ask *verb.Ask) {
	wait := (*waitValue)(&ask.Wait)
	*wait = "30s"
	c.Flags().Var(wait, "wait", "wait so long for the leader; 0 = do not wait")
}

// waitValue is a duration that is kept as text.
type waitValue string

func (w *waitValue) String() string { return string(*w) }
func (w *waitValue) Type() string   { return "duration" }
func (w *waitValue) Set(text string) error {
	d, err := time.ParseDuration(text)
	*w = waitValue(d.String())
	return err
}

func (p *program) unvetoCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "unveto NAME", Short: "Allow a backed-out change to be started again", Args: args(cobra.ExactArgs(1)),
		Long: `unveto releases the back-out flag and asks the leader to lift the veto. Nothing starts by it: start the change again,
under a new name. With --where it gives the change back to nodes that were cut out; with an environment that was vetoed, it ends that.`,
		Example: `  sluice unveto production_8f3c2d1a --reason "it was the disk, not the change"
  sluice unveto production_8f3c2d1a --where '{enc.datacenter="fra1"}' --reason "switches are back"`,
		ValidArgsFunction: p.completeRollouts,
	}, &ask, func(args []string) error { ask.Name = args[0]; return nil })
	c.Flags().StringVar(&ask.Where, "where", "", "give the change back to nodes that were cut out: the selector of the cut-out, or its ID")
	waitFlag(c, &ask)
	return c
}

func (p *program) confirmRestoreCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "confirm-restore", Short: "Say that the store was restored on purpose", Args: args(cobra.NoArgs),
		Long: `confirm-restore tells a leader that stands still because an edge is ahead of the store (a restored snapshot) that the
store is right. Look at "sluice list" before: what was decided after the snapshot is lost.`,
		Example: `  sluice confirm-restore --reason "Consul was restored from Tuesday's snapshot"`,
	}, &ask, func([]string) error { return nil })
	waitFlag(c, &ask)
	return c
}
