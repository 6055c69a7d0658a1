package cli

import (
	"fmt"
	"runtime"
	"time"

	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/config"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "check", Short: "Check files before they are used", Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("check: unknown command %q; expected config", args[0])
			}
			return c.Help()
		},
	}
	c.AddCommand(&cobra.Command{
		Use: "config FILE...", Short: "Check configurations of sluiced", Args: args(cobra.MinimumNArgs(1)),
		Long: `check config reads every file as sluiced would, and exits 1 if one is wrong. Warnings are about
schedules that are in order and seldom meant.`,
		Example: `  sluice check config /etc/sluice/sluiced.yml`,
		RunE: func(c *cobra.Command, files []string) error {
			failed := 0
			for _, file := range files {
				fmt.Fprintf(c.OutOrStdout(), "Checking '%s'  ", file)
				conf, err := config.Load(file)
				if err != nil {
					failed++
					fmt.Fprintf(c.OutOrStdout(), "FAILED: %v\n", err)
					continue
				}
				fmt.Fprintf(c.OutOrStdout(), "SUCCESS\nFound:\n%s", conf.Summary())
				for _, w := range conf.Lint(time.Now()) {
					fmt.Fprintf(c.OutOrStdout(), "WARNING: %s: %s\n", w.Path, w.Text)
				}
			}
			if failed > 0 {
				return exit(ExitError)
			}
			return nil
		},
	})
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: args(cobra.NoArgs),
		Example: `  sluice version`,
		Run: func(c *cobra.Command, _ []string) {
			v, revision := version.Version, version.GetRevision()
			if v == "" {
				v = "unknown"
			}
			fmt.Fprintf(c.OutOrStdout(), "sluice, version %s (revision: %s, %s %s/%s)\n", v, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
