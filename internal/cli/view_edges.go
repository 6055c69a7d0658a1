package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/tree"
)

// edgesLine sums the puppetservers up: how many there are, whether they have the newest document, and what their speed
// limit keeps waiting. "" where none has reported.
func edgesLine(snap *tree.Snapshot, now time.Time) string {
	if len(snap.Edges) == 0 {
		return ""
	}
	behind, quiet := 0, 0
	var notes []string
	for _, e := range snap.Edges {
		switch {
		case now.Sub(e.At) > stale:
			quiet++
		case e.Generation < snap.Document.Generation:
			behind++
		}
		if e.Refused != "" {
			notes = append(notes, fmt.Sprintf("%s refuses the document: %s", e.Host, e.Refused))
		} else if len(e.Clamped) > 0 {
			notes = append(notes, fmt.Sprintf("%s %s", e.Host, e.Clamped[0]))
		}
	}
	text := fmt.Sprintf("%s, generation %d", plural(len(snap.Edges), "puppetserver"), snap.Document.Generation)
	if behind > 0 {
		text += fmt.Sprintf(", %d behind", behind)
	}
	if quiet > 0 {
		text += fmt.Sprintf(", %d not heard of for %s", quiet, age(stale))
	}
	if len(notes) > 0 {
		text += "; " + strings.Join(notes[:1], "")
		if more := len(notes) - 1; more > 0 {
			text += fmt.Sprintf(" (and %d more)", more)
		}
	}
	return text
}
