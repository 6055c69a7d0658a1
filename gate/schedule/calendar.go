package schedule

import (
	"strings"
	"time"
)

// Calendar is when a stage may move: its windows, and outside every freeze.
type Calendar struct {
	Windows map[string]Window
	Freezes []Freeze
}

// Open says whether the stage's windows, in its zone where they have none,
// contain t. It does not look at freezes.
func (s Stage) Open(windows map[string]Window, t time.Time) (Opening, error) {
	if s.TimeZone != nil {
		zoned := make(map[string]Window, len(s.Windows))
		for _, name := range s.Windows {
			if w, ok := windows[name]; ok {
				zoned[name] = w.In(s.TimeZone)
			}
		}
		windows = zoned
	}
	return Open(s.Windows, windows, t)
}

// At says whether the stage may move at t; if not, why, and when that changes
// at the earliest: zero where it never does within 10 years.
func (c Calendar) At(s Stage, t time.Time) (open bool, reason string, next time.Time) {
	if reason, next, frozen := Frozen(c.Freezes, t); frozen {
		return false, reason, next
	}
	o, err := s.Open(c.Windows, t)
	switch {
	case err != nil:
		return false, err.Error(), time.Time{}
	case !o.Open:
		return false, "outside " + strings.Join(s.Windows, ", "), o.Next
	}
	next = o.Next
	if f := nextFreeze(c.Freezes, t); !f.IsZero() && (next.IsZero() || f.Before(next)) {
		next = f
	}
	return true, "", next
}

// mostTurns bounds how many windows and freezes are walked through.
const mostTurns = 20_000

// After returns the first instant from t on at which the stage has been allowed
// to move for so long altogether; 0 is the first at which it may move. The
// reason says why there is none.
func (c Calendar) After(s Stage, t time.Time, work time.Duration) (at time.Time, reason string) {
	for range mostTurns {
		open, why, next := c.At(s, t)
		switch {
		case open && (next.IsZero() || next.Sub(t) > work || work == 0):
			return t.Add(work), ""
		case open:
			work -= next.Sub(t)
		case next.IsZero():
			return time.Time{}, why + ", and nothing tells when that ends"
		}
		t = next
	}
	return time.Time{}, "it is allowed too rarely"
}
