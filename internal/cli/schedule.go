package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/plan"
	"github.com/openinfrastructure/sluice/internal/words"
)

// planning is what plan and schedule show have in common.
type planning struct {
	file, start string
	run         time.Duration
}

func (o *planning) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.file, "config.file", "/etc/sluice/sluiced.yml", "configuration of sluiced")
	f.StringVar(&o.start, "start", "", "when the rollout starts, such as 2027-01-31T08:00:00+01:00 (default: now)")
	f.DurationVar(&o.run, "run-interval", 30*time.Minute, "time between two Puppet runs of a node")
}

// read loads the configuration and finds a schedule in it.
func (o *planning) read(name string, now time.Time) (*config.Config, schedule.Schedule, time.Time, error) {
	start := now
	if o.start != "" {
		var err error
		if start, err = time.Parse(time.RFC3339, o.start); err != nil {
			return nil, schedule.Schedule{}, start, usage("--start %q: expected a time such as 2027-01-31T08:00:00+01:00", o.start)
		}
	}
	if o.run <= 0 {
		return nil, schedule.Schedule{}, start, usage("--run-interval %s: expected more than 0", o.run)
	}
	c, err := config.Load(o.file)
	if err != nil {
		return nil, schedule.Schedule{}, start, err
	}
	s, ok := c.Schedules[name]
	if !ok {
		return nil, s, start, usage("%s has no schedule %q; expected one of %s", o.file, name, strings.Join(c.ScheduleNames(), ", "))
	}
	return c, s, start, nil
}

// calendarOf is when the stages of a schedule may move.
func calendarOf(c *config.Config, s schedule.Schedule, start time.Time) schedule.Calendar {
	return schedule.Calendar{Windows: c.WindowsOf(s), Freezes: c.ReadFreezes(start)}
}

// scheduleView is what schedule show shows.
type scheduleView struct {
	Name     string             `json:"name"`
	Start    time.Time          `json:"start"`
	Nodes    int                `json:"nodes"` // that the times take every segment to have
	Schedule schedule.Schedule  `json:"schedule"`
	Times    []schedule.Times   `json:"times"`
	Freezes  []schedule.Freeze  `json:"freezes,omitempty"`
	Warnings []schedule.Warning `json:"warnings"`
}

func (p *program) scheduleCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "schedule", Short: "Look at schedules", Args: cobra.ArbitraryArgs,
		Example: `  sluice schedule show careful`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("schedule: unknown command %q; expected show", args[0])
			}
			return c.Help()
		},
	}
	c.AddCommand(p.scheduleShowCommand())
	return c
}

func (p *program) scheduleShowCommand() *cobra.Command {
	var out format
	var o planning
	var nodes int
	c := &cobra.Command{
		Use: "show SCHEDULE", Short: "Print the stages of a schedule and their calendar", Args: args(cobra.ExactArgs(1)),
		Long: `show prints the stages to which a schedule of the configuration expands, and when each of them begins and ends. The earliest times
leave only windows, freezes and bakes; the expected ones also what ramps, the edges' default speed limit and Puppet runs take, with every segment as
large as --nodes. Approvals are taken to be given at once. Real numbers come from: sluice plan`,
		Example: `  sluice schedule show careful --start 2027-01-29T08:00:00+01:00
  sluice schedule show careful -o json | jq -r '.times[-1].expected.end'`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			if nodes < 1 {
				return usage("--nodes %d: expected at least 1", nodes)
			}
			conf, s, start, err := o.read(args[0], p.now())
			if err != nil {
				return err
			}
			v := showSchedule(conf, args[0], s, start, o.run, nodes)
			return out.write(c.OutOrStdout(), v, func(w io.Writer) { renderSchedule(w, p.lookAt(c.OutOrStdout()), v) })
		},
	}
	o.flags(c)
	c.Flags().IntVar(&nodes, "nodes", 1000, "nodes that every segment is taken to have")
	out.flag(c)
	return c
}

func showSchedule(c *config.Config, name string, s schedule.Schedule, start time.Time, run time.Duration, nodes int) scheduleView {
	calendar := calendarOf(c, s, start)
	had := map[string]int{}
	pace := make([]schedule.Pace, len(s.Stages))
	for i, stage := range s.Stages {
		fresh := max(0, stage.Of(nodes)-had[stage.Segment])
		had[stage.Segment] += fresh
		pace[i] = plan.PaceOf(stage, fresh, nodes, nodes)
	}
	v := scheduleView{Name: name, Start: start, Nodes: nodes, Schedule: s, Times: s.Timeline(calendar, start, run, pace), Freezes: calendar.Freezes,
		Warnings: append([]schedule.Warning{}, s.Lint("schedules."+name, calendar.Windows, start)...)}
	v.Warnings = append(v.Warnings, s.LintPace("schedules."+name)...)
	return v
}

func renderSchedule(w io.Writer, l *look, v scheduleView) {
	fmt.Fprintf(w, "Schedule %s from %s, with %s nodes in every segment\n\n", v.Name, v.Start.Format(time.RFC3339), number(v.Nodes))
	rows := [][]cell{texts("STAGE", "SEGMENT", "SIZE", "RAMP", "BAKE", "NEEDS", "EARLIEST", "EXPECTED", "ENDS")}
	for i, s := range v.Schedule.Stages {
		t := v.Times[i]
		row := texts(s.Name, segmentText(s.Segment), plan.SizeOf(s), s.Ramp.InFlight.String(), fmt.Sprintf("%s, %s", s.Bake.Time, words.Count(s.Bake.Runs, "run")), needsText(s))
		rows = append(rows, append(row, timeCells(l, t, s)...))
	}
	stacked(w, l, rows, 6)
	for _, f := range v.Freezes {
		if f.Err != "" {
			fmt.Fprintf(w, "\n%s\n", l.paint(red, safe(fmt.Sprintf("freeze %s cannot be read, so nothing goes forward: %s", f.Name, f.Err))))
		}
	}
	renderWarnings(w, l, v.Warnings)
}

func segmentText(name string) string {
	if name == "" {
		return "everyone"
	}
	return name
}

// needsText is what a stage waits for besides its bake.
func needsText(s schedule.Stage) string {
	needs := []string{s.Pass}
	if s.Approval {
		needs = append(needs, "approval")
	}
	if s.Policy != "" {
		needs = append(needs, "policy "+s.Policy)
	}
	if s.Coverage != nil {
		needs = append(needs, "coverage "+s.Coverage.String())
	}
	if s.MinNodes > 0 {
		needs = append(needs, words.Count(s.MinNodes, "node"))
	}
	if len(s.Windows) > 0 {
		needs = append(needs, strings.Join(s.Windows, "|"))
	}
	return strings.Join(needs, ", ")
}

// timeCells are the beginning at the earliest, and beginning and end as expected, on the wall clock of the stage.
func timeCells(l *look, t schedule.Times, s schedule.Stage) []cell {
	if t.Never != "" {
		return []cell{{text: "never: " + t.Never, colour: red}}
	}
	zone := time.UTC
	if s.TimeZone != nil && s.TimeZone.Location != nil {
		zone = s.TimeZone.Location
	}
	clock := func(at time.Time) string { return at.In(zone).Format(l.clock()) }
	return texts(clock(t.Earliest.Begin), clock(t.Expected.Begin), clock(t.Expected.End))
}

func renderWarnings(w io.Writer, l *look, warnings []schedule.Warning) {
	if len(warnings) > 0 {
		fmt.Fprintln(w)
	}
	const sign = "Warning:"
	for _, one := range warnings {
		text := safe(one.Text)
		if l.width > 0 {
			text = strings.Join(fold(text, max(leastSegment, l.width-len(sign)-1)), "\n"+strings.Repeat(" ", len(sign)+1))
		}
		fmt.Fprintf(w, "%s %s\n", l.paint(yellow, sign), text)
	}
}
