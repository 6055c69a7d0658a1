package cli

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/cli/progress"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/intake"
	"github.com/openinfrastructure/sluice/internal/plan"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// adder takes one node of an inventory.
type adder = func(certname, environment string, facts, trusted, enc map[string]any) error

func (p *program) planCommand() *cobra.Command {
	var out format
	var o planning
	var a planAsk
	c := &cobra.Command{
		Use: "plan NAME", Short: "Say who would be in which stage of a rollout, and when", Args: args(cobra.ExactArgs(1)),
		Long: `plan says before a rollout starts who would be in each stage, when it begins and ends, and what it can show. NAME is the rollout's: it
decides which nodes come first. DETECTS is the smallest share of nodes on which the change must fail so that the stop rule sees it with 90 %
probability, BOUND the same for the exact test beside CONTROL nodes that do not fail so; RULES OUT is what is excluded with 95 % confidence when none fails.

With --inventory nothing is asked: the file (- is standard input) is what /pdb/query/v4/inventory returns. Where selectors use enc.*, its rows have an
object "enc" besides, or --enc asks the site's ENC. Without it PuppetDB is asked, with the configuration's certificates, and the ENC if there is one.`,
		Example: `  sluice plan production_8f3c2d1a --schedule careful
  sluice plan production_8f3c2d1a --schedule careful --inventory inventory.json --by facts.datacenter
  sluice plan production_8f3c2d1a --schedule careful --inventory inventory.json --list`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			v, err := p.plan(c, o, args[0], a)
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), v, func(w io.Writer) {
				if a.list {
					renderMembers(w, v)
				} else {
					renderPlan(w, p.lookAt(c.OutOrStdout()), v, a.by)
				}
			})
		},
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&a.schedule, "schedule", "", "name of the schedule (required)")
	f.StringVar(&a.policy, "policy", "default", "name of the analysis policy")
	f.StringVar(&a.track, "track", "", "track of environments (default: the only one)")
	f.StringVar(&a.inventory, "inventory", "", "file with the inventory (default: ask PuppetDB)")
	f.BoolVar(&a.enc, "enc", false, "with --inventory: ask the configuration's ENC about every node")
	f.StringVar(&a.by, "by", "", "attribute by which nodes are counted, such as facts.datacenter")
	f.BoolVar(&a.list, "list", false, "print the certnames of every stage")
	out.flag(c)
	return c
}

// planAsk is what is asked of plan besides the times.
type planAsk struct {
	schedule, policy, track, inventory, by string
	enc, list                              bool
}

func (p *program) plan(c *cobra.Command, o planning, name string, a planAsk) (*plan.Plan, error) {
	if !schedule.ValidName(name) {
		return nil, usage("plan: %q cannot be the name of a rollout", name)
	}
	conf, s, start, err := o.read(a.schedule, p.now())
	if err != nil {
		return nil, err
	}
	policy, ok := conf.Policies[a.policy]
	if !ok {
		return nil, usage("%s has no policy %q", o.file, a.policy)
	}
	if a.track == "" && len(conf.Tracks) == 1 {
		a.track = conf.TrackNames()[0]
	}
	if _, ok := conf.Tracks[a.track]; !ok {
		return nil, usage("plan: --track %q: expected one of %s", a.track, strings.Join(conf.TrackNames(), ", "))
	}
	if a.enc && (conf.ENC == nil || a.inventory == "") {
		return nil, usage("plan: --enc belongs to --inventory, and %s must have enc.command", o.file)
	}
	r := plan.Request{Name: name, Track: a.track, Path: "schedules." + a.schedule, Schedule: s, Segments: conf.SegmentsOf(s), Policy: policy, Policies: conf.PoliciesOf(s),
		Calendar: calendarOf(conf, s, start), Start: start, Run: o.run, By: a.by, List: a.list}
	if a.inventory != "" {
		nodes := func(add adder) error { return readInventory(c.InOrStdin(), a.inventory, add) }
		if a.enc {
			nodes = withENC(c.Context(), *conf.ENC, nodes)
		}
		return plan.Make(r, counted(c.ErrOrStderr(), nodes))
	}
	return planLive(c.Context(), c.ErrOrStderr(), conf, r)
}

func readInventory(stdin io.Reader, file string, add adder) error {
	if file == "-" {
		return plan.ReadInventory(stdin, add)
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := plan.ReadInventory(f, add); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// planLive asks PuppetDB for all active nodes.
func planLive(ctx context.Context, stderr io.Writer, conf *config.Config, r plan.Request) (*plan.Plan, error) {
	pdb, err := intake.Client(conf)
	if err != nil {
		return nil, err
	}
	defer pdb.Close()
	r.Query = func(pql string) (compose.Members, error) {
		found := compose.Members{}
		return found, pdb.PQL(ctx, pql, func(certname string) error { found[certname] = true; return nil })
	}
	nodes := func(add adder) error {
		return pdb.Inventory(ctx, nil, func(n puppetdb.Node) error { return add(n.Certname, n.Environment, n.Facts, n.Trusted, nil) })
	}
	if conf.ENC != nil {
		nodes = withENC(ctx, *conf.ENC, nodes)
	}
	return plan.Make(r, counted(stderr, nodes))
}

// counted shows on a terminal how many nodes have been read.
func counted(stderr io.Writer, nodes func(adder) error) func(adder) error {
	return func(add adder) error {
		bar := progress.New(stderr, "reading inventory", 0)
		defer bar.Done()
		return nodes(func(certname, environment string, facts, trusted, enc map[string]any) error {
			bar.Add(1)
			return add(certname, environment, facts, trusted, enc)
		})
	}
}

func renderPlan(w io.Writer, l *look, v *plan.Plan, by string) {
	fmt.Fprintf(w, "%s: %s nodes, holdback %s, from %s\n\n", v.Rollout, number(v.Nodes), v.Holdback, v.Start.Format(time.RFC3339))
	rows := [][]cell{texts("STAGE", "SEGMENT", "SIZE", "NEW", "TOTAL", "CONTROL", "DETECTS", "BOUND", "RULES OUT", "BEGINS", "ENDS")}
	for _, s := range v.Stages {
		row := texts(s.Stage, fmt.Sprintf("%s (%s)", segmentText(s.Segment), number(s.Of)), s.Size, number(s.New), number(s.Total), number(s.Compared), percentText(s.Detects), percentText(s.Bound), percentText(s.RulesOut))
		rows = append(rows, append(row, passageCells(l, s)...))
	}
	if v.Settling > 0 {
		rows = append(rows, texts("(settling)", "everyone", "100%", number(v.Settling), number(v.Nodes), "0"))
	}
	stacked(w, l, rows, 6, 9)
	if by != "" {
		renderDomains(w, l.painter, v, by)
	}
	renderWarnings(w, l, v.Warnings)
}

func passageCells(l *look, s plan.Stage) []cell {
	if s.Never != "" {
		return []cell{{text: "never: " + s.Never, colour: red}}
	}
	zone, err := time.LoadLocation(s.Zone) // "" is UTC
	if err != nil {
		zone = time.UTC
	}
	begin := s.Expected.Begin.In(zone).Format(l.clock())
	if s.Approval {
		begin += " (approval)"
	}
	return texts(begin, s.Expected.End.In(zone).Format(l.clock()))
}

// percentText writes a share; one that nothing detects as a dash.
func percentText(share float64) string {
	if share >= 1 {
		return "-"
	}
	return fmt.Sprintf("%.2g%%", 100*share)
}

// renderDomains counts the new nodes of every stage by an attribute.
func renderDomains(w io.Writer, p painter, v *plan.Plan, by string) {
	seen := map[string]bool{}
	for _, s := range v.Stages {
		for domain := range s.Domains {
			seen[domain] = true
		}
	}
	domains := slices.Sorted(maps.Keys(seen))
	head := texts("NEW BY " + strings.ToUpper(by))
	for _, d := range domains {
		if d == "" {
			d = "(none)"
		}
		head = append(head, cell{text: safe(d)})
	}
	rows := [][]cell{head}
	for _, s := range v.Stages {
		row := texts(s.Stage)
		for _, d := range domains {
			row = append(row, cell{text: number(s.Domains[d])})
		}
		rows = append(rows, row)
	}
	fmt.Fprintln(w)
	table(w, p, rows)
}

// renderMembers prints a stage and a certname a line.
func renderMembers(w io.Writer, v *plan.Plan) {
	for _, s := range v.Stages {
		for _, c := range s.Certs {
			fmt.Fprintf(w, "%s\t%s\n", s.Stage, safe(c))
		}
	}
	for _, c := range v.Held {
		fmt.Fprintf(w, "(settling)\t%s\n", safe(c))
	}
}
