package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/verb"
)

// writes makes a command of a verb: read takes its arguments into ask, whose other fields the flags fill. What the verb means, and
// what it refuses, is package verb's, which the API asks as well.
func (p *program) writes(c *cobra.Command, ask *verb.Ask, read func(args []string) error) *cobra.Command {
	c.Flags().StringVar(&ask.Reason, "reason", "", "why, one sentence for the audit (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		v, ok := verb.Named(strings.TrimPrefix(c.CommandPath(), "sluice "))
		if !ok {
			return fmt.Errorf("%s is no verb", c.CommandPath())
		}
		if err := read(args); err != nil {
			return err
		}
		return said(p.carryOut(c, v, *ask))
	}
	return c
}

func (p *program) carryOut(c *cobra.Command, v verb.Verb, ask verb.Ask) error {
	if err := v.Check(&ask); err != nil {
		return err
	}
	s, done, err := p.connect()
	if err != nil {
		return err
	}
	defer done()
	if r, ok := s.(*remote); ok {
		return p.askFor(c, r, v, ask)
	}
	d, unread, err := verb.Sit(c.Context(), s, v, "", p.now)
	if err != nil {
		return err
	}
	if unread != nil {
		fmt.Fprintln(c.ErrOrStderr(), "sluice: not everything can be read, so the name is not checked:", unread)
	}
	d.Who = p.who(c.Context(), s, c.ErrOrStderr())
	d.Say = func(line string) { fmt.Fprintln(c.OutOrStdout(), line) }
	out, err := d.Do(c.Context(), v, ask)
	if err == nil && out.Taken && (v.Name == "start" || v.Name == "revert") {
		return p.started(c, s, out.Request, ask)
	}
	return err
}

// said is an error of a verb as the command line says it: with flags, and its own exit code.
func said(err error) error {
	var e *verb.Error
	var part *verb.Partly
	switch {
	case errors.As(err, &part):
		return &exitError{codes[part.Failed[0].Kind], part.Spell(asFlag)}
	case errors.As(err, &e):
		return &exitError{codes[e.Kind], e.Spell(asFlag)}
	}
	return err
}

func asFlag(f verb.Field) string { return "--" + string(f) }

var codes = map[verb.Kind]int{verb.Wrong: ExitUsage, verb.Missing: ExitError, verb.Refused: ExitConflict, verb.Queued: ExitTimeout, verb.Unreadable: ExitError}

// several adds the flags by which a verb acts on more than one rollout.
func several(c *cobra.Command, ask *verb.Ask) {
	c.Flags().BoolVar(&ask.All, "all", false, "every rollout that has not ended")
	c.Flags().StringVarP(&ask.Select, "select", "l", "", `those that match, such as track="production",kind="parameters" (`+strings.Join(verb.RolloutAttributes, ", ")+`)`)
}
