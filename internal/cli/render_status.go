package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
)

// renderStatus draws a rollout the way `kubectl argo rollouts get rollout` does.
func renderStatus(w io.Writer, p painter, v rolloutView, now time.Time) {
	renderHeader(w, p, v, now)
	fmt.Fprintln(w)
	table(w, p, statusTree(v, now))
}

func renderHeader(w io.Writer, p painter, v rolloutView, now time.Time) {
	line := func(label, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-11s%s\n", label+":", safe(text))
		}
	}
	sign, c := icon(v.Status)
	line("Name", v.Name)
	fmt.Fprintf(w, "%-11s%s\n", "Status:", p.paint(c, sign+" "+v.Status))
	line("Why", v.Why)
	line("Next", v.nextText(now))
	line("Stage", v.stageText())
	line("Nodes", v.nodesText())
	line("Change", v.changeText())
	line("Track", v.Track)
	line("Started", fmt.Sprintf("%s ago by %s: %s", since(v.Created, now), v.By, v.Reason))
	if !v.LookedAt.IsZero() && !v.Phase.Ended() {
		line("Looked at", fmt.Sprintf("%s ago by %s", since(v.LookedAt, now), v.Leader))
	}
	renderCulprit(w, v.Culprit)
	for _, problem := range v.Problems {
		fmt.Fprintf(w, "%-11s%s\n", "Problem:", p.paint(red, safe(problem)))
	}
}

func renderCulprit(w io.Writer, c *culpritView) {
	if c == nil {
		return
	}
	what := c.Resource
	if what == "" {
		what = "a failure that names no resource"
		if c.Kind == "compile" {
			what = "a compile error"
		}
	}
	if c.File != "" {
		what += fmt.Sprintf(" at %s:%d", c.File, c.Line)
	}
	fmt.Fprintf(w, "%-11s%s\n", "Culprit:", safe(what))
	if c.Message != "" {
		fmt.Fprintf(w, "%-11s%s\n", "", shorten(safe(c.Message), 200))
	}
	fmt.Fprintf(w, "%-11son %s: %s\n", "", plural(c.Count, "node"), safe(some(c.Nodes, c.Count)))
}

func (v *rolloutView) nextText(now time.Time) string {
	if v.Next == nil {
		return ""
	}
	text := fmt.Sprintf("not before %s", utc(*v.Next))
	if v.Next.After(now) {
		text += " (in " + age(v.Next.Sub(now)) + ")"
	}
	return text + ": " + strings.Join(v.Waits, ", ")
}

func (v *rolloutView) stageText() string {
	if v.Index < 0 {
		return fmt.Sprintf("0/%d", len(v.Stages))
	}
	return fmt.Sprintf("%d/%d %q", v.Index+1, len(v.Stages), v.Stage)
}

func (v *rolloutView) nodesText() string {
	switch {
	case v.Phase == gate.Completed:
		return "all of the track, " + v.trackText()
	case !v.Counts.Known:
		return "not counted yet, " + v.trackText()
	}
	text := fmt.Sprintf("%s admitted, %s exposed, %s", number(v.Counts.Admitted), number(v.Counts.Exposed), v.trackText())
	if v.StillToRun > 0 {
		text += fmt.Sprintf(", %s not yet run", number(v.StillToRun))
	}
	for _, part := range []struct {
		n    int
		what string
	}{{v.Counts.Failed, "failed"}, {v.Counts.Silent, "silent"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %s %s", number(part.n), part.what)
		}
	}
	return text
}

// trackText is the size of the track, as the published document has it.
func (v *rolloutView) trackText() string {
	if v.Nodes == 0 {
		return "the track is not counted yet"
	}
	return number(v.Nodes) + " on the track"
}

// share is how many nodes have the change, for a column.
func (v *rolloutView) share() string {
	switch {
	case v.Phase == gate.Completed && v.Nodes > 0:
		return number(v.Nodes)
	case v.Phase == gate.Superseded:
		return "0"
	case v.Counts.Known:
		return number(v.Counts.Admitted)
	}
	return "-"
}

func (v *rolloutView) changeText() string {
	what := "environment " + v.Candidate
	if v.Baseline != "" {
		what += ", from " + v.Baseline
	}
	if v.Candidate == "" {
		data, err := json.Marshal(v.Parameters) // keys sorted
		if err != nil {
			data = []byte(err.Error())
		}
		what = "parameters " + string(data)
	}
	if v.Change == "" {
		return what
	}
	return v.Change + " (" + what + ")"
}

// statusTree is the tree of stages, with the checks below the current one.
func statusTree(v rolloutView, now time.Time) [][]cell {
	sign, c := icon(v.Status)
	rows := [][]cell{
		texts("NAME", "KIND", "STATUS", "NODES", "AGE", "INFO"),
		{{text: "⟳ " + v.Name}, {text: "Rollout"}, {sign + " " + v.Status, c}, {text: v.share()}, {text: since(v.Created, now)}, {text: ""}},
	}
	for i, s := range v.Stages {
		branch, stem := "├──", "│  "
		if i == len(v.Stages)-1 {
			branch, stem = "└──", "   "
		}
		sign, c := icon(s.Status)
		rows = append(rows, []cell{
			{text: fmt.Sprintf("%s%s %d %s", branch, sign, i+1, s.Name)}, {text: "Stage"}, {sign + " " + s.Status, c},
			{text: s.nodes()}, {text: since(s.Since, now)}, {text: safe(s.describe())},
		})
		if i == v.Index && s.Passed.IsZero() || i == v.Index && v.Index == len(v.Stages)-1 {
			rows = append(rows, checkRows(v.Checks, stem)...)
		}
	}
	return rows
}

func checkRows(checks []checkView, stem string) [][]cell {
	var rows [][]cell
	for i, check := range checks {
		branch := "├──"
		if i == len(checks)-1 {
			branch = "└──"
		}
		sign, c := icon(check.Result)
		rows = append(rows, []cell{
			{text: stem + branch + "α " + check.Name}, {text: "Check"}, {sign + " " + check.Result, c},
			{text: "-"}, {text: "-"}, {text: shorten(safe(check.Reason), 120)},
		})
	}
	return rows
}

// nodes is admitted/planned; ~ where the number follows from the threshold alone.
func (s stageView) nodes() string {
	planned := "?"
	if s.Planned >= 0 {
		planned = number(s.Planned)
	}
	switch {
	case s.Since.IsZero():
		return "-/" + planned
	case s.Exact:
		return number(s.Admitted) + "/" + planned
	}
	return "~" + number(s.Admitted) + "/" + planned
}

// describe is what the stage admits, and what it waits for.
func (s stageView) describe() string {
	who := "everyone"
	if s.Segment != "" {
		who = s.Segment
	}
	text := s.Size + " of " + who
	if s.Info != "" {
		text += "; " + s.Info
	}
	return text
}
