package schedule

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
	"pgregory.net/rapid"
)

func momentOf(t testing.TB, text string) *Moment {
	t.Helper()
	var m Moment
	if err := m.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return &m
}

// Days that begin or end where the clocks change, at midnight itself too.
func TestMomentDays(t *testing.T) {
	for _, c := range []struct{ zone, day, begin, end string }{
		{"Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"},
		{"Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"},
		{"UTC", "2028-02-29", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"UTC", "2026-12-31", "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z"},
		// Midnight is skipped there, and comes twice here.
		{"America/Santiago", "2026-09-06", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"},
		{"America/Havana", "2026-11-01", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		{"Asia/Beirut", "2026-10-25", "2026-10-24T22:00:00Z", "2026-10-25T22:00:00Z"},
	} {
		m, zone := momentOf(t, c.day), zoneOf(t, c.zone)
		begin, end := m.Begin(zone.Location), m.End(zone.Location)
		if !begin.Equal(instant(t, c.begin)) || !end.Equal(instant(t, c.end)) {
			t.Errorf("%s in %s is %s to %s", c.day, c.zone, begin.UTC(), end.UTC())
		}
	}
}

// A day is exactly the minutes at which the wall shows its date, whatever the clocks do.
func TestDaysAgainstMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone, err := time.LoadLocation(rapid.SampledFrom([]string{"Europe/Berlin", "America/Havana", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe", "Africa/Cairo", "UTC"}).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		day := time.Date(2026, 1, 1+rapid.IntRange(0, 1200).Draw(t, "day"), 0, 0, 0, 0, time.UTC)
		m := Moment{day, true}
		begin, end := m.Begin(zone), m.End(zone)
		seen := false
		for at := day.Add(-16 * time.Hour); at.Before(day.Add(40 * time.Hour)); at = at.Add(time.Minute) {
			y, m, d := at.In(zone).Date()
			today := y == day.Year() && m == day.Month() && d == day.Day()
			// Where midnight comes twice, the hour before is inside too: a freeze is rather longer.
			if inside := !at.Before(begin) && at.Before(end); today && !inside {
				t.Fatalf("%s in %s: %s is today and not inside %s to %s", day.Format(time.DateOnly), zone, at.In(zone), begin, end)
			} else if inside && !today && at.Sub(begin) > time.Hour+time.Minute && end.Sub(at) > time.Hour+time.Minute {
				t.Fatalf("%s in %s: %s is inside and not today", day.Format(time.DateOnly), zone, at.In(zone))
			}
			seen = seen || today
		}
		if !seen {
			t.Fatalf("no minute of %s was looked at", day)
		}
	})
}

// TestCalendarAgainstMinutes compares At and After with a walk minute by minute through windows, freezes and both
// changes of the clocks.
func TestCalendarAgainstMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}).Draw(t, "zone")
		from := rapid.IntRange(0, 1438).Draw(t, "from")
		to := rapid.IntRange(from+1, 1439).Draw(t, "to")
		start := instantOf(rapid.SampledFrom([]string{"2026-03-28", "2026-10-24", "2026-04-04", "2026-10-03", "2026-03-07", "2026-10-31", "2028-02-28", "2026-12-31"}).Draw(t, "day"))
		start = start.Add(time.Duration(rapid.IntRange(0, 1439).Draw(t, "minute")) * time.Minute)
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		stage := Stage{Name: "s", Windows: []string{"w"}}
		calendar := Calendar{Windows: map[string]Window{"w": dayWindow(from, to, location)}}
		for i := range rapid.IntRange(0, 3).Draw(t, "freezes") {
			begin := start.Add(time.Duration(rapid.IntRange(-600, 4000).Draw(t, fmt.Sprint("begin", i))) * time.Minute)
			calendar.Freezes = append(calendar.Freezes, Freeze{Name: "f", Spans: []Span{{From: begin, To: begin.Add(time.Duration(rapid.IntRange(1, 1500).Draw(t, fmt.Sprint("for", i))) * time.Minute)}}})
		}
		work := rapid.IntRange(0, min(900, 3*(to-from))).Draw(t, "work") // a few days
		got, why := calendar.After(stage, start, time.Duration(work)*time.Minute)
		if why != "" {
			t.Fatal(why)
		}
		open := func(at time.Time) bool {
			local := at.In(location)
			minute := local.Hour()*60 + local.Minute()
			for _, f := range calendar.Freezes {
				if !at.Before(f.Spans[0].From) && at.Before(f.Spans[0].To) {
					return false
				}
			}
			return minute >= from && minute < to
		}
		done, at, was := 0, start, !open(start)
		for ; done < work || !open(at); at = at.Add(time.Minute) {
			if now := open(at); now != was || at.Minute()%30 == 7 { // At is slow, so not at every minute
				was = now
				if isOpen, _, _ := calendar.At(stage, at); isOpen != now {
					t.Fatalf("at %s: %t", at, isOpen)
				}
			}
			if done == work && work > 0 {
				break // the last minute of the work has ended, the window perhaps with it
			}
			if open(at) {
				done++
			}
		}
		// Work that ends as the window closes may be told at the next opening, at which the next step is possible.
		if !got.Equal(at) && !(work > 0 && !open(at) && got.After(at)) {
			t.Fatalf("after %d minutes from %s: %s, by the minute %s", work, start, got.UTC(), at.UTC())
		}
	})
}

func instantOf(day string) time.Time {
	at, _ := time.Parse(time.DateOnly, day) // the days above are days
	return at
}

func TestFrozen(t *testing.T) {
	at := instant(t, "2026-12-24T12:00:00Z")
	span := Span{From: at.Add(-time.Hour), To: at.Add(time.Hour), What: "Christmas"}
	for name, c := range map[string]struct {
		freezes []Freeze
		want    string
		next    time.Time
	}{
		"none":           {nil, "", time.Time{}},
		"over":           {[]Freeze{{Name: "f", Spans: []Span{{From: at.Add(-time.Hour), To: at}}}}, "", time.Time{}},
		"to come":        {[]Freeze{{Name: "f", Spans: []Span{{From: at.Add(1), To: at.Add(2)}}}}, "", time.Time{}},
		"inside":         {[]Freeze{{Name: "f", Spans: []Span{span}}}, "freeze f (Christmas) until 2026-12-24T13:00:00Z", span.To},
		"unreadable":     {[]Freeze{{Name: "f", Err: "no such file"}}, "freeze f cannot be read, so it holds: no such file", time.Time{}},
		"beyond":         {[]Freeze{{Name: "f", Until: at}}, "freeze f is not known beyond 2026-12-24T12:00:00Z, so it holds", time.Time{}},
		"not yet beyond": {[]Freeze{{Name: "f", Until: at.Add(1)}}, "", time.Time{}},
	} {
		reason, next, frozen := Frozen(c.freezes, at)
		if reason != c.want || frozen != (c.want != "") || !next.Equal(c.next) {
			t.Errorf("%s: %q, %s, %t", name, reason, next, frozen)
		}
	}
}

func TestTimeline(t *testing.T) {
	berlin := zoneOf(t, "Europe/Berlin")
	stage := func(name string, bake time.Duration) Stage {
		return Stage{Name: name, Windows: []string{BusinessHours}, TimeZone: &berlin, Bake: Bake{Time: model.Duration(bake), Runs: 2}}
	}
	s := Schedule{Stages: []Stage{stage("one", time.Hour), stage("two", 24*time.Hour), stage("three", time.Hour)}}
	freeze := Freeze{Name: "x", Spans: []Span{{From: instant(t, "2026-03-30T00:00:00+02:00"), To: instant(t, "2026-03-31T00:00:00+02:00")}}}
	// A Friday; summer time begins on Sunday, and Monday is frozen.
	got := s.Timeline(Calendar{Presets(), []Freeze{freeze}}, instant(t, "2026-03-27T16:30:00+01:00"), 30*time.Minute, []Pace{{}, {Waves: 3}, {Limit: 10 * time.Hour}})
	for i, want := range []Passage{
		{instant(t, "2026-03-27T16:30:00+01:00"), instant(t, "2026-03-27T16:30:00+01:00"), instant(t, "2026-03-27T17:30:00+01:00")},
		{instant(t, "2026-03-31T09:00:00+02:00"), instant(t, "2026-03-31T10:00:00+02:00"), instant(t, "2026-04-01T10:00:00+02:00")},
		{instant(t, "2026-04-01T10:00:00+02:00"), instant(t, "2026-04-02T12:00:00+02:00"), instant(t, "2026-04-02T13:00:00+02:00")},
	} {
		e := got[i].Expected
		if !e.Begin.Equal(want.Begin) || !e.Full.Equal(want.Full) || !e.End.Equal(want.End) || got[i].Never != "" {
			t.Errorf("stage %d: %s %s %s %s", i, e.Begin, e.Full, e.End, got[i].Never)
		}
		if got[i].Earliest.End.After(e.End) {
			t.Errorf("stage %d: the earliest end is after the expected one", i)
		}
	}
	never := s.Timeline(Calendar{Presets(), []Freeze{{Name: "x", Err: "gone"}}}, t0(), 0, make([]Pace, 3))
	if !strings.Contains(never[0].Never, "gone") || never[2].Never == "" {
		t.Errorf("an unreadable freeze ends: %+v", never)
	}
}

func t0() time.Time { return time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC) }

func TestLint(t *testing.T) {
	over := parseWindow(t, `{time_zone: UTC, years: ["2020:2025"]}`)
	s := Schedule{Stages: []Stage{
		{Name: "first", Segment: "y", Percent: Hundred, Pass: PassCertified},
		{Name: "a", Segment: "x", Percent: Hundred, Bake: Bake{Time: 7200e9, Runs: 3}, Pass: PassCertified},
		{Name: "b", Percent: Hundred / 2, Bake: Bake{Time: 3600e9, Runs: 2}, Pass: PassClean, Windows: []string{"over"}},
	}}
	var text string
	for _, w := range s.Lint("schedules.s", map[string]Window{"over": over}, t0()) {
		text += w.Path + ": " + w.Text + "\n"
	}
	for _, want := range []string{
		"stages[1]: stage a: takes all of segment x: no control is left", "stages[2]: stage b: bakes for 1h, less than the 2h", "needs 2 runs, less than the 3",
		"needs a clean pass", "its windows [over] do not open", "the last stage must admit everyone",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if pace := s.LintPace("schedules.s"); len(pace) != 0 {
		t.Errorf("how large b is follows segment x, and yet: %v", pace)
	}
	whole := Schedule{Stages: []Stage{{Name: "whole", Percent: Hundred}, {Name: "rest", Percent: Hundred, Pass: PassCertified}}}
	for _, want := range []string{"stage whole: takes everyone with no holdback: no control is left", "stage rest: asks for a certified pass with no holdback of its own"} {
		if got := fmt.Sprint(whole.Lint("schedules.s", nil, t0())); !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
	two := 2 * Hundred / 100
	if whole.Holdback = &two; len(whole.Lint("schedules.s", nil, t0())) != 0 {
		t.Error("the holdback keeps a control, and yet", whole.Lint("schedules.s", nil, t0()))
	}
	s.Stages = []Stage{{Name: "c", Percent: Hundred / 10}, s.Stages[2]}
	if pace := s.LintPace("schedules.s"); len(pace) != 1 || !strings.Contains(pace[0].Text, "stage b: adds 40% of the fleet") {
		t.Errorf("%v", pace)
	}
	if err := s.NeverOpens("p", map[string]Window{"over": over}, t0()); err == nil {
		t.Error("a window that never opens is accepted")
	}
}

// dayWindow is every day from one minute to another.
func dayWindow(from, to int, zone *time.Location) Window {
	w := Presets()[BusinessHours]
	w.Weekdays = nil
	w.Times = []timeinterval.TimeRange{{StartMinute: from, EndMinute: to}}
	return w.In(&timeinterval.Location{Location: zone})
}
