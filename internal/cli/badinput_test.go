package cli

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

const badBase = "puppetdb: {url: \"http://127.0.0.1:1\"}\ntracks: {production: {}}\n"

// TestBadInput is what people see of a configuration that is wrong, or in order and of no use.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	home, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	fleetFile(t, dir, 4)
	s, text := newSite(t), ""
	for _, c := range []struct{ file, conf string }{
		{"unknown-zone.yml", "windows: {w: {time_zone: Europe/Berlln, weekdays: [monday]}}\nschedules: {s: {stages: [{name: all}]}}\n"},
		{"never-opens.yml", "windows: {w: {time_zone: UTC, years: [\"2020:2021\"]}}\nschedules: {s: {stages: [{name: all, windows: [w]}]}}\n"},
		{"no-freeze-file.yml", "freezes: {holidays: {ical: gone.ics, time_zone: Europe/Berlin}}\nschedules: {s: {stages: [{name: all}]}}\n"},
		{"nobody.yml", "segments: {none: '{certname=\"gone.example.com\"}'}\nschedules: {s: {stages: [{name: a, segment: none, percent: 50%}, {name: all}]}}\n"},
	} {
		write(t, filepath.Join(dir, c.file), badBase+c.conf)
		text += s.transcript("plan", "ntp", "--schedule", "s", "--inventory", "inventory.json", "--config.file", c.file, "--start", "2026-12-04T08:00:00Z")
	}
	t.Chdir(home)
	golden(t, "badinput.txt", text)
}

// TestStackedFits: on a terminal no line of a plan's tables is wider than it, and nothing but segments' names and sentences is cut.
func TestStackedFits(t *testing.T) {
	rows := [][]cell{texts("STAGE", "SEGMENT", "NEW", "TOTAL", "BEGINS", "ENDS"),
		texts("dc-fra1-1", "datacenters-dc-fra1-with-a-rather-long-name (200)", "1234", "5678", "Fri 2026-12-04 10:00 CET", "Fri 2026-12-04 15:00 CET"),
		texts("dc-rest", "everyone (400)", "1", "2", "never: outside business_hours, and nothing tells when that ends, whoever asks for it")}
	for _, width := range []int{0, 70, 80, 100, 120, 300} {
		var b bytes.Buffer
		stacked(&b, &look{width: width}, rows, 4)
		for _, line := range strings.Split(b.String(), "\n") {
			if width > 0 && widthOf(line) > width {
				t.Errorf("%d columns, and a line of %d: %q", width, widthOf(line), line)
			}
		}
		for _, want := range []string{"dc-fra1-1", "1234", "5678", "Fri 2026-12-04 15:00 CET"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%d columns: no %q in\n%s", width, want, b.String())
			}
		}
		const name = "datacenters-dc-fra1-with-a-rather-long-name (200)" // whole where cutting the table once more leaves room for it
		var more bytes.Buffer
		stacked(&more, &look{width: width}, rows, 2, 4)
		if !strings.Contains(b.String(), name) && width != 70 || !strings.Contains(more.String(), name) {
			t.Errorf("%d columns: the segment is cut\n%s\n%s", width, b.String(), more.String())
		}
		if one := width == 0 || width == 300; one != (strings.Count(b.String(), "dc-rest") == 1) {
			t.Errorf("%d columns:\n%s", width, b.String())
		}
	}
}

// TestCutNamesDiffer: names that a template makes differ at their end, and are told apart when they are cut.
func TestCutNamesDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"regions-dc-ams1 (735)", "regions-dc-fra1 (735)", "regions-dc-rest (0)", "everyone (3000)", "regions-dc-ämß1 (735)"} {
		for most := 13; most < 24; most++ {
			got := fitCounted(name, most)
			if widthOf(got) > most || !strings.HasSuffix(got, name[strings.Index(name, " ("):]) || (got == name) != (widthOf(name) <= most) {
				t.Errorf("%q in %d columns is %q", name, most, got)
			}
			if got != name && seen[got] {
				t.Errorf("%q stands for two", got)
			}
			seen[got] = true
		}
	}
}

// TestWhyFits: what why says goes on below itself on a terminal, and nothing of it is lost.
func TestWhyFits(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", func(r *tree.Rollout) { r.State.Stages, r.State.Phase, r.Status.Planned = nil, gate.Waiting, nil })
	set := segments.NewSet([]string{"web1.example.com"})
	s.put(edge.SetKey(set.Digest, 0), string(set.Data))
	s.publish(func(d *segments.Document) { d.Tracks[0].Members, d.Sets = set.Digest, map[string]int{set.Digest: 1} })
	at := func(width int) string {
		p := *s.p
		p.terminal = func(io.Writer) *screen {
			return &screen{size: func() (int, int) { return width, 50 }}
		}
		var out, errOut bytes.Buffer
		if code := p.run(t.Context(), []string{"why", "web1.example.com", "--no-color"}, strings.NewReader(""), &out, &errOut); code != ExitOK {
			t.Fatalf("exit %d, %s", code, &errOut)
		}
		return out.String()
	}
	_, whole, _ := s.run("why", "web1.example.com")
	for _, width := range []int{80, 100, 120} {
		text := at(width)
		for _, line := range strings.Split(text, "\n") {
			if widthOf(line) >= width {
				t.Errorf("%d columns, and a line of %d: %q", width, widthOf(line), line)
			}
		}
		for _, word := range strings.Fields(whole) {
			if !strings.Contains(text, word) {
				t.Errorf("%d columns: no %q in\n%s", width, word, text)
			}
		}
	}
}

// TestSentencesFold: on a terminal a gate's sentence and a paragraph go on below themselves, and no word of them is lost.
func TestSentencesFold(t *testing.T) {
	const sentence = "6 of 10 live admitted nodes have run the change, 95 % needed; not yet: web-0000231.iad1.example.test, web-0000414.iad1.example.test"
	rows := [][]cell{texts("  coverage", "✖ closed", sentence), texts("  bake", "✔ open", "baked")}
	for _, width := range []int{0, 30, 80, 120, 400} {
		var b bytes.Buffer
		l := &look{width: width}
		tableFolded(&b, l, rows)
		paragraph(&b, l, 4, sentence)
		if got := strings.Count(strings.Join(strings.Fields(b.String()), " "), "not yet: web-0000231.iad1.example.test, web-0000414.iad1.example.test"); got != 2 && width != 30 {
			t.Errorf("%d columns: the sentence is there %d times in\n%s", width, got, b.String())
		}
		for _, line := range strings.Split(b.String(), "\n") {
			if width >= 80 && widthOf(line) > width {
				t.Errorf("%d columns, and a line of %d: %q", width, widthOf(line), line)
			}
		}
		if folded := strings.Count(b.String(), "\n") > 3; folded != (width > 0 && width < 400) {
			t.Errorf("%d columns:\n%s", width, b.String())
		}
	}
}
