package gate

import (
	"strings"
	"testing"
	"time"
)

// TestTwoPeoplesFlags: where two people say different things at once, the one who stops wins, and nothing that stops is undone by
// a word about something else.
func TestTwoPeoplesFlags(t *testing.T) {
	for name, c := range map[string]struct {
		flags  map[string]string
		phase  Phase
		closed string
	}{
		"pause and approve":         {map[string]string{"ntp/pause": "true by=anna: a", "ntp/approve/fra1": "true by=ben: b"}, Running, "pause"},
		"freeze and resume":         {map[string]string{"freeze": "true by=anna: a", "ntp/pause": "false by=ben: b"}, Running, "freeze"},
		"delay and resume":          {map[string]string{"ntp/delay": "300h by=anna: a", "ntp/pause": "false by=ben: b"}, Running, "delay"},
		"deny and resume":           {map[string]string{"ntp/approve/fra1": "false by=anna: a", "ntp/pause": "false by=ben: b"}, Running, "approval"},
		"back out and approve":      {map[string]string{"ntp/backout": "true by=anna: a", "ntp/approve/fra1": "true by=ben: b"}, BackedOut, ""},
		"back out and pause":        {map[string]string{"ntp/backout": "true by=anna: a", "ntp/pause": "true by=ben: b"}, BackedOut, ""},
		"back out and freeze's end": {map[string]string{"ntp/backout": "true by=anna: a", "freeze": "false by=ben: b"}, BackedOut, ""},
		"an end of no back-out":     {map[string]string{"ntp/backout": "false by=anna: a", "ntp/pause": "true by=ben: b"}, Running, "pause"},
		"both in one flag":          {map[string]string{"ntp/pause": "truefalse"}, Running, "pause"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 16)
			s.run(3 * time.Minute)
			s.tree = c.flags
			s.run(3 * time.Hour)
			d := s.look()
			if got := closedGates(d, "ntp"); s.state("ntp").Phase != c.phase || !strings.Contains(got, c.closed) {
				t.Errorf("%s, closed %q", s.state("ntp").Phase, got)
			}
			if n := len(s.admitted("ntp")); n > 1 {
				t.Errorf("%d nodes admitted", n)
			}
		})
	}
}

// TestKept: what a hold does is said with its end, or that it has none, or that it matches nobody.
func TestKept(t *testing.T) {
	for want, k := range map[string]Kept{
		"hold/a keeps 7 nodes (n1, n2, …) until 2026-11-02T08:00:00Z, the others go on: of anna": {Source: "hold/a", What: "of anna", Nodes: 7, Some: []string{"n1", "n2"}, Until: t0},
		"hold/a keeps one node (n1) with no end (sluice hold expire a), the others go on: x":     {Source: "hold/a", What: "x", Nodes: 1, Some: []string{"n1"}},
		"hold/a matches no node that it could keep (of anna)":                                    {Source: "hold/a", What: "of anna"},
		"veto/a keeps 2 nodes (n1, n2), the others go on: x":                                     {Source: "veto/a", What: "x", Nodes: 2, Some: []string{"n1", "n2"}},
	} {
		if got := k.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
