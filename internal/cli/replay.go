package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/internal/cli/progress"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/intake"
	"github.com/openinfrastructure/sluice/internal/replay"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// replaying is what replay is asked for.
type replaying struct {
	config, policy       string
	reports              []string
	assignments          string
	from, to             string
	candidate, baseline  string
	parameters           bool
	bake, every, lag     time.Duration
	strata               []string
	placebo              int
	share                string
	stderr               io.Writer
	stdin                io.Reader
	assigned             *replay.Assignments
	policyOf             analyzer.Policy
	puppetdbOf           *config.Config
	windowFrom, windowTo time.Time
}

func replayCommand() *cobra.Command {
	var out format
	var o replaying
	c := &cobra.Command{
		Use: "replay --assignments FILE (--reports FILE | --from TIME --to TIME)", Short: "Show recorded history to the judge as if it happened again", Args: args(cobra.NoArgs),
		Long: `replay judges a change of the past: it takes reports in the order in which PuppetDB received them, admits nodes when the assignments say so, looks at every
minute that brought something new, and prints each look that changed anything, the verdict, when it fell, and how many nodes were exposed by then.

--reports is a file with one report a line, JSON in the names of PuppetDB's reports endpoint (- is standard input); several are read together. Without it
PuppetDB is asked, with the configuration's certificates, for what was produced from --from to --to. --assignments is CSV with the columns certname, cohort (canary or
control) and admitted_at (of canaries, RFC 3339); all other columns make strata, or those named by --strata.

With --placebo N the judge sees N random cohorts that had no change, at times spread over the history: how often it fails them is the rate of false
alarms here, before anyone trusts it. Canaries of the assignments, if there are any, take no part.

Reports may come in any order; they count from their receive_time. Duplicates are left out. Nodes in no cohort only show what fails without the change.
The exit code says whether the replay ran, not how the verdict fell.`,
		Example: `  sluice replay --assignments who.csv --reports reports.ndjson --candidate production_8f3c2d1a
  sluice replay --assignments who.csv --from 2027-01-30T00:00:00Z --to 2027-02-01T00:00:00Z --candidate production_8f3c2d1a -o json
  sluice replay --reports reports.ndjson --placebo 200`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			o.stdin, o.stderr = c.InOrStdin(), c.ErrOrStderr()
			v, err := o.run(c.Context())
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), v, func(w io.Writer) { v.render(w) })
		},
	}
	f := c.Flags()
	f.StringVar(&o.config, "config.file", "", "configuration of sluiced, for its policies and PuppetDB (default: the judge's defaults)")
	f.StringVar(&o.policy, "policy", "default", "name of the analysis policy in the configuration")
	f.StringArrayVar(&o.reports, "reports", nil, "NDJSON file with reports; may be repeated (default: ask PuppetDB)")
	f.StringVar(&o.assignments, "assignments", "", "CSV file that says who was in which cohort (required unless --placebo: then all nodes take part)")
	f.StringVar(&o.from, "from", "", "without --reports: from when, RFC 3339")
	f.StringVar(&o.to, "to", "", "without --reports: to when")
	f.StringVar(&o.candidate, "candidate", "", "environment that the canaries got (required unless --parameters or --placebo)")
	f.StringVar(&o.baseline, "baseline", "", "environment that they had before")
	f.BoolVar(&o.parameters, "parameters", false, "a change of parameters: any run since the admission has it")
	f.DurationVar(&o.bake, "bake", time.Hour, "how long the stage bakes before it may pass")
	f.DurationVar(&o.every, "every", time.Minute, "time between two looks")
	f.DurationVar(&o.lag, "lag", time.Minute, "how long a report may be under way")
	f.StringSliceVar(&o.strata, "strata", nil, "columns that make strata (default: all others)")
	f.IntVar(&o.placebo, "placebo", 0, "judge so many random cohorts without a change")
	f.StringVar(&o.share, "share", "5%", "with --placebo: share of the nodes in a cohort")
	out.flag(c)
	return c
}

// replayed is the answer, one of the two.
type replayed struct {
	*replay.Outcome
	*replay.Placebo
}

func (o *replaying) run(ctx context.Context) (*replayed, error) {
	if err := o.prepare(); err != nil {
		return nil, err
	}
	h, err := o.history(ctx)
	if err != nil {
		return nil, err
	}
	if o.assigned == nil {
		o.assigned = h.Everyone()
	}
	opt := replay.Options{Name: "replay", Policy: o.policyOf, Candidate: o.candidate, Baseline: o.baseline, Bake: o.bake, Every: o.every, Lag: o.lag, Strata: o.strata}
	if o.placebo > 0 {
		share, err := shareOf(o.share)
		if err != nil {
			return nil, err
		}
		bar := progress.New(o.stderr, "judging placebos", int64(o.placebo))
		defer bar.Done()
		p, err := replay.Trials(h, o.assigned, opt, o.placebo, share, func() { bar.Add(1) })
		return &replayed{Placebo: p}, wrapReplay(err)
	}
	bar := progress.New(o.stderr, "judging reports", int64(h.Reports()))
	defer bar.Done()
	r, err := replay.Play(h, o.assigned, opt, func(n int) { bar.Add(int64(n)) })
	return &replayed{Outcome: r}, wrapReplay(err)
}

func wrapReplay(err error) error {
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

// prepare checks what was asked for, and reads the small things.
func (o *replaying) prepare() (err error) {
	switch {
	case o.assignments == "" && o.placebo == 0:
		return usage("replay: --assignments is required, unless with --placebo")
	case o.candidate == "" && !o.parameters && o.placebo == 0:
		return usage("replay: --candidate ENVIRONMENT, --parameters or --placebo N is required")
	case o.candidate != "" && o.parameters:
		return usage("replay: --candidate and --parameters exclude each other")
	case o.placebo < 0:
		return usage("replay: --placebo %d: expected at least 1", o.placebo)
	case len(o.reports) > 0 && o.from+o.to != "":
		return usage("replay: --reports and --from, --to exclude each other")
	}
	if len(o.reports) == 0 {
		if o.windowFrom, o.windowTo, err = o.window(); err != nil {
			return err
		}
	}
	o.policyOf = analyzer.DefaultPolicy()
	if o.config != "" {
		conf, err := config.Load(o.config)
		if err != nil {
			return err
		}
		policy, ok := conf.Policies[o.policy]
		if !ok {
			return usage("%s has no policy %q", o.config, o.policy)
		}
		o.policyOf, o.puppetdbOf = policy, conf
		o.policyOf.SLIs = nil // nobody recorded them
	} else if o.policy != "default" {
		return usage("replay: --policy needs --config.file")
	}
	if o.assignments == "" {
		return nil
	}
	f, err := os.Open(o.assignments)
	if err != nil {
		return err
	}
	defer f.Close()
	if o.assigned, err = replay.ReadAssignments(o.assignments, f); err != nil {
		return err
	}
	if o.strata == nil {
		o.strata = o.assigned.Columns
	}
	return nil
}

func (o *replaying) window() (from, to time.Time, err error) {
	if o.from == "" || o.to == "" || o.config == "" {
		return from, to, usage("replay: --reports FILE is required, or --from, --to and --config.file to ask PuppetDB")
	}
	for flag, at := range map[string]*time.Time{o.from: &from, o.to: &to} {
		if *at, err = time.Parse(time.RFC3339, flag); err != nil {
			return from, to, usage("replay: %q: expected a time such as 2027-01-31T08:00:00+01:00", flag)
		}
	}
	if !from.Before(to) {
		return from, to, usage("replay: --from %s --to %s: expected a range", o.from, o.to)
	}
	return from, to, nil
}

func (o *replaying) history(ctx context.Context) (*replay.History, error) {
	h := replay.NewHistory()
	if len(o.reports) == 0 {
		if err := o.ask(ctx, h); err != nil {
			return nil, err
		}
	}
	for _, file := range o.reports {
		if err := o.readReports(h, file); err != nil {
			return nil, err
		}
	}
	if h.Reports() == 0 {
		return nil, fmt.Errorf("replay: no report in %s", strings.Join(append(o.reports, o.from), " "))
	}
	h.Sort()
	return h, nil
}

func (o *replaying) readReports(h *replay.History, file string) error {
	var in io.Reader = o.stdin
	var size int64
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		in = f
	}
	bar := progress.New(o.stderr, "reading "+file, size)
	defer bar.Done()
	return h.ReadReports(file, in, func(n int) { bar.Add(int64(n)) })
}

// ask reads the window from PuppetDB, and of failed runs what tells how they failed.
func (o *replaying) ask(ctx context.Context, h *replay.History) error {
	pdb, err := intake.Client(o.puppetdbOf)
	if err != nil {
		return err
	}
	defer pdb.Close()
	bar := progress.New(o.stderr, "reading PuppetDB", 0)
	defer bar.Done()
	if err := pdb.Reports(ctx, o.windowFrom, o.windowTo, func(r puppetdb.Report) error {
		bar.Add(1)
		h.Add(intake.Run(r))
		return nil
	}); err != nil {
		return err
	}
	found, err := pdb.Details(ctx, h.Failed())
	if err != nil {
		return err
	}
	h.Detail(func(hash string) *analyzer.Detail {
		d, ok := found[hash]
		if !ok {
			return nil
		}
		return intake.Detail(d)
	})
	return nil
}
