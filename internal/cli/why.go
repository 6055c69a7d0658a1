package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/verb"
	"github.com/openinfrastructure/sluice/internal/words"
	"github.com/openinfrastructure/sluice/segments"
)

// whyView is what why shows: the published answer for one node.
type whyView struct {
	Certname   string         `json:"certname"`
	Generation uint64         `json:"generation"`
	Tracks     []whyTrack     `json:"tracks"`
	Pins       []segments.Pin `json:"pins,omitempty"`
	Edges      []edge.Status  `json:"edges"`
}

// whyTrack is the answer on one track. Whether the node is on it, the site's ENC knows.
type whyTrack struct {
	Track       string         `json:"track"`
	Assumed     string         `json:"assumed"` // on what ground
	Environment string         `json:"environment"`
	Parameters  map[string]any `json:"parameters,omitempty"`
	Rollouts    []whyRollout   `json:"rollouts"`
}

// whyRollout says whether one rollout admits the node.
type whyRollout struct {
	Name     string             `json:"name"`
	Admitted bool               `json:"admitted"`
	Reason   segments.Reason    `json:"reason"`
	Position string             `json:"position"`
	Limit    segments.Threshold `json:"limit"`
	Stage    string             `json:"stage,omitempty"`
	Cap      string             `json:"cap,omitempty"`
}

func (p *program) whyCommand() *cobra.Command {
	var out format
	var track string
	c := &cobra.Command{
		Use: "why CERTNAME", Short: "Say which environment a node gets, and why", Args: args(cobra.ExactArgs(1)),
		Long: `why asks the published document, with the function that the puppetservers ask. Which track a node is on is
the site's own ENC's to say, so the track is assumed here. On a puppetserver, "sluice-enc explain CERTNAME" knows
it, and what that server's speed limit lets through.`,
		Example: `  sluice why web1.example.com
  sluice why web1.example.com --track production -o yaml`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			snap, s, done, err := p.snapshot(c.Context())
			if err != nil {
				return err
			}
			defer done()
			v, err := whyOf(c.Context(), s, snap, track, args[0])
			if err != nil {
				return err
			}
			now := p.now()
			return out.write(c.OutOrStdout(), v, func(w io.Writer) { renderWhy(w, p.painter(c), v, now) })
		},
	}
	out.flag(c)
	c.Flags().StringVar(&track, "track", "", "the track the node is on (default: every track)")
	return c
}

func whyOf(ctx context.Context, s store.Store, snap *tree.Snapshot, track, certname string) (whyView, error) {
	doc := &snap.Document
	v := whyView{Certname: certname, Generation: doc.Generation, Edges: snap.Edges, Tracks: []whyTrack{}}
	if v.Edges == nil {
		v.Edges = []edge.Status{}
	}
	if doc.Generation == 0 {
		return v, fmt.Errorf("the published document cannot be read: %s", some(snap.Damaged, len(snap.Damaged)))
	}
	if track != "" && doc.Track(track) == nil {
		return v, fmt.Errorf("no track %q in the published document%s", track, words.DidYouMean(trackNames(snap)))
	}
	stops := segments.Stops{BackedOut: map[string]bool{}}
	for name := range verb.Stops(snap).BackOut {
		stops.BackedOut[name] = true
	}
	for _, p := range doc.Pins {
		if p.Certname == certname {
			v.Pins = append(v.Pins, p)
		}
	}
	members := fetched(ctx, s, doc)
	for _, t := range doc.Tracks {
		if track != "" && t.Name != track {
			continue
		}
		answer, err := whyOn(doc, stops, t, certname, members)
		if err != nil {
			return v, err
		}
		if track != "" {
			answer.Assumed = "as asked"
		}
		v.Tracks = append(v.Tracks, answer)
	}
	return v, nil
}

func whyOn(doc *segments.Document, stops segments.Stops, t segments.Track, certname string, members segments.Members) (whyTrack, error) {
	d, err := segments.Decide(doc, stops, t.Name, certname, members)
	if err != nil {
		return whyTrack{}, err
	}
	out := whyTrack{Track: t.Name, Environment: d.Environment, Parameters: d.Parameters, Rollouts: []whyRollout{},
		Assumed: fmt.Sprintf("only if the site's ENC says environment %s", t.Name)}
	if t.Members != "" {
		listed, err := members(t.Members, segments.Fingerprint(certname))
		if err != nil {
			return out, err
		}
		if listed {
			out.Assumed = "listed among the track's nodes; counts where the site's ENC names no environment"
		}
	}
	for _, a := range d.Rollouts {
		out.Rollouts = append(out.Rollouts, whyRollout{Name: a.Rollout, Admitted: a.Admitted, Reason: a.Reason,
			Position: a.Position, Limit: a.Limit, Stage: a.Stage, Cap: a.Cap})
	}
	return out, nil
}

// fetched looks nodes up in sets in the store, and reads no more of them than it takes.
func fetched(ctx context.Context, s store.Store, doc *segments.Document) segments.Members {
	return func(digest, print string) (bool, error) {
		count, named := doc.Sets[digest]
		if !named {
			return false, errors.New("set " + digest + " is not in the published document")
		}
		return edge.FetchMember(ctx, s, digest, count, print)
	}
}

func renderWhy(w io.Writer, p painter, v whyView, now time.Time) {
	fmt.Fprintf(w, "%s, by the published document (generation %d)\n", safe(v.Certname), v.Generation)
	for _, pin := range v.Pins {
		fmt.Fprintf(w, "  pinned to %s%s\n", pin.To, map[bool]string{true: " for " + pin.Rollout}[pin.Rollout != ""])
	}
	for _, t := range v.Tracks {
		fmt.Fprintf(w, "\ntrack %s (assumed: %s)\n  environment %s\n", t.Track, t.Assumed, t.Environment)
		for _, name := range sortedKeys(t.Parameters) {
			fmt.Fprintf(w, "  parameter %s = %v\n", safe(name), t.Parameters[name])
		}
		if len(t.Rollouts) == 0 {
			fmt.Fprintln(w, "  no rollout is published on it")
		}
		for _, r := range t.Rollouts {
			verdict, c := "not admitted", yellow
			if r.Admitted {
				verdict, c = "admitted", green
			}
			fmt.Fprintf(w, "  %s: %s: %s\n", r.Name, p.paint(c, verdict), r.Reason)
			fmt.Fprintf(w, "    position %s (%s), limit %s (%s)%s%s\n", r.Position, percent(segments.Threshold(r.Position)), r.Limit, percent(r.Limit), labelled(" by stage ", r.Stage), labelled(", lowered by ", r.Cap))
		}
	}
	fmt.Fprintln(w, "\nedges, as they last reported")
	if len(v.Edges) == 0 {
		fmt.Fprintln(w, "  none has ever reported")
	}
	for _, e := range v.Edges {
		fmt.Fprintf(w, "  %s\n", safe(edgeLine(e, now)))
	}
}

func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + value
}

func trackNames(snap *tree.Snapshot) []string {
	var names []string
	for _, t := range snap.Tracks {
		names = append(names, t.Name)
	}
	return names
}

// percent is where a position or a threshold lies.
func percent(t segments.Threshold) string { return fmt.Sprintf("%.4g %%", 100*t.Share()) }
