// Package ical reads freezes from iCal files (RFC 5545). Whatever it does not
// understand is an error: a freeze that cannot be read must hold.
package ical

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/emersion/go-ical"
	"github.com/teambition/rrule-go"

	"github.com/openinfrastructure/sluice/gate/schedule"
)

const (
	// maxFile bounds a file, maxSpans the events and repetitions that are kept of it.
	maxFile  = 4 << 20
	maxSpans = 20_000
)

// File reads the events of a file that touch the time from `from` to `to`. Dates and times without a zone are
// read in the given one.
func File(path string, zone *time.Location, from, to time.Time) ([]schedule.Span, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	spans, err := Read(io.LimitReader(f, maxFile+1), zone, from, to)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return spans, nil
}

// Read is File for a reader.
func Read(r io.Reader, zone *time.Location, from, to time.Time) (spans []schedule.Span, err error) {
	// The libraries panic on some torn lines. That must not end the daemon, nor a freeze.
	defer func() {
		if p := recover(); p != nil {
			spans, err = nil, fmt.Errorf("is no iCal file: %v", p)
		}
	}()
	data, err := io.ReadAll(r)
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxFile:
		return nil, errors.New("is larger than 4 MiB")
	}
	decoder := ical.NewDecoder(strings.NewReader(string(data)))
	var out []schedule.Span
	calendars := 0
	for ; ; calendars++ {
		calendar, err := decoder.Decode()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("is no iCal file: %w", err)
		}
		for i, event := range calendar.Events() {
			spans, err := spansOf(event, zone, from, to)
			if err != nil {
				return nil, fmt.Errorf("event %d (%s): %w", i+1, summary(event), err)
			}
			if out = append(out, spans...); len(out) > maxSpans {
				return nil, fmt.Errorf("has more than %d events", maxSpans)
			}
		}
	}
	if calendars == 0 {
		return nil, errors.New("is no iCal file: there is no calendar in it")
	}
	return out, nil
}

func summary(e ical.Event) string {
	text, err := e.Props.Text(ical.PropSummary)
	if err != nil || text == "" {
		return "without a summary"
	}
	return text
}

// spansOf gives the times of one event. An event that moves one repetition of another is taken beside it: that
// freezes more, never less.
func spansOf(e ical.Event, zone *time.Location, from, to time.Time) ([]schedule.Span, error) {
	if status, err := e.Status(); err != nil {
		return nil, err
	} else if status == ical.EventCancelled {
		return nil, nil
	}
	start, err := e.DateTimeStart(zone)
	if err != nil || start.IsZero() {
		return nil, fmt.Errorf("DTSTART: expected a time in an IANA zone: %w", errOr(err, "missing"))
	}
	end, err := e.DateTimeEnd(zone)
	if err != nil {
		return nil, fmt.Errorf("DTEND: expected a time in an IANA zone: %w", err)
	}
	whole := e.Props.Get(ical.PropDateTimeStart).ValueType() == ical.ValueDate
	days := 0
	if whole { // days have 23 to 25 hours, and what lasts a day lasts to midnight
		days = int((civil(end).Sub(civil(start)) + 12*time.Hour) / (24 * time.Hour))
		if e.Props.Get(ical.PropDateTimeEnd) == nil && e.Props.Get(ical.PropDuration) == nil {
			days = 1
		}
	}
	if whole && days < 1 || !whole && end.Before(start) {
		return nil, fmt.Errorf("ends before it begins")
	}
	starts, err := repetitions(e, start, zone, from.Add(-end.Sub(start)-48*time.Hour), to)
	if err != nil {
		return nil, err
	}
	var out []schedule.Span
	for _, at := range starts {
		span := schedule.Span{From: at, To: at.Add(end.Sub(start)), What: summary(e)}
		if whole {
			span.To = at.AddDate(0, 0, days)
		}
		if span.From.Before(span.To) && span.From.Before(to) && span.To.After(from) {
			out = append(out, span)
		}
	}
	return out, nil
}

func civil(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func errOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// repetitions lists the starts of an event from `from` to `to`, and its first one.
func repetitions(e ical.Event, start time.Time, zone *time.Location, from, to time.Time) ([]time.Time, error) {
	option, err := e.Props.RecurrenceRule()
	if err != nil {
		return nil, fmt.Errorf("RRULE: %w", err)
	}
	if len(e.Props[ical.PropRecurrenceRule]) > 1 {
		return nil, errors.New("RRULE: expected one")
	}
	extra, err := times(e, ical.PropRecurrenceDates, zone)
	if err != nil {
		return nil, err
	}
	except, err := times(e, ical.PropExceptionDates, zone)
	if err != nil {
		return nil, err
	}
	if option == nil && len(extra) == 0 && len(except) == 0 {
		return []time.Time{start}, nil
	}
	var set rrule.Set
	if option != nil {
		if err := bounded(option, start); err != nil {
			return nil, err
		}
		option.Dtstart = start
		if !option.Until.IsZero() {
			option.Until = until(e.Props.Get(ical.PropRecurrenceRule).Value, option.Until, start.Location())
		}
		rule, err := rrule.NewRRule(*option)
		if err != nil {
			return nil, fmt.Errorf("RRULE: %w", err)
		}
		set.RRule(rule)
	}
	set.DTStart(start)
	for _, t := range append(extra, start) { // the first one counts whether the rule names it or not
		set.RDate(t)
	}
	for _, t := range except {
		set.ExDate(t)
	}
	return set.Between(from, to, true), nil
}

// bounded refuses rules that would take long to go through, since the leader waits for them.
func bounded(o *rrule.ROption, start time.Time) error {
	aDay := max(1, len(o.Byhour)) * max(1, len(o.Byminute)) * max(1, len(o.Bysecond))
	switch {
	case o.Freq > rrule.DAILY || aDay > 24:
		return errors.New("RRULE: expected at most 24 times a day, and FREQ no more often than DAILY")
	case o.Interval < 0 || o.Count < 0:
		return errors.New("RRULE: expected INTERVAL and COUNT above 0")
	case start.Year() < 1970:
		return errors.New("RRULE: expected a start from 1970 on")
	}
	return nil
}

// until is the end of a rule: one without a zone is read in that of the event, and a date is its whole day.
func until(rule string, parsed time.Time, zone *time.Location) time.Time {
	for _, part := range strings.Split(rule, ";") {
		value, ok := strings.CutPrefix(strings.ToUpper(part), "UNTIL=")
		if !ok || strings.HasSuffix(value, "Z") {
			continue
		}
		local := time.Date(parsed.Year(), parsed.Month(), parsed.Day(), parsed.Hour(), parsed.Minute(), parsed.Second(), 0, zone)
		if !strings.Contains(value, "T") {
			return local.AddDate(0, 0, 1).Add(-time.Second)
		}
		return local
	}
	return parsed
}

// times reads a list of times, which may stand on one line or on several.
func times(e ical.Event, name string, zone *time.Location) ([]time.Time, error) {
	var out []time.Time
	for _, prop := range e.Props[name] {
		for _, value := range strings.Split(prop.Value, ",") {
			one := prop
			one.Value = value
			at, err := one.DateTime(zone)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, at)
		}
	}
	return out, nil
}
