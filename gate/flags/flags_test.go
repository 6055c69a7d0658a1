package flags

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestReadToggle(t *testing.T) {
	for value, want := range map[string]Toggle{
		"": Unset, "  \n": Unset, "true": Set, "1": Set, "ON": Set, "yes\n": Set, "true disks are failing": Set,
		"false": Released, "0": Released, "off": Released, "No": Released, "false all clear": Released,
		"tru": Unreadable, "2": Unreadable, "true,": Unreadable, "\"true\"": Unreadable, "{}": Unreadable, "\x00": Unreadable,
	} {
		if got := ReadToggle(value); got != want {
			t.Errorf("ReadToggle(%q) = %d, want %d", value, got, want)
		}
	}
}

func TestReadDelay(t *testing.T) {
	at := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	for value, want := range map[string]Delay{
		"": {}, "false": {Released: true}, "off": {Released: true},
		"2h":                          {For: 2 * time.Hour, Raw: "2h"},
		"1d12h until the audit":       {For: 36 * time.Hour, Raw: "1d12h until the audit"},
		"2026-12-01T08:00:00Z":        {Until: at, Raw: "2026-12-01T08:00:00Z"},
		"tomorrow":                    {Endless: true, Raw: "tomorrow"},
		"true":                        {Endless: true, Raw: "true"},
		"-2h":                         {Endless: true, Raw: "-2h"},
		"2026-12-01":                  {Endless: true, Raw: "2026-12-01"},
		"999999999999999999999999999": {Endless: true, Raw: "999999999999999999999999999"},
	} {
		if diff := cmp.Diff(want, ReadDelay(value)); diff != "" {
			t.Errorf("ReadDelay(%q): %s", value, diff)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name   string
		tree   map[string]string
		freeze Toggle
		pause  Toggle
		back   Toggle
		loud   string
	}{
		{"nothing", map[string]string{"ntp/": "", "freeze": ""}, Unset, Unset, Unset, ""},
		{"pause", map[string]string{"ntp/pause": "true"}, Unset, Set, Unset, ""},
		{"unreadable pause is paused", map[string]string{"ntp/pause": "maybe"}, Unset, Unreadable, Unset, "read as paused"},
		{"unreadable freeze is frozen", map[string]string{"freeze": "x"}, Unreadable, Unset, Unset, "read as frozen"},
		{"unreadable backout pauses", map[string]string{"ntp/backout": "ture", "ntp/pause": "false"}, Unset, Unreadable, Unreadable, "not as backed out"},
		{"backout", map[string]string{"ntp/backout": "yes"}, Unset, Unset, Set, ""},
		{"unknown key pauses", map[string]string{"ntp/puase": "true", "ntp/pause": "false"}, Unset, Unreadable, Unset, "flags/ntp/puase is not a flag"},
		{"a flag in the wrong place freezes", map[string]string{"ntp": "true"}, Unreadable, Unset, Unset, "everything is frozen"},
		{"a flag in the wrong place that sorts first freezes", map[string]string{"canary": "true", "freeze": "false"}, Unreadable, Unset, Unset, "everything is frozen"},
		{"unreadable approval", map[string]string{"ntp/approve/fra1": "ok"}, Unset, Unset, Unset, "not read as an approval"},
		{"force", map[string]string{"force": "many"}, Unset, Unset, Unset, "speed limit holds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Read(c.tree)
			f := r.Rollouts["ntp"]
			if f == nil {
				f = &Rollout{}
			}
			if r.Freeze != c.freeze || f.Pause != c.pause || f.BackOut != c.back {
				t.Errorf("freeze %d pause %d backout %d", r.Freeze, f.Pause, f.BackOut)
			}
			if got := strings.Join(r.Loud, "; "); (c.loud == "") != (got == "") || !strings.Contains(got, c.loud) {
				t.Errorf("loud: %q, want %q", got, c.loud)
			}
		})
	}
}

func never(string) uint64 { return 0 }

func TestLatch(t *testing.T) {
	read := func(kv ...string) Reading {
		tree := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			tree[kv[i]] = kv[i+1]
		}
		return Read(tree)
	}
	l := Latch(Latched{}, read("ntp/pause", "true", "ntp/backout", "true", "freeze", "on"), 5, never)
	if !l.Paused("dns") || !l.Frozen() || !l.BackedOut("ntp") || l.BackedOut("dns") {
		t.Fatalf("after the flags: %+v", l)
	}
	// Everything vanishes, or is emptied: nothing ends.
	for _, r := range []Reading{read(), read("ntp/pause", "", "ntp/backout", "", "freeze", "")} {
		if got := Latch(l, r, 6, never); !got.Frozen() || !got.BackedOut("ntp") || len(got.Pause) != 1 {
			t.Errorf("stops ended by absence: %+v", got)
		}
	}
	// Explicit releases end pause and freeze, never a back-out.
	l = Latch(l, read("ntp/pause", "false", "ntp/backout", "false", "freeze", "off"), 7, never)
	if l.Frozen() || l.Paused("ntp") || !l.BackedOut("ntp") {
		t.Errorf("after the releases: %+v", l)
	}
	unvetoed := func(at uint64) func(string) uint64 { return func(string) uint64 { return at } }
	if got := Latch(l, read("ntp/backout", "false"), 8, unvetoed(5)); !got.BackedOut("ntp") {
		t.Error("an unveto from before the back-out ended it")
	}
	if got := Latch(l, read("ntp/backout", "true"), 8, unvetoed(8)); !got.BackedOut("ntp") {
		t.Error("the back-out ended although its flag still stands")
	}
	l = Latch(l, read("ntp/backout", "false"), 8, unvetoed(8))
	if l.BackedOut("ntp") {
		t.Error("a recorded unveto did not end the back-out")
	}
	if l = Latch(l, read("ntp/backout", "true"), 9, unvetoed(8)); !l.BackedOut("ntp") {
		t.Error("a second back-out did not latch")
	}
}

// Whatever is read, a stop in force is only ended by what ends it.
func TestLatchNeverForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SampledFrom([]string{"freeze", "ntp/pause", "ntp/backout", "ntp/delay", "ntp/x", "ntp", "dns/pause"})
		values := rapid.SampledFrom([]string{"", "true", "false", "x", "0", " "})
		l := Latch(Latched{}, Read(map[string]string{"ntp/backout": "true", "ntp/pause": "true"}), 1, never)
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			tree := map[string]string{}
			for range rapid.IntRange(0, 4).Draw(t, "keys") {
				tree[keys.Draw(t, "key")] = values.Draw(t, "value")
			}
			r := Read(tree)
			next := Latch(l, r, 2, never)
			if !next.BackedOut("ntp") {
				t.Fatalf("back-out lost by %v", tree)
			}
			if f := r.Rollouts["ntp"]; l.Paused("ntp") && !next.Paused("ntp") && l.Freeze == nil && (f == nil || f.Pause != Released) {
				t.Fatalf("pause lost by %v", tree)
			}
			l = next
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add("ntp/pause", "true")
	f.Add("ntp/delay", "1w2d")
	f.Add("force", "12")
	f.Fuzz(func(t *testing.T, key, value string) {
		r := Read(map[string]string{key: value})
		if Latch(Latched{}, r, 1, never).BackedOut("ntp") && (key != "ntp/backout" || ReadToggle(value) != Set) {
			t.Fatalf("%q=%q backs out", key, value)
		}
	})
}
