package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/intake"
	"github.com/openinfrastructure/sluice/internal/siteenc"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/why"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments/compose"
)

// whySources is where why learns what selectors look at.
type whySources struct{ config, inventory string }

func (p *program) whyCommand() *cobra.Command {
	var out format
	var track string
	var from whySources
	c := &cobra.Command{
		Use: "why CERTNAME", Short: "Say what a node gets, why, and when it is next", Args: args(cobra.ExactArgs(1)),
		Long: `why asks the published document, with the function that the puppetservers ask, and lists the segments and stages that the node
is in, what people have said about it, and when each rollout comes to it. Which track a node is on is the site's own ENC's to say, so the
track is assumed here. On a puppetserver, "sluice-enc explain CERTNAME" knows it, and what that server's speed limit lets through.

The store knows nodes by name only. Give --config.file to ask PuppetDB and the ENC of the site about the node, or --inventory, where a
stage to come has a segment that looks at facts or ENC data.`,
		Example: `  sluice why web1.example.com
  sluice why web1.example.com --config.file /etc/sluice/sluiced.yml
  sluice why web1.example.com --track production -o yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			s, done, err := p.connect()
			if err != nil {
				return err
			}
			defer done()
			if r, ok := s.(*remote); ok && from == (whySources{}) {
				v, err := r.why(c.Context(), args[0], track)
				if err != nil {
					return err
				}
				return out.write(c.OutOrStdout(), v, func(w io.Writer) { renderWhy(w, p.lookAt(c.OutOrStdout()), v, p.now()) })
			}
			snap, err := tree.Read(c.Context(), s)
			if err != nil {
				return err
			}
			ask := why.Ask{Certname: args[0], Track: track, Now: p.now(), Member: fetched(c.Context(), s)}
			closed, err := from.read(c.Context(), c.InOrStdin(), &ask)
			if err != nil {
				return err
			}
			defer closed()
			v, err := why.Of(snap, ask)
			if err != nil {
				return err
			}
			return out.write(c.OutOrStdout(), v, func(w io.Writer) { renderWhy(w, p.lookAt(c.OutOrStdout()), v, ask.Now) })
		},
	}
	out.flag(c)
	f := c.Flags()
	f.StringVar(&track, "track", "", "the track the node is on (default: every track)")
	f.StringVar(&from.config, "config.file", "", "configuration of sluiced: its segments, and PuppetDB and ENC to ask about the node")
	f.StringVar(&from.inventory, "inventory", "", "file with the node in it, as PuppetDB's inventory returns it; - is standard input")
	return c
}

// read puts what is known of the node into the question. What it opened may be asked until it is closed.
func (o whySources) read(ctx context.Context, stdin io.Reader, ask *why.Ask) (closed func(), err error) {
	closed = func() {}
	var conf *config.Config
	if o.config != "" {
		if conf, err = config.Load(o.config); err != nil {
			return nil, err
		}
		ask.Segments = conf.AllSegments()
	}
	switch {
	case o.inventory != "":
		return closed, o.readFile(stdin, ask)
	case conf == nil:
		return closed, nil
	}
	pdb, err := intake.Client(conf)
	if err != nil {
		return nil, err
	}
	if err := askLive(ctx, conf, pdb, ask); err != nil {
		pdb.Close()
		return nil, err
	}
	return pdb.Close, nil
}

func (o whySources) readFile(stdin io.Reader, ask *why.Ask) error {
	err := readInventory(stdin, o.inventory, func(certname, _ string, facts, trusted, enc map[string]any) error {
		if certname == ask.Certname {
			ask.Attributes = why.Inventory(certname, facts, trusted, enc)
		}
		return nil
	})
	if err == nil && ask.Attributes == nil {
		err = fmt.Errorf("%s: node %s is not in it", o.inventory, ask.Certname)
	}
	return err
}

// askLive asks PuppetDB and the site's ENC about the one node.
func askLive(ctx context.Context, conf *config.Config, pdb *puppetdb.Client, ask *why.Ask) (err error) {
	var found *puppetdb.Node
	if err := pdb.Inventory(ctx, []any{"=", "certname", ask.Certname}, func(n puppetdb.Node) error { found = &n; return nil }); err != nil {
		return err
	}
	if found == nil {
		return fmt.Errorf("node %s is not in PuppetDB's inventory: it has never run, or it is deactivated or expired", ask.Certname)
	}
	var enc map[string]any
	if conf.ENC != nil {
		if enc, err = siteenc.Ask(ctx, *conf.ENC, ask.Certname); err != nil {
			return fmt.Errorf("what enc.* means is not known: %w", err)
		}
	}
	ask.Attributes = why.Inventory(found.Certname, found.Facts, found.Trusted, enc)
	ask.Attributes.Query = func(pql string) (compose.Members, error) {
		members := compose.Members{}
		return members, pdb.PQL(ctx, pql, func(certname string) error { members[certname] = true; return nil })
	}
	return nil
}

// fetched looks nodes up in sets in the store, and reads no more of them than it takes.
func fetched(ctx context.Context, s store.Store) func(digest string, count int, print string) (bool, error) {
	return func(digest string, count int, print string) (bool, error) {
		if count == 0 {
			return false, errors.New("set " + digest + " is not in the published document")
		}
		return edge.FetchMember(ctx, s, digest, count, print)
	}
}

func renderWhy(w io.Writer, l *look, v why.View, now time.Time) {
	fmt.Fprintf(w, "%s, by the published document (generation %d)\n", safe(v.Certname), v.Generation)
	if v.Absent != "" {
		paragraph(w, l, 2, safe(v.Absent))
	}
	for _, pin := range v.Pins {
		fmt.Fprintf(w, "  pinned to %s%s\n", pin.To, map[bool]string{true: " for " + pin.Rollout}[pin.Rollout != ""])
	}
	renderWhySegments(w, l, "segments of the configuration", v.Segments)
	for _, t := range v.Tracks {
		fmt.Fprintln(w)
		paragraph(w, l, 0, fmt.Sprintf("track %s (assumed: %s)", t.Track, t.Assumed))
		fmt.Fprintf(w, "  environment %s\n", t.Environment)
		for _, name := range sortedKeys(t.Parameters) {
			fmt.Fprintf(w, "  parameter %s = %v\n", safe(name), t.Parameters[name])
		}
		if len(t.Rollouts) == 0 {
			fmt.Fprintln(w, "  no rollout is published on it")
		}
		for _, r := range t.Rollouts {
			renderWhyRollout(w, l, r)
		}
	}
	fmt.Fprintln(w, "\nedges, as they last reported")
	if len(v.Edges) == 0 {
		fmt.Fprintln(w, "  none has ever reported")
	}
	for _, e := range v.Edges {
		paragraph(w, l, 2, safe(edgeLine(e, now)))
	}
}

func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + value
}

// holdsText marks an answer.
func holdsText(a why.Answer) (string, colour) {
	switch a {
	case why.Yes:
		return "✔ yes", green
	case why.No:
		return "• no", faint
	}
	return "? not known", yellow
}

func renderWhySegments(w io.Writer, l *look, title string, all []why.Segment) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "    %s\n", title)
	var rows [][]cell
	for _, s := range all {
		text, c := holdsText(s.Holds)
		rows = append(rows, []cell{{text: "      " + s.Name}, {text, c}, {text: safe(s.Why)}})
	}
	tableFolded(w, l, rows)
}

// closedGate is a gate in a line: why it is closed.
func closedGate(g gate.Gate) string { return g.Name + ": " + g.Reason }
