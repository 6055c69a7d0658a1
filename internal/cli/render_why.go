package cli

import (
	"fmt"
	"io"

	"github.com/openinfrastructure/sluice/internal/why"
	"github.com/openinfrastructure/sluice/segments"
)

func renderWhyRollout(w io.Writer, l *look, r why.Rollout) {
	p := l.painter
	verdict, c := "not admitted", yellow
	if r.Admitted {
		verdict, c = "admitted", green
	}
	fmt.Fprintf(w, "  %s: %s: %s\n", r.Name, p.paint(c, verdict), r.Reason)
	paragraph(w, l, 4, fmt.Sprintf("position %s (%s), limit %s (%s)%s%s", r.Position, percent(segments.Threshold(r.Position)), r.Limit, percent(r.Limit), labelled(" by stage ", r.Stage), labelled(", lowered by ", r.Cap)))
	for _, one := range r.Caps {
		paragraph(w, l, 4, safe(capLine(one)))
	}
	renderWhySegments(w, l, "segments", r.Segments)
	if !r.Phase.Ended() { // none of its stages admits anybody any more
		renderWhyStages(w, l, r.Stages)
	}
	if r.Next == nil {
		return
	}
	paragraph(w, l, 4, safe("next: "+r.Next.Says))
	for _, g := range r.Next.Waits {
		paragraph(w, l, 6, safe(closedGate(g)))
	}
}

// renderWhyStages prints what the position is compared with in every stage.
func renderWhyStages(w io.Writer, l *look, stages []why.Stage) {
	if len(stages) == 0 {
		return
	}
	rows := [][]cell{texts("    STAGE", "SEGMENT", "IN IT", "THRESHOLD", "TARGET", "ADMITS", "")}
	for _, s := range stages {
		in, inColour := holdsText(s.Holds)
		admits, admitsColour := holdsText(s.Admits)
		now := "-"
		if s.Begun {
			now = percent(s.Threshold)
		}
		target := "-"
		if s.Target != "" {
			target = percent(s.Target)
		}
		rows = append(rows, []cell{{text: "    " + s.Name}, {text: segmentText(s.Segment)}, {in, inColour}, {text: now}, {text: target}, {admits, admitsColour}, {text: safe(s.Why)}})
	}
	below := l.width > 0 && tableWidth(rows) > l.width // what is said of a stage does not fit beside it
	for i := range rows {
		if below {
			rows[i] = rows[i][:len(rows[i])-1]
		}
	}
	table(w, l.painter, rows)
	for _, s := range stages {
		if below && s.Why != "" {
			paragraph(w, l, 4, safe(s.Name+": "+s.Why))
		}
	}
}

// capLine is one hold, pin or veto: what it does, until when, who said so.
func capLine(c why.Cap) string {
	line := c.Source + ": " + c.Effect
	if c.Holds == why.Unknown {
		line += ", if it concerns the node (" + c.Why + ")"
	} else if c.Why != "" {
		line += " (" + c.Why + ")"
	}
	if c.Lifted {
		line += "; lifted, and the node has not come back yet"
	} else if !c.Until.IsZero() {
		line += ", until " + utc(c.Until)
	} else {
		line += ", with no end"
	}
	return line + labelled("; ", c.Selector) + labelled("; by ", c.By) + labelled(": ", c.Reason)
}

// percent is where a position or a threshold lies.
func percent(t segments.Threshold) string { return fmt.Sprintf("%.4g %%", 100*t.Share()) }
