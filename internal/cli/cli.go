// Package cli is the operators' command line, sluice. It works on the store itself, so that stopping needs no
// daemon; what only the leader may do is asked for by a request.
//
//	cli.go, connect.go   the root, exit codes, the store and who asks
//	init.go … check.go   one verb or family of verbs each
//	view*.go             what a reader shows, as data (the json output)
//	render*.go           the same as text; pure functions of a view and the time
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/words"
)

// Exit codes are part of the interface; docs/cli.md lists them.
const (
	ExitOK       = 0
	ExitError    = 1
	ExitUsage    = 2
	ExitHeld     = 3 // status: the rollout is held or waiting
	ExitBackout  = 4 // status: backed out or superseded; it will not go on
	ExitTimeout  = 5 // what was waited for did not happen in time
	ExitConflict = 6 // the store or the leader refused, or it is there already
)

const exitCodes = `Exit codes:
  0  done; status: the rollout goes on, or is completed
  1  error
  2  wrong usage, --reason missing included
  3  status: the rollout is held or waits
  4  status: the rollout is backed out or superseded
  5  what was waited for did not happen in time
  6  conflict, or refused`

// exitError carries an exit code. An empty text prints nothing.
type exitError struct {
	code int
	text string
}

func (e *exitError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &exitError{ExitUsage, fmt.Sprintf(format, args...)}
}

func refused(format string, args ...any) error {
	return &exitError{ExitConflict, fmt.Sprintf(format, args...)}
}

func exit(code int) error {
	if code == ExitOK {
		return nil
	}
	return &exitError{code: code}
}

// codeOf turns every error into a code other than 0.
func codeOf(err error) int {
	var e *exitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &e):
		return e.code
	case errors.Is(err, store.ErrConflict):
		return ExitConflict
	}
	return ExitError
}

// program is what a run depends on besides its arguments; tests put their own in.
type program struct {
	open     func(connection) (store.Store, error)
	now      func() time.Time
	getenv   func(string) string
	user     func() string // who asks, where the store does not know
	terminal func(io.Writer) *screen
	noColour bool
	store    connection
}

// Run runs one command until ctx ends and returns its exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{open: openStore, now: time.Now, getenv: os.Getenv, user: userAtHost, terminal: screenOf}
	return p.run(ctx, args, stdin, stdout, stderr)
}

func (p *program) run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil && err.Error() != "" {
		fmt.Fprintln(stderr, "sluice:", err)
	}
	if errors.As(err, new(*unreachable)) {
		fmt.Fprintln(stderr, without)
	}
	return codeOf(err)
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "sluice",
		Short: "Staged rollout of Puppet changes",
		Long: `sluice rolls a Puppet change out to a fleet a little at a time.

It talks to the store directly, so pause, freeze and backout work while no daemon runs.
Consul's own variables are honoured: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_CACERT and so on.
A site without Consul names its directory with --store.dir or SLUICE_STORE_DIR. Who has no access to the store
asks sluiced with --api or SLUICE_API.

` + exitCodes,
		Example: `  sluice start --environment production_8f3c2d1a --change 8f3c2d1a --schedule careful --reason "ntp pools"
  sluice status production_8f3c2d1a -w
  sluice pause production_8f3c2d1a --reason "link flaps in fra1"`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q%s", args[0], words.DidYouMean(c.SuggestionsFor(args[0])))
			}
			return c.Help()
		},
	}
	root.SuggestionsMinimumDistance = 2
	flags := root.PersistentFlags()
	flags.StringVar(&p.store.dir, "store.dir", "", "directory of a site without Consul (default: SLUICE_STORE_DIR)")
	flags.StringVar(&p.store.api, "api", "", "URL of sluiced, for those who cannot reach the store (default: SLUICE_API)")
	flags.StringVar(&p.store.address, "consul.address", "", "host:port or URL of Consul (default: CONSUL_HTTP_ADDR)")
	flags.StringVar(&p.store.tokenFile, "consul.token-file", "", "file with your ACL token (default: CONSUL_HTTP_TOKEN)")
	flags.StringVar(&p.store.prefix, "consul.prefix", "sluice/", "prefix of all keys")
	flags.BoolVar(&p.noColour, "no-color", false, "no colours on a terminal either (as NO_COLOR)")
	root.AddCommand(p.initCommand(), p.startCommand(), p.listCommand(), p.statusCommand(), p.explainCommand(), p.whyCommand(),
		p.pauseCommand(), p.resumeCommand(), p.freezeCommand(), p.delayCommand(), p.holdCommand(), p.backoutCommand(), p.pinCommand(), p.unpinCommand(), p.vetoCommand(), p.promoteCommand(), p.skipCommand(), p.revertCommand(),
		p.approvalCommand("approve"), p.approvalCommand("deny"), p.unvetoCommand(), p.confirmRestoreCommand(),
		p.auditCommand(), p.planCommand(), p.scheduleCommand(), compareCommand(), replayCommand(), checkCommand(), versionCommand())
	// cobra's own errors about flags and arguments are wrong usage too.
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usage("%s: %v", verbOf(c), err) })
	return root
}

// verbOf is a command as people type it, such as hold add.
func verbOf(c *cobra.Command) string { return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ") }

// args checks the number of positional arguments.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usage("%s: %v (usage: %s)", verbOf(c), err, c.UseLine())
		}
		return nil
	}
}
