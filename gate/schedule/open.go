package schedule

import (
	"fmt"
	"time"
)

// Opening is what the windows of a stage say about one instant.
type Opening struct {
	Open bool
	// Window is the name of a window that contains the instant, "" where none
	// does or none is asked for.
	Window string
	// Next is when Open changes at the earliest; zero where it never does
	// within 10 years, or where no window is asked for.
	Next time.Time
}

// Open says whether t lies in at least one of the named windows. No names are
// always open. A name that is not known is an error, and closed.
func Open(names []string, windows map[string]Window, t time.Time) (Opening, error) {
	if len(names) == 0 {
		return Opening{Open: true}, nil
	}
	chosen := make([]Window, len(names))
	for i, name := range names {
		window, ok := windows[name]
		if !ok {
			return Opening{}, fmt.Errorf("window %q is not known", name)
		}
		chosen[i] = window
	}
	opening := Opening{}
	for i, window := range chosen {
		if window.Contains(t) && !opening.Open {
			opening.Open, opening.Window = true, names[i]
		}
	}
	opening.Next = nextUnion(chosen, opening.Open, t)
	return opening, nil
}

// nextUnion returns the first instant after t at which the windows together
// answer other than open.
func nextUnion(windows []Window, open bool, t time.Time) time.Time {
	horizon := t.AddDate(horizonYears, 0, 0)
	for at := t; ; {
		var next time.Time
		for _, window := range windows {
			if change := window.NextChange(at); !change.IsZero() && (next.IsZero() || change.Before(next)) {
				next = change
			}
		}
		if next.IsZero() || !next.Before(horizon) {
			return time.Time{}
		}
		if anyContains(windows, next) != open {
			return next
		}
		at = next
	}
}

func anyContains(windows []Window, t time.Time) bool {
	for _, window := range windows {
		if window.Contains(t) {
			return true
		}
	}
	return false
}
