package cli

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// explainView is what explain shows: everything that keeps a rollout from going on.
type explainView struct {
	rolloutView
	Verdict    analyzer.Verdict `json:"verdict"`
	Generation uint64           `json:"generation"` // of the published document
	Edges      []edge.Status    `json:"edges"`
}

func (p *program) explainCommand() *cobra.Command {
	var out format
	c := &cobra.Command{
		Use: "explain NAME", Short: "Say of every gate whether it is open, and why", Args: args(cobra.ExactArgs(1)),
		Example:           `  sluice explain production_8f3c2d1a`,
		ValidArgsFunction: p.completeRollouts,
		RunE: func(c *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			snap, _, done, err := p.snapshot(c.Context())
			if err != nil {
				return err
			}
			defer done()
			r, err := find(snap, args[0])
			if err != nil {
				return err
			}
			now := p.now()
			v := explainOf(snap, r, now)
			return out.write(c.OutOrStdout(), v, func(w io.Writer) { renderExplain(w, p.lookAt(c.OutOrStdout()), v, now) })
		},
	}
	out.flag(c)
	return c
}

func explainOf(snap *tree.Snapshot, r *tree.Rollout, now time.Time) explainView {
	v := explainView{rolloutView: viewOf(snap, r, now), Verdict: verdictOf(r), Generation: snap.Document.Generation, Edges: snap.Edges}
	if v.Edges == nil {
		v.Edges = []edge.Status{}
	}
	return v
}

func renderExplain(w io.Writer, l *look, v explainView, now time.Time) {
	renderHeader(w, l, v.rolloutView, now)
	fmt.Fprintln(w, "\nGates")
	switch {
	case v.Phase.Ended():
		fmt.Fprintln(w, "  none: the rollout has ended")
	case len(v.Gates) == 0:
		fmt.Fprintln(w, "  not known: no leader has looked at it yet")
	default:
		renderGates(w, l, v, now)
	}
	renderVerdict(w, l, v.Verdict)
	fmt.Fprintf(w, "\nEdges (published: generation %d)\n", v.Generation)
	if len(v.Edges) == 0 {
		fmt.Fprintln(w, "  none has ever reported")
	}
	for _, e := range v.Edges {
		paragraph(w, l, 2, safe(edgeLine(e, now)))
	}
}

func renderGates(w io.Writer, l *look, v explainView, now time.Time) {
	var rows [][]cell
	for _, g := range v.Gates {
		state, c := "✖ closed", red
		if g.Open {
			state, c = "✔ open", green
		}
		text := g.Reason
		if !g.Open && g.Source != "" {
			text += " (says " + g.Source + ")"
		}
		if !g.Open && !g.Since.IsZero() {
			text += ", since " + utc(g.Since)
		}
		if !g.Open && !g.Next.IsZero() {
			text += "; looked at again " + utc(g.Next)
			if g.Next.After(now) {
				text += ", in " + age(g.Next.Sub(now))
			}
		}
		rows = append(rows, []cell{{text: "  " + g.Name}, {state, c}, {text: safe(text)}})
	}
	tableFolded(w, l, rows)
}

func renderVerdict(w io.Writer, l *look, v analyzer.Verdict) {
	if v.Reason == "" && v.Evidence == "" {
		return
	}
	grade := ""
	if v.Grade != "" {
		grade = " (" + string(v.Grade) + ")"
	}
	fmt.Fprintln(w, "\nVerdict")
	say := func(indent int, format string, args ...any) {
		paragraph(w, l, indent, safe(fmt.Sprintf(format, args...)))
	}
	say(2, "%s%s: %s", v.Result, grade, v.Reason)
	for _, m := range v.Missing {
		say(2, "missing: %s", m)
	}
	for _, m := range v.Uncertified {
		say(2, "not certified: %s", m)
	}
	for _, c := range v.Checks {
		say(2, "%s: %s: %s", c.Name, c.Result, c.Reason)
		if b := c.Bound; b != nil && b.Events > 0 {
			say(4, "bound: %d of %d events on nodes with the change, %.3g expected, %d would stop it (alpha %.2g%s, %.2g spent at %.0f %% of the stage)",
				b.Canary, b.Events, b.Expected, b.Reject, b.Alpha, carried(b), b.Spent, 100*b.T)
		}
	}
	if v.Evidence != "" {
		say(2, "evidence: %s", v.Evidence)
	}
}

// carried says what earlier stages did to the level of a bound.
func carried(b *analyzer.Bound) string {
	if b.Weight == 0 || math.Abs(b.Weight-1) < .005 {
		return ""
	}
	return fmt.Sprintf(", %.3g times as much by what earlier stages showed", b.Weight)
}

// edgeLine is what an edge last said, in one line.
func edgeLine(e edge.Status, now time.Time) string {
	reported := "not known when it reported"
	if !e.At.IsZero() {
		reported = "reported " + since(e.At, now) + " ago"
	}
	parts := []string{fmt.Sprintf("%s: generation %d, %s", e.Host, e.Generation, reported)}
	if !e.Ready {
		parts = append(parts, "not ready")
	}
	add := func(what string, values ...string) {
		for _, v := range values {
			if v != "" {
				parts = append(parts, what+v)
			}
		}
	}
	add("refused: ", e.Refused)
	add("waits: ", e.Clamped...)
	add("local file ", e.Local...)
	add("unreadable: ", e.Loud...)
	if e.Stops.Frozen() {
		add("", "frozen")
	}
	add("paused: ", strings.Join(sortedKeys(e.Stops.Pause), ", "))
	add("backed out: ", strings.Join(e.BackedOut, ", "))
	for _, env := range sortedKeys(e.Code) {
		if id := e.Code[env]; id == edge.CodeMissing || id == edge.CodeUnpinned {
			add("code of "+env+" is ", id)
		}
	}
	return strings.Join(parts, "; ")
}
