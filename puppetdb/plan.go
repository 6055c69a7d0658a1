package puppetdb

import (
	"fmt"
	"slices"
	"time"
)

// Options tune a Feed. Zero fields mean the default.
type Options struct {
	// Overlap is how long the recent past stays provisional: Through never
	// comes closer to now. Default 15 minutes.
	Overlap time.Duration
	// Horizon is the age at which a slice of time is read for the last time
	// and its fingerprints are forgotten. PuppetDB retries a failed command
	// hourly, 5 times. Default 6 hours; at least Overlap.
	Horizon time.Duration
	// Exact is the age at which a slice's fingerprints are condensed to their number and their sum. A report that appears
	// later still is delivered, and with it, once more, the others of its slice. Default Horizon: no report comes twice.
	Exact time.Duration
	// Sweep is the longest time between two readings of a slice younger than
	// Horizon. Default 30 minutes. From a Counter a reading may be a count.
	Sweep time.Duration
	// Width is the length of a slice. Default 1 minute.
	Width time.Duration
	// Span is the most past time that one query asks for. Default 10 minutes;
	// it is halved when a query fails and grows back.
	Span time.Duration
	// Ahead is how far into the future reports are looked for, because the
	// puppetservers' clocks stamp them. Default 1 hour.
	Ahead time.Duration
	// CatchUp is the most time older than Overlap that one Poll asks for, so
	// that a long backlog comes in bites. Default 2 hours; at least Span.
	CatchUp time.Duration
}

func (o Options) withDefaults() Options {
	o.Overlap = orDefault(o.Overlap, 15*time.Minute)
	o.Horizon = orDefault(o.Horizon, 6*time.Hour)
	o.Exact = orDefault(o.Exact, o.Horizon)
	o.Sweep = orDefault(o.Sweep, 30*time.Minute)
	o.Width = orDefault(o.Width, time.Minute)
	o.Span = orDefault(o.Span, 10*time.Minute)
	o.Ahead = orDefault(o.Ahead, time.Hour)
	o.CatchUp = orDefault(o.CatchUp, 2*time.Hour)
	return o
}

func (o Options) validate() error {
	ordered := 0 < o.Overlap && o.Overlap <= o.Exact && o.Exact <= o.Horizon && time.Millisecond <= o.Width && o.Width <= o.Span && o.Span <= o.CatchUp
	// Slices begin on the millisecond, where Reports cuts its ranges.
	if !ordered || o.Sweep <= 0 || o.Ahead <= 0 || o.Width%time.Millisecond != 0 {
		return fmt.Errorf("report feed: options %+v: expected positive durations, overlap <= exact <= horizon, width <= span <= catch-up, width in whole milliseconds", o)
	}
	return nil
}

// slice is a range of producer timestamps, from inclusive to exclusive.
type slice struct{ from, to time.Time }

// state is what a plan follows from: the grid of slices and when each was read.
type state struct {
	opts  Options
	start time.Time   // where slice 0 begins
	first int         // index of read[0]; older slices are final
	read  []time.Time // when each slice was last read, zero: never
	span  time.Duration
}

func (s state) at(i int) time.Time { return s.start.Add(time.Duration(i) * s.opts.Width) }

func (s state) lastRead(i int) time.Time {
	if i -= s.first; i < len(s.read) {
		return s.read[i]
	}
	return time.Time{}
}

// end returns the index behind the last slice that is looked at now.
func (s state) end(now time.Time) int {
	ahead := now.Add(s.opts.Ahead).Sub(s.start)
	return max(int((ahead+s.opts.Width-1)/s.opts.Width), s.first+len(s.read))
}

// due says whether slice i has to be read now. A slice is read
//   - if it never was;
//   - while it is young, again after half its age, at most Sweep: a report
//     that becomes visible d late is delivered within about d/2 more;
//   - once on reaching Overlap, which settles it for Through;
//   - once on reaching Horizon, which is the last time.
func (s state) due(i int, now time.Time) bool {
	last, end := s.lastRead(i), s.at(i+1)
	if last.IsZero() {
		return true
	}
	age := now.Sub(end)
	for _, mark := range []time.Duration{s.opts.Overlap, s.opts.Horizon} {
		if age >= mark && last.Before(end.Add(mark)) {
			return true
		}
	}
	return age < s.opts.Horizon && now.Sub(last) >= min(age/2, s.opts.Sweep)
}

// plan returns the ranges to ask for now, each made of whole slices that are
// due: a backlog that was never read, from the oldest on, then the provisional
// slices, because they carry the news, then older ones again, as much as CatchUp
// allows. Of a backlog that is larger than that nothing younger is asked for:
// reports come in order, and nobody can judge by the youngest alone. No range holds
// more than span of the past; the future, which is empty or nearly, comes with the
// newest. A slice that is left out stays due.
func plan(now time.Time, s state) []slice {
	var backlog, again, fresh []slice
	settled := now.Add(-s.opts.Overlap)
	for i, end := s.first, s.end(now); i < end; i++ {
		if !s.due(i, now) {
			continue
		}
		list := &fresh
		if !s.at(i + 1).After(settled) {
			if list = &again; s.lastRead(i).IsZero() {
				list = &backlog
			}
		}
		*list = s.add(*list, slice{s.at(i), s.at(i + 1)}, now)
	}
	budget := s.opts.CatchUp
	first, all := bite(backlog, &budget)
	if !all {
		return first
	}
	rest, _ := bite(again, &budget)
	return slices.Concat(first, fresh, rest)
}

// bite takes the ranges that the budget allows, and says whether that is all.
func bite(list []slice, budget *time.Duration) (taken []slice, all bool) {
	for i, sl := range list {
		if *budget -= sl.to.Sub(sl.from); *budget < 0 {
			return list[:i], false
		}
	}
	return list, true
}

// add appends next to list, joined with the last range if it touches it and
// the two fit into one query.
func (s state) add(list []slice, next slice, now time.Time) []slice {
	if n := len(list); n > 0 && list[n-1].to.Equal(next.from) {
		joined := slice{list[n-1].from, next.to}
		if next.from.After(now) || joined.to.Sub(joined.from) <= s.span {
			list[n-1] = joined
			return list
		}
	}
	return append(list, next)
}

// through returns the time before which every slice was read after it left the
// overlap, at most now-Overlap and never before start.
func (s state) through(now time.Time) time.Time {
	i := s.first
	for i < s.first+len(s.read) && !s.lastRead(i).Before(s.at(i+1).Add(s.opts.Overlap)) {
		i++
	}
	t := s.at(i)
	if limit := now.Add(-s.opts.Overlap); t.After(limit) {
		t = limit
	}
	if t.Before(s.start) {
		return s.start
	}
	return t
}

// final reports whether the oldest slice was read for the last time.
func (s state) final() bool {
	return len(s.read) > 0 && !s.read[0].Before(s.at(s.first+1).Add(s.opts.Horizon))
}
