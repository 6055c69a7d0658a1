package ical

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate/schedule"
)

func calendar(events ...string) string {
	text := "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n"
	for i, e := range events {
		text += fmt.Sprintf("BEGIN:VEVENT\nUID:%d\nDTSTAMP:20260101T000000Z\n%s\nEND:VEVENT\n", i, e)
	}
	return strings.ReplaceAll(text+"END:VCALENDAR\n", "\n", "\r\n")
}

func berlin(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func read(t testing.TB, text string) ([]schedule.Span, error) {
	t.Helper()
	return Read(strings.NewReader(text), berlin(t), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 12, 31, 0, 0, 0, 0, time.UTC))
}

func TestRead(t *testing.T) {
	for name, c := range map[string]struct{ event, want string }{
		"a time in UTC":          {"SUMMARY:sale\nDTSTART:20261127T060000Z\nDTEND:20261127T200000Z", "2026-11-27T06:00Z/2026-11-27T20:00Z"},
		"a time with a zone":     {"DTSTART;TZID=America/New_York:20261127T060000\nDTEND;TZID=America/New_York:20261127T200000", "2026-11-27T11:00Z/2026-11-28T01:00Z"},
		"a time without a zone":  {"DTSTART:20261127T060000\nDURATION:PT2H", "2026-11-27T05:00Z/2026-11-27T07:00Z"},
		"a whole day":            {"DTSTART;VALUE=DATE:20261225", "2026-12-24T23:00Z/2026-12-25T23:00Z"},
		"the day of 23 hours":    {"DTSTART;VALUE=DATE:20260329\nDTEND;VALUE=DATE:20260330", "2026-03-28T23:00Z/2026-03-29T22:00Z"},
		"the day of 25 hours":    {"DTSTART;VALUE=DATE:20261025\nDTEND;VALUE=DATE:20261026", "2026-10-24T22:00Z/2026-10-25T23:00Z"},
		"several days":           {"DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20270102", "2026-12-23T23:00Z/2027-01-01T23:00Z"},
		"a leap day":             {"DTSTART;VALUE=DATE:20280229", "2028-02-28T23:00Z/2028-02-29T23:00Z"},
		"every year":             {"DTSTART;VALUE=DATE:20201224\nDTEND;VALUE=DATE:20201227\nRRULE:FREQ=YEARLY", "2026-12-23T23:00Z/2026-12-26T23:00Z 2027-12-23T23:00Z/2027-12-26T23:00Z 2028-12-23T23:00Z/2028-12-26T23:00Z"},
		"wall time in both":      {"DTSTART;TZID=Europe/Berlin:20260328T020000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3", "2026-03-28T01:00Z/2026-03-28T02:00Z 2026-03-29T01:00Z/2026-03-29T02:00Z 2026-03-30T00:00Z/2026-03-30T01:00Z"},
		"the last of the month":  {"DTSTART;VALUE=DATE:20261030\nRRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=2", "2026-10-29T23:00Z/2026-10-30T23:00Z 2026-11-26T23:00Z/2026-11-27T23:00Z"},
		"to a date, inclusive":   {"DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=DAILY;UNTIL=20260702", "2026-06-30T22:00Z/2026-07-01T22:00Z 2026-07-01T22:00Z/2026-07-02T22:00Z"},
		"exceptions on one line": {"DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=DAILY;COUNT=4\nEXDATE;VALUE=DATE:20260702,20260703", "2026-06-30T22:00Z/2026-07-01T22:00Z 2026-07-03T22:00Z/2026-07-04T22:00Z"},
		"more dates":             {"DTSTART;VALUE=DATE:20260701\nRDATE;VALUE=DATE:20260705", "2026-06-30T22:00Z/2026-07-01T22:00Z 2026-07-04T22:00Z/2026-07-05T22:00Z"},
		"cancelled":              {"STATUS:CANCELLED\nDTSTART;VALUE=DATE:20261225", ""},
		"over":                   {"DTSTART;VALUE=DATE:20251225", ""},
		"began before, lasts":    {"DTSTART:20251201T000000Z\nDTEND:20260201T000000Z", "2025-12-01T00:00Z/2026-02-01T00:00Z"},
	} {
		spans, err := read(t, calendar(c.event))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, s := range spans {
			got = append(got, s.From.UTC().Format("2006-01-02T15:04Z")+"/"+s.To.UTC().Format("2006-01-02T15:04Z"))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, text, c.want)
		}
	}
}

// A date until which a rule holds is the zone's date, west of Greenwich too.
func TestUntilInTheWest(t *testing.T) {
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	spans, err := Read(strings.NewReader(calendar("DTSTART;VALUE=DATE:20260701\nRRULE:FREQ=DAILY;UNTIL=20260703")), zone, time.Date(2026, 1, 1, 0, 0, 0, 0, zone), time.Date(2027, 1, 1, 0, 0, 0, 0, zone))
	if err != nil || len(spans) != 3 {
		t.Errorf("%d days, %v", len(spans), err)
	}
}

// Whatever is not understood is an error, since the freeze must hold then.
func TestReadRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty":              "",
		"text":               "hello\r\n",
		"torn line":          "0;0=",
		"every second":       calendar("DTSTART;VALUE=DATE:20261127\nRRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=1,2,3,4,5"),
		"for ever":           calendar("DTSTART;VALUE=DATE:00010101\nRRULE:FREQ=DAILY"),
		"torn":               strings.TrimSuffix(calendar("DTSTART;VALUE=DATE:20261225"), "END:VCALENDAR\r\n"),
		"unknown zone":       calendar("DTSTART;TZID=W. Europe Standard Time:20261127T060000\nDURATION:PT1H"),
		"no start":           calendar("SUMMARY:x"),
		"no date":            calendar("DTSTART;VALUE=DATE:2026-12-25"),
		"day 30 of february": calendar("DTSTART;VALUE=DATE:20260230"),
		"backwards":          calendar("DTSTART:20261127T060000Z\nDTEND:20261126T060000Z"),
		"days backwards":     calendar("DTSTART;VALUE=DATE:20261127\nDTEND;VALUE=DATE:20261126"),
		"rule":               calendar("DTSTART;VALUE=DATE:20261127\nRRULE:FREQ=SOMETIMES"),
		"too often":          calendar("DTSTART:20261127T060000Z\nDURATION:PT1M\nRRULE:FREQ=SECONDLY"),
		"exception":          calendar("DTSTART;VALUE=DATE:20261127\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:soon"),
		"status":             calendar("DTSTART;VALUE=DATE:20261127\nSTATUS:MAYBE"),
	} {
		if spans, err := read(t, text); err == nil {
			t.Errorf("%s: read as %v", name, spans)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holidays.ics")
	if _, err := File(path, time.UTC, time.Time{}, time.Now()); err == nil {
		t.Error("a file that is not there was read")
	}
	if err := os.WriteFile(path, []byte(calendar("DTSTART:20261127T060000Z")), 0o600); err != nil {
		t.Fatal(err)
	}
	if spans, err := File(path, time.UTC, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil || len(spans) != 0 {
		t.Errorf("an event without a length freezes: %v, %v", spans, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(calendar("DTSTART;VALUE=DATE:20261225\nRRULE:FREQ=YEARLY"))
	f.Add(calendar("DTSTART;TZID=Europe/Berlin:20261127T060000\nDURATION:PT2H\nRRULE:FREQ=WEEKLY;BYDAY=MO\nEXDATE;TZID=Europe/Berlin:20261130T060000"))
	f.Fuzz(func(t *testing.T, text string) {
		from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		spans, err := Read(strings.NewReader(text), time.UTC, from, to)
		if err != nil && spans != nil {
			t.Fatal("times beside an error")
		}
		for _, s := range spans {
			if !s.From.Before(to) || !s.To.After(from) {
				t.Fatalf("%v is outside", s)
			}
		}
	})
}
