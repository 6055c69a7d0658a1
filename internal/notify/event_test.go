package notify

import (
	"strings"
	"testing"
	"time"
)

func TestEventCheck(t *testing.T) {
	for want, change := range map[string]func(*Event){
		"id: ":      func(e *Event) { e.ID = "" },
		"printable": func(e *Event) { e.ID = "a\r\nX-Evil: 1" },
		"rollout: ": func(e *Event) { e.Rollout = "" },
		"kind: ":    func(e *Event) { e.Kind = "promoted" },
		"at: ":      func(e *Event) { e.At = time.Time{} },
		"stage: ":   func(e *Event) { e.Kind = KindStageEnded },
	} {
		e := event("a")
		change(&e)
		if err := e.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	for _, kind := range kinds {
		e := event("a")
		e.Kind, e.Stage = kind, "canary"
		if err := e.Check(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
