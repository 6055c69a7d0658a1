package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
)

func (p *program) statusCommand() *cobra.Command {
	var out format
	var follow bool
	var timeout time.Duration
	c := &cobra.Command{
		Use: "status [NAME]", Short: "Show a rollout, its stages and why it stands still", Args: args(cobra.MaximumNArgs(1)),
		Long: `status shows a rollout, or without a name all that are under way. With --watch it follows them until they end: on a
terminal it draws what has changed, elsewhere it writes a line for every change. The exit code is the largest of all.

` + exitCodes,
		Example: `  sluice status production_8f3c2d1a
  sluice status production_8f3c2d1a -w
  sluice status -w                                            # all that are under way
  sluice status production_8f3c2d1a -w --timeout 6h -o json   # one document a line and change`,
		ValidArgsFunction: p.completeRollouts,
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if timeout < 0 || timeout > 0 && !follow {
				return usage("status: --timeout goes with --watch, and is longer than 0")
			}
			if follow {
				return p.follow(c, strings.Join(args, ""), out, timeout)
			}
			return p.statusOnce(c, strings.Join(args, ""), out)
		},
	}
	out.flag(c)
	c.Flags().BoolVarP(&follow, "watch", "w", false, "follow until the rollout ends")
	c.Flags().DurationVar(&timeout, "timeout", 0, "with --watch: exit 5 when the rollout has not ended by then (0 = never)")
	return c
}

func (p *program) statusOnce(c *cobra.Command, name string, out format) error {
	snap, _, done, err := p.snapshot(c.Context())
	if err != nil {
		return err
	}
	defer done()
	f := &follower{p: p, name: name, snap: snap}
	now := p.now()
	views, waits, err := f.views(now)
	if err != nil {
		return err
	}
	if name != "" && len(views) == 0 {
		return &exitError{ExitHeld, waits}
	}
	code := ExitOK
	for _, v := range views {
		code = max(code, v.Exit)
	}
	var document any = views
	if name != "" {
		document = views[0]
	}
	if err := out.write(c.OutOrStdout(), document, func(w io.Writer) { renderAll(w, p.lookAt(c.OutOrStdout()), views, waits, now) }); err != nil {
		return err
	}
	return exit(code)
}

// find names the nearest rollouts where there is none of that name, and says what else the store knows about it.
func find(snap *tree.Snapshot, name string) (*tree.Rollout, error) {
	if r := snap.Rollout(name); r != nil {
		return r, nil
	}
	for id, q := range snap.Requests {
		if q.Kind != tree.RequestStart || id != name {
			continue
		}
		if q.Refused != "" {
			return nil, refused("%s was refused: %s", name, q.Refused)
		}
		return nil, &exitError{ExitHeld, fmt.Sprintf("%s is requested by %s since %s; no leader has taken it up yet", name, q.By, utc(q.At))}
	}
	for _, d := range snap.Damaged {
		if strings.HasPrefix(d, "rollouts/"+name+"/") {
			return nil, fmt.Errorf("%s", d)
		}
	}
	return nil, said(verb.NoRollout(snap, "name", name))
}

func (p *program) follow(c *cobra.Command, name string, out format, timeout time.Duration) error {
	s, done, err := p.connect()
	if err != nil {
		return err
	}
	defer done()
	ctx := c.Context()
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, &exitError{ExitTimeout, fmt.Sprintf("%s has not ended within %s", cmp.Or(name, "what is under way"), timeout)})
		defer cancel()
	}
	f := &follower{p: p, out: out, name: name, w: c.OutOrStdout(), errOut: c.ErrOrStderr(), look: p.lookAt(c.OutOrStdout())}
	if out == "text" {
		f.screen = p.terminal(c.OutOrStdout())
	}
	if f.screen != nil {
		defer func() { f.screen.done(f.final) }()
	}
	code, err := f.run(ctx, s)
	switch {
	case err == nil:
		return exit(code)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return context.Cause(ctx)
	case ctx.Err() != nil:
		return errors.New("interrupted")
	}
	return err
}
