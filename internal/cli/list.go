package cli

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/tree"
)

// listView is what list shows.
type listView struct {
	Rollouts []rolloutView `json:"rollouts"` // the newest first
	Damaged  []string      `json:"damaged,omitempty"`
	Requests []requestView `json:"requests,omitempty"` // not taken up yet, or refused
}

// requestView is a request to the leader.
type requestView struct {
	ID string `json:"id"`
	tree.Request
}

func (p *program) listCommand() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "list", Short: "List all rollouts", Aliases: []string{"ls"}, Args: args(cobra.NoArgs),
		Example: `  sluice list
  sluice list -o json | jq -r '.rollouts[] | select(.status == "Held") | .name'`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			snap, _, done, err := p.snapshot(c.Context())
			if err != nil {
				return err
			}
			defer done()
			now := p.now()
			v := listOf(snap, now)
			return out.write(c.OutOrStdout(), v, func(w io.Writer) { renderList(w, p.painter(c), v, now) })
		},
	}
	out.flag(c)
	return c
}

func (p *program) painter(c *cobra.Command) painter { return p.lookAt(c.OutOrStdout()).painter }

func listOf(snap *tree.Snapshot, now time.Time) listView {
	v := listView{Rollouts: []rolloutView{}, Damaged: snap.Damaged}
	for i := range snap.Rollouts {
		v.Rollouts = append(v.Rollouts, viewOf(snap, &snap.Rollouts[i], now))
	}
	slices.Reverse(v.Rollouts)
	for id, r := range snap.Requests {
		v.Requests = append(v.Requests, requestView{ID: id, Request: r})
	}
	slices.SortFunc(v.Requests, func(a, b requestView) int { return a.At.Compare(b.At) })
	return v
}

func renderList(w io.Writer, p painter, v listView, now time.Time) {
	rows := [][]cell{texts("NAME", "TRACK", "PHASE", "STAGE", "NODES", "AGE", "WHY")}
	for _, r := range v.Rollouts {
		sign, c := icon(r.Status)
		nodes := r.share() + "/?"
		if r.Nodes > 0 {
			nodes = r.share() + "/" + number(r.Nodes)
		}
		rows = append(rows, []cell{{text: r.Name}, {text: r.Track}, {sign + " " + r.Status, c}, {text: r.stageText()},
			{text: nodes}, {text: since(r.Created, now)}, {text: shorten(safe(r.Why), 100)}})
	}
	for _, r := range v.Requests {
		if r.Kind == tree.RequestStart && r.Start != nil {
			status, why := "requested", "waits for a leader"
			if r.Refused != "" {
				status, why = "refused", r.Refused
			}
			sign, c := icon(status)
			rows = append(rows, []cell{{text: safe(r.Rollout)}, {text: safe(r.Start.Track)}, {sign + " " + status, c}, {text: "-"}, {text: "-"},
				{text: since(r.At, now)}, {text: shorten(safe(why), 100)}})
		}
	}
	if len(rows) == 1 {
		fmt.Fprintln(w, "no rollout yet: sluice start --help")
	} else {
		table(w, p, rows)
	}
	renderRequests(w, p, v.Requests, now)
	for _, d := range v.Damaged {
		fmt.Fprintln(w, p.paint(red, "damaged: "+safe(d)))
	}
}

// renderRequests names the requests that are no rollout in the making.
func renderRequests(w io.Writer, p painter, requests []requestView, now time.Time) {
	for _, r := range requests {
		switch {
		case r.Kind == tree.RequestStart && r.Start != nil:
		case r.Refused != "":
			fmt.Fprintln(w, p.paint(red, safe(fmt.Sprintf("request %s was refused: %s", r.ID, r.Refused))))
		default:
			fmt.Fprintln(w, safe(fmt.Sprintf("request %s of %s waits for a leader, %s", r.ID, r.By, since(r.At, now))))
		}
	}
}
