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
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/plan"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// adder takes one node of an inventory.
type adder = func(certname, environment string, facts, trusted, enc map[string]any) error

func (p *program) planCommand() *cobra.Command {
	var out format
	var o planning
	var schedule, policy, inventory, by string
	var list bool
	c := &cobra.Command{
		Use: "plan NAME", Short: "Say who would be in which stage of a rollout, and when", Args: args(cobra.ExactArgs(1)),
		Long: `plan says before a rollout starts who would be in each stage, when it begins and ends, and what it can show. NAME is the rollout's: it
decides which nodes come first. DETECTS is the smallest share of nodes on which the change must fail so that the stop rule sees it with 90 %
probability; RULES OUT is what is excluded with 95 % confidence when none fails.

With --inventory nothing is asked: the file (- is standard input) is what /pdb/query/v4/inventory returns, of the nodes on the track. Where selectors use
enc.*, its rows have an object "enc" besides. Without it PuppetDB is asked, with the configuration's certificates.`,
		Example: `  sluice plan production_8f3c2d1a --schedule careful
  sluice plan production_8f3c2d1a --schedule careful --inventory inventory.json --by facts.datacenter
  sluice plan production_8f3c2d1a --schedule careful --inventory inventory.json --list`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			v, err := p.plan(c, o, args[0], schedule, policy, inventory, by, list)
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), v, func(w io.Writer) {
				if list {
					renderMembers(w, v)
				} else {
					renderPlan(w, p.painter(c), v, by)
				}
			})
		},
	}
	o.flags(c)
	f := c.Flags()
	f.StringVar(&schedule, "schedule", "", "name of the schedule (required)")
	f.StringVar(&policy, "policy", "default", "name of the analysis policy")
	f.StringVar(&inventory, "inventory", "", "file with the inventory (default: ask PuppetDB)")
	f.StringVar(&by, "by", "", "attribute by which nodes are counted, such as facts.datacenter")
	f.BoolVar(&list, "list", false, "print the certnames of every stage")
	out.flag(c)
	return c
}

func (p *program) plan(c *cobra.Command, o planning, name, scheduleName, policyName, inventory, by string, list bool) (*plan.Plan, error) {
	if !schedule.ValidName(name) {
		return nil, usage("plan: %q cannot be the name of a rollout", name)
	}
	conf, s, start, err := o.read(scheduleName, p.now())
	if err != nil {
		return nil, err
	}
	policy, ok := conf.Policies[policyName]
	if !ok {
		return nil, usage("%s has no policy %q", o.file, policyName)
	}
	r := plan.Request{Name: name, Path: "schedules." + scheduleName, Schedule: s, Segments: conf.SegmentsOf(s), Policy: policy, Policies: conf.PoliciesOf(s),
		Calendar: calendarOf(conf, s, start), Start: start, Run: o.run, By: by, List: list}
	if inventory != "" {
		return plan.Make(r, func(add adder) error { return readInventory(c.InOrStdin(), inventory, add) })
	}
	return planLive(c.Context(), conf, r)
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
func planLive(ctx context.Context, conf *config.Config, r plan.Request) (*plan.Plan, error) {
	cfg := puppetdb.Config{URL: conf.PuppetDB.URL, CAFile: conf.PuppetDB.CA, CertFile: conf.PuppetDB.Cert, KeyFile: conf.PuppetDB.Key}
	if conf.PuppetDB.TokenFile != "" {
		token, err := config.ReadToken(conf.PuppetDB.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("puppetdb.token_file: %w", err)
		}
		cfg.Token = token
	}
	pdb, err := puppetdb.New(cfg)
	if err != nil {
		return nil, err
	}
	defer pdb.Close()
	r.Query = func(pql string) (compose.Members, error) {
		found := compose.Members{}
		return found, pdb.PQL(ctx, pql, func(certname string) error { found[certname] = true; return nil })
	}
	return plan.Make(r, func(add adder) error {
		return pdb.Inventory(ctx, nil, func(n puppetdb.Node) error { return add(n.Certname, n.Environment, n.Facts, n.Trusted, nil) })
	})
}

func renderPlan(w io.Writer, p painter, v *plan.Plan, by string) {
	fmt.Fprintf(w, "%s: %s nodes, holdback %s, from %s\n\n", v.Rollout, number(v.Nodes), v.Holdback, v.Start.Format(time.RFC3339))
	rows := [][]cell{texts("STAGE", "SEGMENT", "SIZE", "NEW", "TOTAL", "CONTROL", "DETECTS", "RULES OUT", "BEGINS", "ENDS")}
	for _, s := range v.Stages {
		row := texts(s.Stage, fmt.Sprintf("%s (%s)", segmentText(s.Segment), number(s.Of)), s.Size, number(s.New), number(s.Total), number(s.Control), percentText(s.Detects), percentText(s.RulesOut))
		rows = append(rows, append(row, passageCells(s)...))
	}
	if v.Settling > 0 {
		rows = append(rows, texts("(settling)", "everyone", "100%", number(v.Settling), number(v.Nodes), "0"))
	}
	table(w, p, rows)
	if by != "" {
		renderDomains(w, p, v, by)
	}
	renderWarnings(w, p, v.Warnings)
}

func passageCells(s plan.Stage) []cell {
	if s.Never != "" {
		return []cell{{text: "never: " + s.Never, colour: red}}
	}
	zone, err := time.LoadLocation(s.Zone) // "" is UTC
	if err != nil {
		zone = time.UTC
	}
	begin := s.Expected.Begin.In(zone).Format("Mon 2006-01-02 15:04 MST")
	if s.Approval {
		begin += " (approval)"
	}
	return texts(begin, s.Expected.End.In(zone).Format("Mon 2006-01-02 15:04 MST"))
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
