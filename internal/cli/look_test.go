package cli

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

var sgr = regexp.MustCompile("\x1b\\[[0-9]*m")

// drawn is what a screen of that width shows of rollout ntp.
func (s *site) drawn(l *look) string {
	s.t.Helper()
	snap, err := tree.Read(s.t.Context(), s.store)
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	renderAll(&b, l, []rolloutView{viewOf(snap, snap.Rollout("ntp"), s.now)}, "", s.now)
	return b.String()
}

// busySite has something in every place of the view.
func busySite(t *testing.T) *site {
	s := newSite(t)
	s.publish(func(d *segments.Document) { d.Tracks[0].Nodes = 12_000 })
	s.edge("puppet1.example.com", nil)
	s.edge("puppet2.example.com", func(e *edge.Status) {
		e.Clamped = []string{"ntp stage quarter: at 12 % of 4000 nodes, published 25 %: waits for the speed limit"}
	})
	return s
}

func withControls(r *tree.Rollout) {
	r.Status.Verdict.Counts.Control, r.Status.Verdict.Counts.ControlFailed = 10_500, 3
	shut(r, gate.Gate{Name: "window", Source: "schedule", Reason: "outside office until 2026-11-03T08:00:00Z", Next: t0.Add(24 * time.Hour)})
}

// TestWidths holds what screens of 60, 100 and 200 columns show in every phase, and that no line is wider.
func TestWidths(t *testing.T) {
	phases := []struct {
		name string
		prep func(r *tree.Rollout)
	}{
		{"running", withControls},
		{"failing", func(r *tree.Rollout) {
			withControls(r)
			r.Status.Verdict.Counts.Failed = 7
			r.Status.Verdict.Checks[0] = analyzer.Check{Name: "compile", Result: analyzer.Fail, Reason: "7 of 1001 admitted nodes"}
			r.Status.Verdict.Culprit = &analyzer.Culprit{Kind: analyzer.KindResource, Resource: "File[/etc/ntp.conf]", File: "modules/ntp/manifests/init.pp", Line: 12,
				Message: "Could not set 'file' on ensure: 没有那个文件或目录", Nodes: []string{"web1.example.com", "web2.example.com"}, Count: 7}
		}},
		{"settling", func(r *tree.Rollout) { withControls(r); r.State.Phase = gate.Settling }},
		{"backed-out", backOut},
	}
	for _, phase := range phases {
		for _, width := range []int{60, 100, 200} {
			s := busySite(t)
			s.rollout("ntp", phase.prep)
			got := s.drawn(&look{width: width})
			golden(t, fmt.Sprintf("screen-%s-%d.txt", phase.name, width), got)
			for line := range strings.SplitSeq(got, "\n") {
				if widthOf(line) > width {
					t.Errorf("%s: %d columns on a screen of %d: %q", phase.name, widthOf(line), width, line)
				}
			}
			coloured := s.drawn(&look{width: width, painter: painter{on: true}})
			if bare := sgr.ReplaceAllString(coloured, ""); bare != got || coloured == got {
				t.Errorf("%s, %d columns: colours change the text, or there are none:\n%s", phase.name, width, bare)
			}
			for i, r := range s.drawn(&look{width: width, plain: true}) {
				if r > 127 && !strings.ContainsRune("没有那个文件或目录", r) {
					t.Fatalf("%s: %q at %d is not ASCII", phase.name, r, i)
				}
			}
		}
	}
}

// TestStill: nothing moves sideways while numbers grow.
func TestStill(t *testing.T) {
	s := busySite(t)
	l := &look{width: 100}
	at := func(n int) int {
		s.rollout("ntp", func(r *tree.Rollout) { r.Status.Verdict.Counts.Admitted, r.Status.Verdict.Counts.Exposed = n, n })
		head, _, _ := strings.Cut(s.drawn(l)[strings.Index(s.drawn(l), "NAME"):], "\n")
		return strings.Index(head, "INFO")
	}
	wide := at(100_000)
	if narrow := at(1); narrow != wide {
		t.Errorf("INFO stands in column %d, and in %d after the numbers have shrunk", wide, narrow)
	}
}

func TestPlainLocale(t *testing.T) {
	for _, c := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false},
		{map[string]string{"LANG": "de_DE.UTF-8"}, false},
		{map[string]string{"LANG": "C.utf8"}, false},
		{map[string]string{"LANG": "C"}, true},
		{map[string]string{"LANG": "de_DE.UTF-8", "LC_ALL": "POSIX"}, true},
		{map[string]string{"LC_CTYPE": "en_US.UTF-8", "LANG": "en_US.ISO-8859-1"}, false},
	} {
		if got := plainLocale(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%v: %v, want %v", c.env, got, c.want)
		}
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		exposed, admitted, whole int
		want                     string
	}{
		{0, 0, 10, "░░░░░░░░░░"}, {0, 1, 1000, "▒░░░░░░░░░"}, {999, 1000, 1000, "█████████▒"},
		{1000, 1000, 1000, "██████████"}, {3, 5, 10, "███▒▒░░░░░"}, {20, 30, 10, "██████████"}, {1, 1, 0, "░░░░░░░░░░"}, {-5, -5, 10, "░░░░░░░░░░"},
	} {
		got := ""
		for _, cell := range bar(c.exposed, c.admitted, c.whole, 10) {
			got += cell.text
		}
		if got != c.want {
			t.Errorf("bar(%d, %d, %d) = %s, want %s", c.exposed, c.admitted, c.whole, got, c.want)
		}
	}
}
