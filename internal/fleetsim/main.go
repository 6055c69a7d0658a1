package fleetsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/version"
	"github.com/spf13/cobra"
)

// Main is fleetsim's command line; it returns the exit code.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use: "fleetsim", Short: "A simulated fleet of Puppet agents", SilenceUsage: true, SilenceErrors: true, Version: version.Print("fleetsim"),
		Long: `fleetsim plays a fleet of Puppet agents as a scenario file describes it. Its agents ask sluice's own classifier for their
environment; what they report is served as PuppetDB and Prometheus would, sent to a real PuppetDB, or written to files.`,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.AddCommand(serveCommand(), writeCommand(), sendCommand(), checkCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root.ExecuteContext(ctx); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "fleetsim:", err)
		return 1
	}
	return 0
}

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check FILE", Short: "Check a scenario", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := Load(args[0])
			if err != nil {
				return err
			}
			rate := float64(s.Nodes) / time.Duration(s.RunInterval).Seconds()
			fmt.Fprintf(c.OutOrStdout(), "%s: %d nodes, a run every %s (%.4g reports/s), %d environments\n", args[0], s.Nodes, s.RunInterval, rate, len(s.Environments))
			return nil
		},
	}
}

func serveCommand() *cobra.Command {
	var file, listen, environments string
	var edges []string
	c := &cobra.Command{
		Use: "serve --scenario FILE", Short: "Run the fleet against the clock, and answer as PuppetDB and Prometheus", Args: cobra.NoArgs,
		Example: "  fleetsim serve --scenario demo.yml --listen 127.0.0.1:8080 --edge /tmp/edge --environments /tmp/environments",
		RunE: func(c *cobra.Command, _ []string) error {
			sc, err := Load(file)
			if err != nil {
				return err
			}
			if environments != "" {
				if err := sc.Deploy(environments); err != nil {
					return err
				}
			}
			l, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", listen)
			if err != nil {
				return err
			}
			var classes Classifier
			if len(edges) > 0 {
				classes = Edges(&sc, edges...)
			}
			s := New(sc, time.Now(), classes)
			fmt.Fprintf(c.OutOrStdout(), "%d nodes on http://%s\n", sc.Nodes, l.Addr())
			return s.Serve(c.Context(), l)
		},
	}
	c.Flags().StringVar(&file, "scenario", "", "scenario file (required)")
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "host:port; a free port with 0")
	c.Flags().StringArrayVar(&edges, "edge", nil, "state directory of an edge; with several, datacenters are dealt out to them")
	c.Flags().StringVar(&environments, "environments", "", "directory to deploy the scenario's environments to")
	_ = c.MarkFlagRequired("scenario")
	return c
}

// course are the flags of a rollout that is decided before.
type course struct {
	file, candidate, share string
	length, at, ramp       time.Duration
	end                    string
}

func (o *course) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.file, "scenario", "", "scenario file (required)")
	c.Flags().DurationVar(&o.length, "for", time.Hour, "how much to simulate, beside the scenario's history")
	c.Flags().StringVar(&o.end, "end", "", "when it ends, RFC 3339 (default: now)")
	c.Flags().StringVar(&o.candidate, "candidate", "", "environment that a part of the nodes gets")
	c.Flags().StringVar(&o.share, "admit", "5%", "how many")
	c.Flags().DurationVar(&o.at, "at", 0, "how long after the beginning they are admitted")
	c.Flags().DurationVar(&o.ramp, "ramp", 0, "over how long")
	_ = c.MarkFlagRequired("scenario")
}

// play simulates all of it and returns the fleet, its admission and the range.
func (o *course) play() (s *Sim, a Admission, from, to time.Time, err error) {
	sc, err := Load(o.file)
	if err != nil {
		return nil, a, from, to, err
	}
	to = time.Now().Truncate(time.Second)
	if o.end != "" {
		if to, err = time.Parse(time.RFC3339, o.end); err != nil {
			return nil, a, from, to, fmt.Errorf("--end: %q, expected a time such as 2027-01-31T08:00:00Z", o.end)
		}
	}
	begin := to.Add(-o.length)
	from = begin.Add(-time.Duration(sc.History))
	if need := to.Sub(from) + time.Hour; time.Duration(sc.Retention) < need {
		sc.Retention = model.Duration(need)
	}
	a = Admission{Candidate: o.candidate, At: begin.Add(o.at), Ramp: o.ramp, Salt: o.candidate}
	if err := a.Share.parse(o.share); err != nil {
		return nil, a, from, to, fmt.Errorf("--admit: %w", err)
	}
	if _, known := sc.Environments[o.candidate]; !known && o.candidate != "" {
		return nil, a, from, to, fmt.Errorf("--candidate: environment %q is not in %s", o.candidate, o.file)
	}
	s = New(sc, begin, a.Classifier(sc.Baseline))
	s.Advance(to)
	return s, a, from, to, nil
}

func writeCommand() *cobra.Command {
	var o course
	var reports, assignments string
	c := &cobra.Command{
		Use: "write --scenario FILE --reports FILE", Short: "Write reports as NDJSON, and who is in which cohort as CSV", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, a, from, to, err := o.play()
			if err != nil {
				return err
			}
			n := 0
			if err := toFile(reports, func(w io.Writer) (err error) { n, err = s.WriteReports(w, from, to.Add(time.Hour)); return err }); err != nil {
				return err
			}
			if assignments != "" {
				if err := toFile(assignments, func(w io.Writer) error { return s.WriteAssignments(w, a) }); err != nil {
					return err
				}
			}
			fmt.Fprintf(c.ErrOrStderr(), "%d reports of %d nodes\n", n, s.Size())
			return nil
		},
	}
	o.flags(c)
	c.Flags().StringVar(&reports, "reports", "", "NDJSON file (required)")
	c.Flags().StringVar(&assignments, "assignments", "", "CSV file")
	_ = c.MarkFlagRequired("reports")
	return c
}

func toFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func sendCommand() *cobra.Command {
	var o course
	var address string
	c := &cobra.Command{
		Use: "send --scenario FILE --puppetdb URL", Short: "Store facts and reports in a real PuppetDB", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, _, from, to, err := o.play()
			if err != nil {
				return err
			}
			t := Sender{URL: address}
			if err := t.Facts(c.Context(), s, to); err != nil {
				return err
			}
			n, err := t.Reports(c.Context(), s, from, to.Add(time.Hour))
			fmt.Fprintf(c.ErrOrStderr(), "%d reports of %d nodes sent\n", n, s.Size())
			return err
		},
	}
	o.flags(c)
	c.Flags().StringVar(&address, "puppetdb", "", "http address of PuppetDB, such as http://127.0.0.1:8080 (required)")
	_ = c.MarkFlagRequired("puppetdb")
	return c
}
