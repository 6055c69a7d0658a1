package verb

import (
	"bytes"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/words"
)

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// FuzzToggle: whatever a person gives as a reason, the flag is read as what the verb says.
func FuzzToggle(f *testing.F) {
	f.Add("false", "anna")
	f.Add("\nfalse\r\ttrue", "by=\x00")
	f.Fuzz(func(t *testing.T, reason, who string) {
		r := &run{Desk: &Desk{Who: who}, Ask: Ask{Reason: words.OneLine(reason)}}
		for word, want := range map[string]flags.Toggle{"true": flags.Set, "false": flags.Released} {
			value := r.toggle(word)
			if got := flags.ReadToggle(string(value)); got != want || bytes.ContainsAny(value, "\n\r\x1b") {
				t.Fatalf("%q is read as %v", value, got)
			}
		}
	})
}

// FuzzDelay: what the verb lets through is never read as no delay or as one without end.
func FuzzDelay(f *testing.F) {
	for _, s := range []string{"2h", "1d", "0s", "false", "on", "2026-11-03T08:00:00Z", "-1h", "1w\n", " 2h"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, word string, lasts bool) {
		r := &run{Desk: &Desk{Who: "anna"}, Ask: Ask{Reason: "x", Until: word}, verb: "delay"}
		if lasts {
			r.Ask = Ask{Reason: "x", For: word}
		}
		value, _, err := r.until(t0)
		if err != nil {
			return
		}
		d := flags.ReadDelay(string(r.toggle(value)))
		if d.Endless || d.Raw == "" || d.For <= 0 && !d.Until.After(t0) {
			t.Fatalf("%q is let through and read as %+v", word, d)
		}
	})
}
