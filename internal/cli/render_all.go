package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
)

const nothingUnderWay = "nothing is under way: sluice list shows all rollouts"

// renderAll shows one rollout in full, or several as trees one below the other.
func renderAll(w io.Writer, l *look, views []rolloutView, waits string, now time.Time) {
	switch {
	case len(views) == 1:
		renderStatus(w, l, views[0], now)
	case len(views) > 1:
		renderForest(w, l, views, now)
	case waits == "":
		waits = nothingUnderWay
	}
	for _, line := range fold(safe(waits), l.width) {
		if line != "" {
			fmt.Fprintln(w, line)
		}
	}
}

// renderForest draws every rollout's tree, with the reason why it stands still beside its name.
func renderForest(w io.Writer, l *look, views []rolloutView, now time.Time) {
	var rows []row
	for i, v := range views {
		if i > 0 {
			rows = append(rows, row{})
		}
		tree := statusTree(v, l, now)
		tree[0].info = plainCell(safe(v.Why))
		rows = append(rows, tree...)
	}
	l.draw(w, rows)
}

// changed is what makes a line of its own where a rollout is followed without a screen. Nodes that run the change count
// in tenths.
func (v *rolloutView) changed() string {
	tenths := 0
	if v.Counts.Admitted > 0 {
		tenths = 10 * v.Counts.Exposed / v.Counts.Admitted
	}
	return fmt.Sprint(v.Status, v.Index, v.Counts.Admitted, tenths, v.Counts.Failed, v.Counts.Silent, v.firstGate(), len(v.Problems))
}

func (v *rolloutView) firstGate() string {
	if g := v.firstClosed(func(gate.Gate) bool { return true }); g != nil {
		return g.Name
	}
	return ""
}

// line is a rollout in one line, with the time.
func (v *rolloutView) line(now time.Time) string {
	sign, _ := icon(v.Status)
	parts := []string{now.UTC().Format(time.RFC3339), safe(v.Name), sign + " " + v.Status, v.stageText(), v.nodesText()}
	switch {
	case v.Phase.Ended():
		parts = append(parts, safe(v.Why))
	case v.Why != "":
		parts = append(parts, shorten(safe(v.Why), 100)) // explain has all of it
	}
	return strings.TrimRight(strings.Join(parts, "  "), " ")
}
