// Package edgecli is the command line of sluice-edge.
package edgecli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consul"
	"github.com/openinfrastructure/sluice/internal/store/dir"
)

// Run runs one command and returns its exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if version.Version != "" {
		edge.Version = version.Version
	}
	var exit exitCode
	root := command(&exit)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(stderr, "sluice-enc:", err)
		return 1
	}
	return int(exit)
}

type exitCode int

type options struct {
	configFile string
	stateDir   string
}

func (o options) edge() (*edge.Edge, error) {
	c, err := edge.LoadConfig(o.configFile)
	if err != nil {
		return nil, err
	}
	if o.stateDir != "" {
		c.StateDir = o.stateDir
	}
	return &edge.Edge{Config: c, Now: time.Now, Store: func() (store.Store, error) {
		if c.Store.Dir != "" {
			return dir.Open(dir.Config{Path: c.Store.Dir})
		}
		client := api.DefaultConfig()
		if c.Consul.Address != "" {
			client.Address = c.Consul.Address
		}
		if c.Consul.TokenFile != "" {
			token, err := os.ReadFile(c.Consul.TokenFile)
			if err != nil {
				return nil, err
			}
			client.Token = strings.TrimSpace(string(token))
		}
		return consul.New(consul.Config{Client: client, Prefix: c.Consul.Prefix})
	}}, nil
}

func command(exit *exitCode) *cobra.Command {
	var o options
	root := &cobra.Command{
		Use:   "sluice-enc CERTNAME",
		Short: "sluice's external node classifier, and the edge behind it",
		Long: `sluice-enc answers puppetserver from local files:

  external_nodes = /usr/bin/sluice-enc

Its other commands look after those files and explain them.`,
		SilenceUsage: true, SilenceErrors: true, Version: edge.Version,
	}
	root.PersistentFlags().StringVar(&o.configFile, "config.file", edge.DefaultConfigFile, "configuration of this edge")
	root.PersistentFlags().StringVar(&o.stateDir, "state.dir", "", "directory of this edge's state (overrides the configuration)")
	root.AddCommand(answerCommand(&o, exit), acceptCommand(&o), auditCommand(&o, exit), explainCommand(&o), statusCommand(&o, exit))
	return root
}

func answerCommand(o *options, exit *exitCode) *cobra.Command {
	return &cobra.Command{
		Use: "answer CERTNAME", Short: "Answer for a node, over the site's own ENC", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			e, err := o.edge()
			if err != nil {
				return err
			}
			u, answer, err := e.Answer(c.Context(), args[0])
			if len(u.Err) > 0 {
				_, _ = c.ErrOrStderr().Write(u.Err)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if answer.Missing != "" {
				fmt.Fprintf(c.ErrOrStderr(), "sluice-enc: %s: environment %s is not on this puppetserver: baseline\n", args[0], answer.Missing)
			}
			if u.Stale {
				fmt.Fprintf(c.ErrOrStderr(), "sluice-enc: %s: the site's ENC did not answer in time: its last good answer\n", args[0])
			}
			*exit = exitCode(u.ExitCode)
			_, err = c.OutOrStdout().Write(u.Out)
			return err
		},
	}
}

func acceptCommand(o *options) *cobra.Command {
	var strict bool
	c := &cobra.Command{
		Use: "accept", Short: "Take over what consul-template rendered, after checking it", Args: cobra.NoArgs,
		Long: `accept checks the rendered manifest and flags, keeps the last good document when the new one is not in
order, lets stops act at once, and takes thresholds forward within the speed limit.

It exits 0 whatever it finds, because consul-template ends when its command fails; the reason is in
"sluice-enc status", in metrics and under edges/HOST in Consul. --strict is for people.`,
		RunE: func(c *cobra.Command, _ []string) error {
			e, err := o.edge()
			if err != nil {
				return quiet(c, strict, err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), time.Minute)
			defer cancel()
			status, err := e.Accept(ctx)
			if err != nil {
				return quiet(c, strict, err)
			}
			if status.Refused != "" {
				return quiet(c, strict, errors.New("refused: "+status.Refused))
			}
			for _, l := range slices.Concat(status.Clamped, status.Loud, status.Problems) {
				fmt.Fprintln(c.ErrOrStderr(), "sluice-enc:", l)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&strict, "strict", false, "exit 1 when the rendered document is not in force")
	return c
}

func quiet(c *cobra.Command, strict bool, err error) error {
	if strict {
		return err
	}
	fmt.Fprintln(c.ErrOrStderr(), "sluice-enc:", err)
	return nil
}

func auditCommand(o *options, exit *exitCode) *cobra.Command {
	var output, nodes string
	c := &cobra.Command{
		Use: "audit", Short: "List every node that sluice would answer differently from the site's ENC", Args: cobra.NoArgs,
		Long: `audit reads certnames, one per line, optionally with the environment of their last report (CERTNAME,ENVIRONMENT),
asks the site's ENC and sluice about each, and lists the differences. It exits 0 when there are none and 3 when
there are some. On the day sluice is installed there must be none:

  sluice-enc audit --nodes nodes.csv`,
		RunE: func(c *cobra.Command, _ []string) error {
			e, err := o.edge()
			if err != nil {
				return err
			}
			in := c.InOrStdin()
			if nodes != "-" {
				f, err := os.Open(nodes)
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			all := []edge.Difference{}
			asked, err := e.Audit(c.Context(), in, func(d edge.Difference) { all = append(all, d) })
			if err != nil {
				return err
			}
			if asked == 0 {
				return errors.New("no certname was given: an empty list proves nothing")
			}
			if len(all) > 0 {
				*exit = 3
			}
			if output == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"asked": asked, "differences": all})
			}
			for _, d := range all {
				fmt.Fprintf(c.OutOrStdout(), "%s: %s becomes %s: %s\n", d.Certname, d.Without, d.With, d.Why)
			}
			fmt.Fprintf(c.OutOrStdout(), "%d nodes asked, %d differ\n", asked, len(all))
			return nil
		},
	}
	c.Flags().StringVar(&nodes, "nodes", "-", "file of certnames, - for standard input")
	c.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return c
}

func explainCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "explain CERTNAME", Short: "Say what this edge answers for a node, and why", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			e, err := o.edge()
			if err != nil {
				return err
			}
			return e.Explain(c.Context(), c.OutOrStdout(), args[0])
		},
	}
}

func statusCommand(o *options, exit *exitCode) *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Print what the last accept found, as JSON; exit 1 when this edge is not ready", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			e, err := o.edge()
			if err != nil {
				return err
			}
			s, err := e.Status()
			if err != nil {
				return err
			}
			if !s.Ready {
				*exit = 1
			}
			enc := json.NewEncoder(c.OutOrStdout())
			enc.SetIndent("", "  ")
			return enc.Encode(s)
		},
	}
}
