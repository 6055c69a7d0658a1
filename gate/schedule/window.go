package schedule

import (
	"time"
	_ "time/tzdata" // a missing zone file on the host must not decide about a window

	"github.com/prometheus/alertmanager/timeinterval"
)

// Window is a set of recurring times, written like Alertmanager's time
// intervals: either one interval directly, or several under time_intervals,
// which count as one union. Every interval has an IANA zone: its own location,
// else the window's time_zone.
type Window struct {
	Name     string                 `yaml:"-" json:"name"`
	TimeZone *timeinterval.Location `yaml:"time_zone,omitempty" json:"time_zone,omitempty"`

	timeinterval.TimeInterval `yaml:",inline"`

	Intervals []timeinterval.TimeInterval `yaml:"time_intervals,omitempty" json:"time_intervals,omitempty"`
}

// Contains says whether t lies in the window. Start times are inside, end
// times are not, and both are read on the wall clock of the zone: a time that
// the clocks skip never comes, one that they repeat comes twice. An interval
// without a zone, or without any limit, contains nothing.
func (w Window) Contains(t time.Time) bool {
	for _, interval := range w.all() {
		zone := w.zone(interval)
		if zone == nil || unlimited(interval) {
			continue
		}
		// Timeinterval counts the hours of a month to know its length, which
		// is off by a day where the clocks change; a wall clock in UTC is not.
		interval.Location = nil
		if interval.ContainsTime(wall(t, zone)) {
			return true
		}
	}
	return false
}

// all returns the intervals of the window, however they were written.
func (w Window) all() []timeinterval.TimeInterval {
	if !written(w.TimeInterval) {
		return w.Intervals
	}
	return append([]timeinterval.TimeInterval{w.TimeInterval}, w.Intervals...)
}

// zone returns where the interval's clock hangs, or nil where nobody said.
func (w Window) zone(interval timeinterval.TimeInterval) *time.Location {
	for _, location := range []*timeinterval.Location{interval.Location, w.TimeZone} {
		if location != nil && location.Location != nil {
			return location.Location
		}
	}
	return nil
}

// wall returns what the clock on the wall shows in the zone at t, as if it
// hung in UTC.
func wall(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func unlimited(i timeinterval.TimeInterval) bool {
	return i.Times == nil && i.Weekdays == nil && i.DaysOfMonth == nil && i.Months == nil && i.Years == nil
}

func written(i timeinterval.TimeInterval) bool {
	return !unlimited(i) || i.Location != nil
}

// Zoned says whether every interval of the window has a zone.
func (w Window) Zoned() bool {
	for _, interval := range w.all() {
		if w.zone(interval) == nil {
			return false
		}
	}
	return true
}

// In returns the window with a zone for the intervals that have none.
func (w Window) In(zone *timeinterval.Location) Window {
	if w.TimeZone == nil {
		w.TimeZone = zone
	}
	return w
}
