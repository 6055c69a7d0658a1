package schedule

import (
	"fmt"

	"github.com/prometheus/alertmanager/timeinterval"
)

// Validate returns everything that makes the window useless or ambiguous,
// joined, each a *FieldError below path (for instance "windows.office").
func (w Window) Validate(path string) error {
	var f fields
	validateZone(&f, path+".time_zone", w.TimeZone)
	if len(w.all()) == 0 {
		f.add(path, "expected times, weekdays, days_of_month, months or years, or a list of time_intervals")
	}
	if written(w.TimeInterval) {
		w.validateInterval(&f, path, path+".time_zone", w.TimeInterval)
	}
	for i, interval := range w.Intervals {
		at := fmt.Sprintf("%s.time_intervals[%d]", path, i)
		w.validateInterval(&f, at, at+".location", interval)
	}
	return f.err()
}

func (w Window) validateInterval(f *fields, path, zonePath string, interval timeinterval.TimeInterval) {
	validateZone(f, path+".location", interval.Location)
	if w.zone(interval) == nil {
		f.add(zonePath, "expected an IANA zone such as Europe/Berlin")
	}
	if unlimited(interval) {
		f.add(path, "expected times, weekdays, days_of_month, months or years: it would contain every moment")
	}
	for _, part := range []struct {
		key   string
		empty bool
	}{
		{"times", interval.Times != nil && len(interval.Times) == 0},
		{"weekdays", interval.Weekdays != nil && len(interval.Weekdays) == 0},
		{"days_of_month", interval.DaysOfMonth != nil && len(interval.DaysOfMonth) == 0},
		{"months", interval.Months != nil && len(interval.Months) == 0},
		{"years", interval.Years != nil && len(interval.Years) == 0},
	} {
		if part.empty {
			f.add(path+"."+part.key, "is empty: it would contain no moment")
		}
	}
	for i, months := range interval.Months {
		if months.Begin < 1 || months.End > 12 {
			f.add(fmt.Sprintf("%s.months[%d]", path, i), "expected months from 1 to 12")
		}
	}
}

// validateZone refuses zones that mean another time on another machine.
func validateZone(f *fields, path string, zone *timeinterval.Location) {
	if zone == nil {
		return
	}
	if zone.Location == nil || zone.String() == "Local" {
		f.add(path, "expected an IANA zone such as Europe/Berlin, not the zone of this machine")
	}
}
