package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments/selector"
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
	var until, lasts string
	c := p.writes(&cobra.Command{
		Use: "add ID SELECTOR", Short: "Add a hold", Args: args(cobra.ExactArgs(2)),
		Long: `add keeps the nodes that SELECTOR matches where they are, in every rollout; {} matches every node. The reason is the hold's comment. Every hold has an end: --until or --for.`,
		Example: `  sluice hold add fra1-network '{enc.datacenter="fra1"}' --for 6h --reason "switch upgrade"
  sluice hold add web-sale '{certname=~"web.*"}' --until 2026-11-30T08:00:00Z --reason "sale"`,
	}, true, func(w *writing, args []string) error {
		h := gate.Hold{ID: args[0], Selector: args[1], By: oneLine(w.who), Comment: w.reason}
		if err := checkHold(h.ID); err != nil {
			return err
		}
		if _, err := selector.Parse(h.Selector); err != nil {
			return usage("hold add: %v", err)
		}
		var err error
		if h.Until, err = endOf("hold", until, lasts, w.p.now()); err != nil {
			return err
		}
		version, err := w.vacant(h.ID)
		if err != nil {
			return err
		}
		if err := w.putHold(h, version); err != nil {
			return err
		}
		w.say("hold %s stands until %s (in %s): nodes of %s go no further; the rest of each rollout goes on.", h.ID, utc(h.Until), age(h.Until.Sub(w.p.now())), h.Selector)
		w.say("Nodes that are admitted already keep the change. Whom it keeps, or that it matches nobody: sluice hold list")
		w.say("To end it: sluice hold expire %s --reason ...", h.ID)
		return nil
	})
	c.Flags().StringVar(&until, "until", "", "when it ends, such as 2026-01-31T08:00:00Z")
	c.Flags().StringVar(&lasts, "for", "", "how long it lasts, such as 90m, 6h, 2d or 1w")
	return c
}

func checkHold(id string) error {
	if !schedule.ValidName(id) {
		return usage("hold: %q is no ID of a hold (lower-case letters, digits, - and _)", id)
	}
	return nil
}

// endOf reads the one of two flags that is given. The end is a time in both cases, so that the leader needs no memory of
// when it saw the hold first.
func endOf(what, until, lasts string, now time.Time) (time.Time, error) {
	verbs := map[string]string{"hold": "hold add", "pin": "pin"}
	if (until == "") == (lasts == "") {
		return time.Time{}, usage("%s: a %s needs an end: give --until TIME or --for DURATION, one of them", verbs[what], what)
	}
	if until != "" {
		t, err := time.Parse(time.RFC3339, until)
		switch {
		case err != nil:
			return t, usage("%s: --until %q is no time (expected 2026-01-31T08:00:00Z)", verbs[what], until)
		case !t.After(now):
			return t, usage("%s: --until %s is over: it is %s now", verbs[what], until, utc(now))
		}
		return t.UTC(), nil
	}
	d := flags.ReadDelay(lasts)
	if strings.ContainsAny(lasts, " \t\n") || d.Endless || d.For <= 0 {
		return time.Time{}, usage("%s: --for %q is no duration (expected 90m, 6h, 2d or 1w)", verbs[what], lasts)
	}
	return now.Add(d.For).UTC().Truncate(time.Second), nil
}

// vacant gives the version of the key under which a hold may be written: there is none, or one that has ended. Where
// the store cannot be read as a whole, only a new key is safe.
func (w *writing) vacant(id string) (uint64, error) {
	if w.snap == nil {
		return 0, nil
	}
	for _, h := range w.snap.Holds {
		if h.ID == id && stateOfHold(h, w.p.now()) != holdExpired {
			return 0, refused("hold %s exists, of %s: give this one another ID, or end that one with sluice hold expire %s", id, orUnknown(h.By), id)
		}
	}
	return w.snap.Versions[tree.HoldKey(id)], nil
}

func (w *writing) putHold(h gate.Hold, version uint64) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return w.set(store.CAS(tree.HoldKey(h.ID), data, version))
}

func (p *program) holdExpireCommand() *cobra.Command {
	return p.writes(&cobra.Command{
		Use: "expire ID", Short: "End a hold now", Args: args(cobra.ExactArgs(1)),
		Long:    `expire ends a hold. It stays in the list, with who ended it and why, until its ID is used again.`,
		Example: `  sluice hold expire fra1-network --reason "the switches are back"`,
	}, false, func(w *writing, args []string) error {
		id := args[0]
		if err := checkHold(id); err != nil {
			return err
		}
		i := slices.IndexFunc(w.snap.Holds, func(h gate.Hold) bool { return h.ID == id })
		if i < 0 {
			return fmt.Errorf("there is no hold %s; see: sluice hold list", id)
		}
		h, now := w.snap.Holds[i], w.p.now()
		if stateOfHold(h, now) == holdExpired {
			return refused("hold %s ended at %s", id, utc(h.Until))
		}
		h.Until, h.Err = now.UTC().Truncate(time.Second), ""
		h.Ended = "by " + oneLine(w.who) + ": " + w.reason
		if err := w.putHold(h, w.snap.Versions[tree.HoldKey(id)]); err != nil {
			return err
		}
		w.say("hold %s has ended: its nodes come back when every gate of their rollout is open.", id)
		return nil
	})
}

// What a hold does now.
const (
	holdStands     = "stands"
	holdExpired    = "expired"
	holdUnreadable = "unreadable"
)

func stateOfHold(h gate.Hold, now time.Time) string {
	_, err := selector.Parse(h.Selector)
	switch {
	case h.Err == "" && !h.Until.IsZero() && !now.Before(h.Until):
		return holdExpired
	case h.Err != "" || err != nil:
		return holdUnreadable
	}
	return holdStands
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
		v := holdView{Hold: h, State: stateOfHold(h, now)}
		for i := range snap.Rollouts {
			r := &snap.Rollouts[i]
			if v.State != holdExpired && !r.State.Phase.Ended() && slices.ContainsFunc(r.Status.Gates, func(g gate.Gate) bool { return !g.Open && g.Source == tree.HoldKey(h.ID) }) {
				v.Stops = append(v.Stops, r.Spec.Name)
			}
			for _, k := range r.Status.Kept {
				if k.Source == gate.CapHold+"/"+h.ID && v.State == holdStands && !r.State.Phase.Ended() {
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
		case h.State == holdUnreadable:
			comment = "cannot be read, so it holds everything: " + h.Err
		case h.Ended != "":
			comment += " (ended " + h.Ended + ")"
		}
		rows = append(rows, texts(h.ID, h.State, orUnknown(safe(h.Selector)), until, orUnknown(safe(h.By)), safe(stops), safe(keeps), shorten(safe(comment), 100)))
	}
	table(w, p, rows)
}

func orUnknown(s string) string {
	if s == "" {
		return "?"
	}
	return s
}
