package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/openinfrastructure/sluice/gate/schedule"
)

const christmas = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Christmas\r\nDTSTART;VALUE=DATE:20261224\r\nDTEND;VALUE=DATE:20261227\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"

// A freeze file that is gone, torn or unreadable closes the gate; one that is changed counts at the next look.
func TestFreezeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "holidays.ics")
	rules := map[string]schedule.FreezeRule{"holidays": {ICal: path, TimeZone: &timeinterval.Location{Location: time.UTC}}}
	now, eve := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC), time.Date(2026, 12, 24, 12, 0, 0, 0, time.UTC)
	var f freezes
	closed := func(at time.Time, want string) {
		t.Helper()
		reason, _, frozen := schedule.Frozen(f.read(rules, at), at)
		if frozen != (want != "") || !strings.Contains(reason, want) {
			t.Errorf("at %s: %t, %q; want %q", at, frozen, reason, want)
		}
	}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	closed(now, "no such file")
	write(christmas)
	closed(now, "")
	closed(eve, "Christmas")
	closed(eve.AddDate(0, 0, 3), "") // a day later it is read again
	write(christmas[:60])
	closed(now, "no iCal file")
	write(christmas)
	closed(now, "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	closed(now, "no such file")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	closed(now, "is a directory")
}
