package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// row is a line of the tree. info may be of several colours; span takes the place of all columns but the first on a
// narrow screen.
type row struct {
	name, kind string
	status     cell
	nodes, age string
	info       []cell
	span       bool
}

func plainCell(s string) []cell { return []cell{{text: s}} }

// statusTree is what a rollout consists of: stages, and below the present one its cohorts, checks and closed gates.
func statusTree(v rolloutView, l *look, now time.Time) []row {
	sign, c := icon(v.Status)
	rows := []row{{name: "⟳ " + v.Name, kind: "Rollout", status: cell{sign + " " + v.Status, c}, nodes: v.share(), age: since(v.Created, now)}}
	for i, s := range v.Stages {
		branch, stem := "├──", "│  "
		if i == len(v.Stages)-1 {
			branch, stem = "└──", "   "
		}
		sign, c := icon(s.Status)
		rows = append(rows, row{name: fmt.Sprintf("%s%s %d %s", branch, sign, i+1, s.Name), kind: "Stage", status: cell{sign + " " + s.Status, c},
			nodes: s.nodes(), age: since(s.Since, now), info: v.stageLine(s, l)})
		if i == v.Index && s.Passed.IsZero() || i == v.Index && v.Index == len(v.Stages)-1 {
			rows = append(rows, below(v, stem, l, now)...)
		}
	}
	return rows
}

// stageLine is a bar where nodes may have the change, and what the stage admits and waits for.
func (v *rolloutView) stageLine(s stageView, l *look) []cell {
	width := 10
	if l.width >= 140 {
		width = 20
	}
	exposed, share := v.exposedOf(s), "   -" // as long as it is not known how many the stage admits
	if s.Planned > 0 {
		share = fmt.Sprintf("%3d%%", 100*min(exposed, s.Planned)/s.Planned)
	}
	return append(bar(exposed, s.Admitted, s.Planned, width), cell{text: " " + share + "  " + s.describe()})
}

// exposedOf is how many nodes of a stage are exposed at least: the rollout's admitted and not exposed ones could all be in it.
func (v *rolloutView) exposedOf(s stageView) int {
	if !s.Passed.IsZero() || v.Status == completed {
		return s.Admitted
	}
	return max(0, min(s.Admitted, s.Admitted-(v.Counts.Admitted-v.Counts.Exposed)))
}

func below(v rolloutView, stem string, l *look, now time.Time) []row {
	var rows []row
	for _, c := range v.Cohorts {
		sign, colour := "✔", colour("")
		if c.Failed > 0 && c.Name == cohortCanary && !v.explained() {
			sign, colour = "✖", red
		} else if c.Silent > 0 {
			sign, colour = "◷", yellow
		}
		if c.Name != cohortCanary {
			sign = "•"
		}
		rows = append(rows, row{name: "≡ " + c.Name, kind: "Cohort", status: cell{sign + " " + c.word(), colour}, nodes: number(c.Nodes), age: "-",
			info: plainCell(c.text(l.narrow())), span: true})
	}
	for _, check := range v.Checks {
		sign, c := icon(check.Result)
		rows = append(rows, row{name: "α " + check.Name, kind: "Check", status: cell{sign + " " + check.Result, c}, nodes: "-", age: "-",
			info: plainCell(safe(check.Reason)), span: true})
	}
	for _, g := range v.Gates {
		if g.Open || v.Phase.Ended() {
			continue
		}
		next := "-"
		if g.Next.After(now) {
			next = "in " + age(g.Next.Sub(now))
		}
		rows = append(rows, row{name: "⊘ " + g.Name, kind: "Gate", status: cell{"⊘ closed", yellow}, nodes: "-", age: next, info: plainCell(safe(g.Reason)), span: true})
	}
	for i := range rows {
		branch := "├──"
		if i == len(rows)-1 {
			branch = "└──"
		}
		rows[i].name = stem + branch + rows[i].name
	}
	return rows
}

// draw writes the rows in columns, each line cut to the width of the screen.
func (l *look) draw(w io.Writer, rows []row) {
	columns := func(r row) []cell {
		switch {
		case l.narrow():
			return []cell{{text: r.name}, {text: r.nodes}, {text: r.age}}
		case l.width > 0 && l.width < kindFrom: // the signs before the names say as much
			return []cell{{text: r.name}, r.status, {text: r.nodes}, {text: r.age}}
		}
		return []cell{{text: r.name}, {text: r.kind}, r.status, {text: r.nodes}, {text: r.age}}
	}
	head := row{name: "NAME", kind: "KIND", status: cell{text: "STATUS"}, nodes: "NODES", age: "AGE", info: plainCell("INFO")}
	rows = append([]row{head}, rows...)
	for _, r := range rows {
		for i, c := range columns(r) {
			if i == len(l.least) {
				l.least = append(l.least, 0)
			}
			if i == 0 || !(l.narrow() && r.span) {
				l.least[i] = max(l.least[i], widthOf(c.text))
			}
		}
	}
	l.room(columns(row{nodes: l.nodes, age: "59m59s"}))
	for _, r := range rows {
		cells := columns(r)
		if l.narrow() && r.span {
			cells = cells[:1]
		}
		var line []cell
		for i, c := range cells {
			line = append(line, c, cell{text: strings.Repeat(" ", l.least[i]-widthOf(c.text)+2)})
		}
		l.line(w, append(line, r.info...))
	}
}

// room keeps columns wide enough for what may come: on a screen nothing is to move when numbers grow.
func (l *look) room(cells []cell) {
	for i, c := range cells {
		if l.width > 0 {
			l.least[i] = max(l.least[i], widthOf(c.text))
		}
	}
}

// line writes one line, cut to the width of the screen.
func (l *look) line(w io.Writer, cells []cell) {
	var b strings.Builder
	left := l.width
	for _, c := range cells {
		text := c.text
		if l.width > 0 {
			if left <= 0 {
				break
			}
			text = fit(text, left)
			left -= widthOf(text)
		}
		b.WriteString(l.paint(c.colour, l.signs(text)))
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}
