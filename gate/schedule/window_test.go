package schedule

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

func parseWindow(t testing.TB, text string) Window {
	t.Helper()
	var window Window
	if err := yaml.Unmarshal([]byte(text), &window); err != nil {
		t.Fatalf("window %q: %v", text, err)
	}
	if err := window.Validate("windows.test"); err != nil {
		t.Fatalf("window %q: %v", text, err)
	}
	return window
}

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

const office = `{time_zone: Europe/Berlin, times: [{start_time: "09:00", end_time: "17:00"}], weekdays: ["monday:friday"]}`

func TestWindow(t *testing.T) {
	const nights = `{time_zone: Europe/Berlin, times: [{start_time: "02:15", end_time: "02:45"}]}`
	for _, test := range []struct {
		why, window, at string
		contains        bool
		next            string // "" for never
	}{
		{"inside", office, "2026-07-01T10:00:00+02:00", true, "2026-07-01T15:00:00Z"},
		{"the start is inside", office, "2026-07-01T09:00:00+02:00", true, "2026-07-01T15:00:00Z"},
		{"the end is outside", office, "2026-07-01T17:00:00+02:00", false, "2026-07-02T07:00:00Z"},
		{"friday evening to monday", office, "2026-07-03T18:00:00+02:00", false, "2026-07-06T07:00:00Z"},
		{"summer time begins over the weekend", office, "2026-03-27T18:00:00+01:00", false, "2026-03-30T07:00:00Z"},
		{"winter time begins over the weekend", office, "2026-10-23T18:00:00+02:00", false, "2026-10-26T08:00:00Z"},
		{"the zone of the question does not matter", office, "2026-07-01T16:30:00+09:00", true, "2026-07-01T15:00:00Z"},

		{"a half hour that the clocks skip never comes", nights, "2026-03-29T01:59:00+01:00", false, "2026-03-30T00:15:00Z"},
		{"a half hour that the clocks repeat: first", nights, "2026-10-25T02:00:00+02:00", false, "2026-10-25T00:15:00Z"},
		{"a half hour that the clocks repeat: between", nights, "2026-10-25T02:50:00+02:00", false, "2026-10-25T01:15:00Z"},
		{"a half hour that the clocks repeat: again", nights, "2026-10-25T02:20:00+01:00", true, "2026-10-25T01:45:00Z"},
		{"the clocks jump into the window", `{time_zone: Europe/Berlin, times: [{start_time: "02:30", end_time: "04:00"}]}`,
			"2026-03-29T01:30:00+01:00", false, "2026-03-29T01:00:00Z"},
		{"the clocks jump out of the window", `{time_zone: Europe/Berlin, times: [{start_time: "01:00", end_time: "02:30"}]}`,
			"2026-03-29T01:30:00+01:00", true, "2026-03-29T01:00:00Z"},

		{"the 31st of a month with a short day", `{time_zone: Europe/Berlin, days_of_month: ["31"]}`,
			"2026-03-30T12:00:00+02:00", false, "2026-03-30T22:00:00Z"},
		{"the last day of a month with a short day", `{time_zone: Europe/Berlin, days_of_month: ["-1"]}`,
			"2026-03-31T12:00:00+02:00", true, "2026-03-31T22:00:00Z"},
		{"a leap day", `{time_zone: UTC, months: ["february"], days_of_month: ["29:29"]}`,
			"2026-03-01T00:00:00Z", false, "2028-02-29T00:00:00Z"},
		{"years that are over", `{time_zone: UTC, years: ["2020:2025"]}`, "2026-01-01T00:00:00Z", false, ""},
		{"midnight does not end a window", `{time_zone: UTC, weekdays: ["saturday:saturday", "sunday"]}`,
			"2026-07-04T12:00:00Z", true, "2026-07-06T00:00:00Z"},
		{"to 24:00", `{time_zone: UTC, times: [{start_time: "22:00", end_time: "24:00"}]}`,
			"2026-07-04T23:00:00Z", true, "2026-07-05T00:00:00Z"},
		{"a zone off by a quarter hour", `{time_zone: Asia/Kathmandu, times: [{start_time: "09:00", end_time: "10:00"}]}`,
			"2026-07-04T03:00:00Z", false, "2026-07-04T03:15:00Z"},
		{"two intervals with zones of their own", `{time_intervals: [
			{location: Europe/Berlin, times: [{start_time: "09:00", end_time: "10:00"}]},
			{location: America/New_York, times: [{start_time: "03:00", end_time: "05:00"}]}]}`,
			"2026-07-01T07:00:00Z", true, "2026-07-01T09:00:00Z"},
	} {
		window, at := parseWindow(t, test.window), instant(t, test.at)
		if got := window.Contains(at); got != test.contains {
			t.Errorf("%s: contains %s = %t", test.why, test.at, got)
		}
		next := window.NextChange(at)
		if want := test.next; want == "" && !next.IsZero() || want != "" && !next.Equal(instant(t, want)) {
			t.Errorf("%s: next change after %s = %s, want %q", test.why, test.at, next.Format(time.RFC3339), want)
		}
	}
}

func TestWindowWithoutZoneOrLimitContainsNothing(t *testing.T) {
	at := instant(t, "2026-07-01T10:00:00+02:00")
	for _, text := range []string{`{}`, `{time_zone: UTC}`, `{weekdays: ["sunday:saturday"]}`, `{time_zone: UTC, times: []}`} {
		var window Window
		if err := yaml.Unmarshal([]byte(text), &window); err != nil {
			t.Fatal(err)
		}
		if window.Contains(at) || !window.NextChange(at).IsZero() {
			t.Errorf("%s contains %s", text, at)
		}
		if err := window.Validate("windows.test"); err == nil {
			t.Errorf("%s is valid", text)
		}
	}
}

// TestNextChangeAgainstMinutes compares NextChange with a walk minute by
// minute around both changes of the clocks.
func TestNextChangeAgainstMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"}).Draw(t, "zone")
		from := rapid.IntRange(0, 1438).Draw(t, "from")
		to := rapid.IntRange(from+1, 1439).Draw(t, "to")
		text := fmt.Sprintf(`{time_zone: %s, times: [{start_time: "%02d:%02d", end_time: "%02d:%02d"}]}`, zone, from/60, from%60, to/60, to%60)
		var window Window
		if err := yaml.Unmarshal([]byte(text), &window); err != nil {
			t.Fatal(err)
		}
		day := rapid.SampledFrom([]string{"2026-03-28", "2026-10-24", "2026-04-04", "2026-10-03", "2026-03-07", "2026-10-31"}).Draw(t, "day")
		start, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		start = start.Add(time.Duration(rapid.IntRange(0, 1439).Draw(t, "minute")) * time.Minute)
		want := start
		for window.Contains(want) == window.Contains(start) {
			want = want.Add(time.Minute)
		}
		if got := window.NextChange(start); !got.Equal(want) {
			t.Fatalf("%s: next change after %s = %s, want %s", text, start, got, want)
		}
	})
}

func TestWindowJSONRoundTrip(t *testing.T) {
	for _, text := range []string{office, `{time_intervals: [{location: UTC, days_of_month: ["1:5", "-1"], months: ["1:3", december], years: ["2026"]}]}`} {
		want := parseWindow(t, text)
		want.Name = "office"
		data, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Window
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)); diff != "" && !sameAnswers(want, got) {
			t.Errorf("%s: %s", data, diff)
		}
		again, err := json.Marshal(got)
		if err != nil || string(again) != string(data) {
			t.Errorf("written again as %s, %v, want %s", again, err, data)
		}
	}
}

func sameAnswers(a, b Window) bool {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 1000 {
		next := a.NextChange(at)
		if a.Contains(at) != b.Contains(at) || !next.Equal(b.NextChange(at)) {
			return false
		}
		if next.IsZero() {
			return true
		}
		at = next
	}
	return true
}

func TestOpen(t *testing.T) {
	windows := map[string]Window{
		"morning":   parseWindow(t, `{time_zone: UTC, times: [{start_time: "08:00", end_time: "12:00"}]}`),
		"afternoon": parseWindow(t, `{time_zone: UTC, times: [{start_time: "12:00", end_time: "18:00"}]}`),
		"over":      parseWindow(t, `{time_zone: UTC, years: ["2020"]}`),
	}
	for _, test := range []struct {
		names []string
		at    string
		want  Opening
	}{
		{nil, "2026-07-01T03:00:00Z", Opening{Open: true}},
		{[]string{"morning"}, "2026-07-01T09:00:00Z", Opening{true, "morning", instant(t, "2026-07-01T12:00:00Z")}},
		{[]string{"afternoon", "morning"}, "2026-07-01T09:00:00Z", Opening{true, "morning", instant(t, "2026-07-01T18:00:00Z")}},
		{[]string{"afternoon", "morning"}, "2026-07-01T19:00:00Z", Opening{false, "", instant(t, "2026-07-02T08:00:00Z")}},
		{[]string{"over"}, "2026-07-01T19:00:00Z", Opening{}},
	} {
		got, err := Open(test.names, windows, instant(t, test.at))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("Open(%v, %s) (-want +got):\n%s", test.names, test.at, diff)
		}
	}
	if got, err := Open([]string{"morning", "gone"}, windows, instant(t, "2026-07-01T09:00:00Z")); err == nil || got.Open {
		t.Errorf("an unknown window is %+v, %v, want closed and an error", got, err)
	}
}
