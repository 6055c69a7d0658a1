package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
)

// renderStatus draws a rollout the way `kubectl argo rollouts get rollout` does.
func renderStatus(w io.Writer, l *look, v rolloutView, now time.Time) {
	var head strings.Builder
	renderHeader(&head, l, v, now)
	l.head = max(l.head, strings.Count(head.String(), "\n"))
	fmt.Fprint(w, head.String(), strings.Repeat("\n", 1+l.head-strings.Count(head.String(), "\n")))
	l.nodes = number(v.Nodes) + "/" + number(v.Nodes)
	l.draw(w, statusTree(v, l, now))
}

// mostLines of a text are shown on a screen; explain and -o json have all of it.
const mostLines = 3

// labelled writes a text behind its label, folded to the width of the screen.
func (l *look) labelled(w io.Writer, label string, c colour, text string) {
	const indent = 11
	most := 0
	if l.width > 0 {
		most = max(20, l.width-indent)
	}
	if label != "" {
		label += ":"
	}
	lines := fold(safe(text), most)
	if len(lines) > mostLines && most > 0 {
		lines = append(lines[:mostLines-1], fit(strings.Join(lines[mostLines-1:], " "), most))
	}
	for _, line := range lines {
		fmt.Fprintf(w, "%-*s%s\n", indent, label, l.paint(c, l.signs(line)))
		label = ""
	}
}

func renderHeader(w io.Writer, l *look, v rolloutView, now time.Time) {
	line := func(label, text string) {
		if text != "" {
			l.labelled(w, label, "", text)
		}
	}
	sign, c := icon(v.Status)
	line("Name", v.Name)
	l.labelled(w, "Status", c, sign+" "+v.Status)
	line("Why", v.Why)
	line("Next", v.nextText(now))
	line("Stage", v.stageText())
	line("Nodes", v.nodesText())
	line("Change", v.changeText())
	line("Track", v.Track)
	line("Edges", v.EdgeLine)
	line("Started", fmt.Sprintf("%s ago by %s: %s", since(v.Created, now), v.By, v.Reason))
	if !v.LookedAt.IsZero() && !v.Phase.Ended() {
		line("Looked at", fmt.Sprintf("%s ago by %s", since(v.LookedAt, now), v.Leader))
	}
	renderCulprit(w, l, v.Culprit)
	for _, problem := range v.Problems {
		l.labelled(w, "Problem", red, problem)
	}
}

// inEnvironment is what every file of an environment begins with; the header names the environment already.
var inEnvironment = regexp.MustCompile(`^/.*/environments/\w+/`)

func renderCulprit(w io.Writer, l *look, c *culpritView) {
	if c == nil {
		return
	}
	what := c.Resource
	if what == "" {
		what = "a failure that names no resource"
		switch c.Kind {
		case analyzer.KindCompile:
			what = "a compile error"
		case analyzer.KindSilence:
			what = "nodes that fell silent"
		}
	}
	if c.File != "" {
		what += fmt.Sprintf(" at %s:%d", inEnvironment.ReplaceAllString(c.File, ""), c.Line)
	}
	l.labelled(w, "Culprit", red, what)
	if c.Message != "" {
		l.labelled(w, "", "", shorten(safe(c.Message), 200))
	}
	l.labelled(w, "", "", fmt.Sprintf("on %s: %s", plural(c.Count, "node"), some(c.Nodes, c.Count)))
	for _, s := range c.Strata {
		l.labelled(w, "", "", fmt.Sprintf("in %s: %d of %d admitted nodes", safe(s.Stratum), s.Nodes, s.Of))
	}
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
