package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
)

func (p *program) holdCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "hold", Short: "Keep rollouts from the nodes of a selector, for a while", Args: cobra.ArbitraryArgs,
		Long: `A hold has a selector, an owner, a comment and an end. While it stands, nodes that it matches go no further than they
are: those that have the change keep it, the others do not get it. The rest of each rollout goes on, up to its end, and waits there. When the
hold ends, its nodes come back as every gate allows. A hold that leaves nobody to go on with stops the whole rollout.`,
		Example: `  sluice hold list`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("hold: unknown command %q; expected add, list or expire", args[0])
			}
			return c.Help()
		},
	}
	c.AddCommand(p.holdAddCommand(), p.holdListCommand(), p.holdExpireCommand())
	return c
}

func (p *program) holdAddCommand() *cobra.Command {
	var ask verb.Ask
	c := p.writes(&cobra.Command{
		Use: "add ID SELECTOR", Short: "Add a hold", Args: args(cobra.ExactArgs(2)),
		Long: `add keeps the nodes that SELECTOR matches where they are, in every rollout; {} matches every node. The reason is the hold's comment. Every hold has an end: --until or --for.`,
		Example: `  sluice hold add fra1-network '{enc.datacenter="fra1"}' --for 6h --reason "switch upgrade"
  sluice hold add web-sale '{certname=~"web.*"}' --until 2026-11-30T08:00:00Z --reason "sale"`,
	}, &ask, func(args []string) error { ask.ID, ask.Selector = args[0], args[1]; return nil })
	until(c, &ask)
	return c
}

func (p *program) holdExpireCommand() *cobra.Command {
	var ask verb.Ask
	return p.writes(&cobra.Command{
		Use: "expire ID", Short: "End a hold now", Args: args(cobra.ExactArgs(1)),
		Long:    `expire ends a hold. It stays in the list, with who ended it and why, until its ID is used again.`,
		Example: `  sluice hold expire fra1-network --reason "the switches are back"`,
	}, &ask, func(args []string) error { ask.ID = args[0]; return nil })
}

// holdView is a hold with what it does.
type holdView struct {
	gate.Hold
	State string   `json:"state"`
	Stops []string `json:"stops,omitempty"` // rollouts whose gate it closed when the leader last looked
	// Keeps is how many nodes it keeps from each rollout, the rest of which goes on; 0 where it matches none of them.
	Keeps map[string]int `json:"keeps,omitempty"`
}

func (p *program) holdListCommand() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list", Short: "List holds, and which rollouts they stop", Args: args(cobra.NoArgs),
		Example: `  sluice hold list
  sluice hold list -o json | jq -r '.[] | select(.state == "stands") | .id'`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			snap, _, done, err := p.snapshot(c.Context())
			if err != nil {
				return err
			}
			defer done()
			v := holdsOf(snap, p.now())
			return out.write(c.OutOrStdout(), v, func(w io.Writer) { renderHolds(w, p.painter(c), v) })
		},
	}
	out.flag(c)
	return c
}

func holdsOf(snap *tree.Snapshot, now time.Time) []holdView {
	out := []holdView{}
	for _, h := range snap.Holds {
		v := holdView{Hold: h, State: verb.StateOf(h, now)}
		for i := range snap.Rollouts {
			r := &snap.Rollouts[i]
			if v.State != verb.HoldExpired && !r.State.Phase.Ended() && slices.ContainsFunc(r.Status.Gates, func(g gate.Gate) bool { return !g.Open && g.Source == tree.HoldKey(h.ID) }) {
				v.Stops = append(v.Stops, r.Spec.Name)
			}
			for _, k := range r.Status.Kept {
				if k.Source == gate.CapHold+"/"+h.ID && v.State == verb.HoldStands && !r.State.Phase.Ended() {
					if v.Keeps == nil {
						v.Keeps = map[string]int{}
					}
					v.Keeps[r.Spec.Name] = k.Nodes
				}
			}
		}
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b holdView) int { return strings.Compare(a.ID, b.ID) })
	return out
}

func renderHolds(w io.Writer, p painter, holds []holdView) {
	if len(holds) == 0 {
		fmt.Fprintln(w, "no hold: sluice hold add --help")
		return
	}
	rows := [][]cell{texts("ID", "STATE", "SELECTOR", "UNTIL", "BY", "STOPS", "KEEPS", "COMMENT")}
	for _, h := range holds {
		until, stops, comment := "no end", "-", h.Comment
		if !h.Until.IsZero() {
			until = utc(h.Until)
		}
		if len(h.Stops) > 0 {
			stops = strings.Join(h.Stops, ", ")
		}
		keeps := "-"
		for i, name := range sortedKeys(h.Keeps) {
			text := fmt.Sprintf("%s of %s", plural(h.Keeps[name], "node"), name)
			if h.Keeps[name] == 0 {
				text = "nobody of " + name
			}
			if keeps += ", " + text; i == 0 {
				keeps = text
			}
		}
		switch {
		case h.State == verb.HoldUnreadable:
			comment = "cannot be read, so it holds everything: " + h.Err
		case h.Ended != "":
			comment += " (ended " + h.Ended + ")"
		}
		rows = append(rows, texts(h.ID, h.State, orUnknown(safe(h.Selector)), until, orUnknown(safe(h.By)), safe(stops), safe(keeps), shorten(safe(comment), 100)))
	}
	table(w, p, rows)
}
