package schedule

import (
	"fmt"
	"time"
)

// Moment is a date ("2026-12-19") or a time with its offset
// ("2026-12-19T18:00:00+01:00").
type Moment struct {
	at   time.Time
	date bool
}

// UnmarshalText reads either form.
func (m *Moment) UnmarshalText(text []byte) error {
	if at, err := time.Parse(time.DateOnly, string(text)); err == nil {
		*m = Moment{at, true}
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("expected a date such as 2026-12-19 or a time such as 2026-12-19T18:00:00+01:00, got %q", text)
	}
	*m = Moment{at, false}
	return nil
}

// MarshalText writes the form that was read.
func (m Moment) MarshalText() ([]byte, error) {
	if m.date {
		return []byte(m.at.Format(time.DateOnly)), nil
	}
	return []byte(m.at.Format(time.RFC3339)), nil
}

// IsDate says whether the moment is a whole day.
func (m Moment) IsDate() bool { return m.date }

// Begin is the instant itself, or the first one of the day in the zone.
func (m Moment) Begin(zone *time.Location) time.Time {
	if !m.date {
		return m.at
	}
	return startOfDay(m.at.Year(), m.at.Month(), m.at.Day(), zone)
}

// End is the instant itself, or the first one after the day in the zone.
func (m Moment) End(zone *time.Location) time.Time {
	if !m.date {
		return m.at
	}
	return startOfDay(m.at.Year(), m.at.Month(), m.at.Day()+1, zone)
}

// startOfDay is the first instant of a day, also where the clocks skip midnight:
// time.Date may then give an instant of the day before.
func startOfDay(year int, month time.Month, day int, zone *time.Location) time.Time {
	want := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	at := time.Date(year, month, day, 0, 0, 0, 0, zone)
	if y, m, d := at.Date(); time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Before(want) {
		_, change := at.ZoneBounds()
		return change
	}
	// Where midnight comes twice the day begins with the first one.
	if start, _ := at.ZoneBounds(); !start.IsZero() {
		_, before := start.Add(-time.Second).In(zone).Zone()
		if earlier := want.Add(-time.Duration(before) * time.Second); earlier.Before(start) {
			return earlier.In(zone)
		}
	}
	return at
}
