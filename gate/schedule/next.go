package schedule

import (
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// horizonYears bounds how far NextChange looks. A leap day is at most 8 years
// away.
const horizonYears = 10

// NextChange returns the first instant after t at which Contains gives the
// other answer, in UTC, or the zero time when there is none within 10 years.
func (w Window) NextChange(t time.Time) time.Time {
	intervals := w.all()
	now, horizon := w.Contains(t), t.AddDate(horizonYears, 0, 0)
	for at := t; ; {
		next := horizon
		for _, interval := range intervals {
			if zone := w.zone(interval); zone != nil {
				next = earlier(next, nextEdge(interval, zone, at))
			}
		}
		if !next.Before(horizon) {
			return time.Time{}
		}
		if w.Contains(next) != now {
			return next.UTC()
		}
		at = next
	}
}

// nextEdge returns the first instant after t at which the interval can change:
// a start or end time, midnight, or a change of the zone's clocks. Between two
// changes of the clocks the wall is a fixed offset away, so every edge is
// exact, also in the hours that are skipped or repeated.
func nextEdge(interval timeinterval.TimeInterval, zone *time.Location, t time.Time) time.Time {
	local := t.In(zone)
	onWall := wall(t, zone)
	midnight := time.Date(onWall.Year(), onWall.Month(), onWall.Day(), 0, 0, 0, 0, time.UTC)
	edge := midnight.AddDate(0, 0, 1)
	for _, times := range interval.Times {
		for _, minute := range []int{times.StartMinute, times.EndMinute} {
			at := midnight.Add(time.Duration(minute) * time.Minute)
			if at.After(onWall) {
				edge = earlier(edge, at)
			}
		}
	}
	next := t.Add(edge.Sub(onWall))
	if _, change := local.ZoneBounds(); !change.IsZero() {
		next = earlier(next, change)
	}
	return next
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
