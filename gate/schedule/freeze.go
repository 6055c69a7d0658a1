package schedule

import (
	"fmt"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// FreezeRule is a time in which nothing goes forward: the events of an iCal
// file, or From to To, of which a date counts as the whole day.
type FreezeRule struct {
	ICal string  `yaml:"ical,omitempty" json:"ical,omitempty"`
	From *Moment `yaml:"from,omitempty" json:"from,omitempty"`
	To   *Moment `yaml:"to,omitempty" json:"to,omitempty"`
	// TimeZone is needed by dates, and by events without a zone.
	TimeZone *timeinterval.Location `yaml:"time_zone,omitempty" json:"time_zone,omitempty"`
}

// Validate returns everything that is wrong with the rule, each a *FieldError.
func (r FreezeRule) Validate(path string) error {
	var f fields
	validateZone(&f, path+".time_zone", r.TimeZone)
	dates := r.From != nil && r.From.date || r.To != nil && r.To.date
	switch {
	case (r.ICal != "") == (r.From != nil || r.To != nil):
		f.add(path, "expected either ical, or from and to")
	case r.ICal == "" && (r.From == nil || r.To == nil):
		f.add(path, "expected both from and to")
	case (dates || r.ICal != "") && r.TimeZone == nil:
		f.add(path+".time_zone", "expected an IANA zone such as Europe/Berlin, in which days begin and end")
	case r.ICal == "" && len(f.errs) == 0:
		if span := r.Span(); !span.From.Before(span.To) {
			f.add(path+".to", "is not after from")
		}
	}
	return f.err()
}

// Zone is where the rule's days begin; UTC where nobody said.
func (r FreezeRule) Zone() *time.Location {
	if r.TimeZone == nil || r.TimeZone.Location == nil {
		return time.UTC
	}
	return r.TimeZone.Location
}

// Span is the time from From to To.
func (r FreezeRule) Span() Span {
	return Span{From: r.From.Begin(r.Zone()), To: r.To.End(r.Zone())}
}

// Span is a time from From, inside, to To, outside.
type Span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	What string    `json:"what,omitempty"`
}

// Freeze is a named freeze with its times as far as they are known.
type Freeze struct {
	Name  string
	Spans []Span
	// Until bounds what is known: from then on the spans say nothing. Zero is no bound.
	Until time.Time
	// Err says why nothing is known: everything is frozen then.
	Err string
}

// Frozen says which freeze holds at t and, where known, until when that one
// does at the earliest. A freeze about which nothing is known holds.
func Frozen(freezes []Freeze, t time.Time) (reason string, next time.Time, frozen bool) {
	for _, f := range freezes {
		if f.Err != "" {
			return fmt.Sprintf("freeze %s cannot be read, so it holds: %s", f.Name, f.Err), time.Time{}, true
		}
		if !f.Until.IsZero() && !t.Before(f.Until) {
			return fmt.Sprintf("freeze %s is not known beyond %s, so it holds", f.Name, f.Until.UTC().Format(time.RFC3339)), time.Time{}, true
		}
	}
	for _, f := range freezes {
		for _, s := range f.Spans {
			if t.Before(s.From) || !t.Before(s.To) || !next.IsZero() && !s.To.After(next) {
				continue
			}
			what := f.Name
			if s.What != "" {
				what += " (" + s.What + ")"
			}
			reason, next, frozen = fmt.Sprintf("freeze %s until %s", what, s.To.UTC().Format(time.RFC3339)), s.To, true
		}
	}
	return reason, next, frozen
}

// nextFreeze returns the first beginning of a freeze after t, or zero.
func nextFreeze(freezes []Freeze, t time.Time) time.Time {
	var next time.Time
	for _, f := range freezes {
		for _, s := range f.Spans {
			if s.From.After(t) && (next.IsZero() || s.From.Before(next)) {
				next = s.From
			}
		}
		if f.Until.After(t) && (next.IsZero() || f.Until.Before(next)) {
			next = f.Until
		}
	}
	return next
}
