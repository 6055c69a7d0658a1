package puppetdb

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// readAt returns a state whose slices from noon on were last read at the given
// minutes after noon, -1 for never.
func readAt(opts Options, minutes ...int) state {
	s := state{opts: opts.withDefaults(), start: noon}
	s.span = s.opts.Span
	for _, m := range minutes {
		var at time.Time
		if m >= 0 {
			at = noon.Add(time.Duration(m) * time.Minute)
		}
		s.read = append(s.read, at)
	}
	return s
}

func minutesOf(list []slice) (out [][2]int) {
	for _, s := range list {
		out = append(out, [2]int{int(s.from.Sub(noon) / time.Minute), int(s.to.Sub(noon) / time.Minute)})
	}
	return out
}

func TestPlan(t *testing.T) {
	near := Options{Ahead: 2 * time.Minute}
	for _, tc := range []struct {
		name string
		s    state
		now  int // minutes after noon
		want [][2]int
	}{
		{"from nothing", readAt(near), 0, [][2]int{{0, 2}}},
		{"a backlog comes in order, by span", readAt(near), 40,
			[][2]int{{0, 10}, {10, 20}, {20, 25}, {25, 35}, {35, 42}}},
		{"a long backlog is cut, and goes before the news", readAt(Options{Ahead: time.Minute, CatchUp: 20 * time.Minute, Overlap: time.Minute}), 60,
			[][2]int{{0, 10}, {10, 20}}},
		{"the last minutes are read every time", readAt(near, 2, 2, 2, 2), 3, [][2]int{{0, 5}}},
		{"older ones after half their age", readAt(near, 8, 8, 6, 5, 10, 10, 10, 10, 10, 10, 10, 10), 11, [][2]int{{2, 4}, {8, 13}}},
		{"once on leaving the overlap", readAt(near, 15, 15, 15), 16, [][2]int{{3, 13}, {13, 18}, {0, 1}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := minutesOf(plan(noon.Add(time.Duration(tc.now)*time.Minute), tc.s))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("minutes after noon (-want +got):\n%s", diff)
			}
		})
	}
}

// Ensure that a slice is read once at the horizon, however recently it was
// read before, and that it is final then and only then.
func TestPlanHorizon(t *testing.T) {
	s := readAt(Options{Ahead: time.Second, Width: time.Hour, Span: time.Hour}, 6*60+59)
	if end := s.at(1); s.final() || !s.due(0, end.Add(6*time.Hour)) || s.due(0, end.Add(6*time.Hour-time.Second)) {
		t.Errorf("a slice read a minute before its horizon: final %t, due %t", s.final(), s.due(0, end.Add(6*time.Hour)))
	}
	s.read[0] = s.at(1).Add(6 * time.Hour)
	if !s.final() {
		t.Error("a slice read at its horizon is not final")
	}
}

func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := readAt(Options{})
		s.first = rapid.IntRange(0, 100).Draw(t, "first")
		s.span = time.Duration(rapid.IntRange(1, 10).Draw(t, "span")) * time.Minute
		now := s.at(s.first).Add(time.Duration(rapid.IntRange(0, 30*3600).Draw(t, "now")) * time.Second)
		for range rapid.IntRange(0, 600).Draw(t, "slices") {
			ago := rapid.IntRange(-1, 8*3600).Draw(t, "ago")
			at := now.Add(-time.Duration(ago) * time.Second)
			if ago < 0 {
				at = time.Time{}
			}
			s.read = append(s.read, at)
		}
		list := plan(now, s)
		asked := map[int]bool{}
		for _, sl := range list {
			if past := min(now.Sub(sl.from), sl.to.Sub(sl.from)); past > s.span+s.opts.Width {
				t.Errorf("%v asks for %s of the past, more than %s", sl, past, s.span)
			}
			for i := s.index(sl.from); i < s.index(sl.to); i++ {
				if asked[i] || !s.due(i, now) {
					t.Errorf("slice %d: asked twice or not due", i)
				}
				asked[i] = true
			}
		}
		backlog, whole := 0, true // a backlog of more than a bite goes first
		for i := s.first; i < s.end(now) && !s.at(i+1).After(now.Add(-s.opts.Overlap)); i++ {
			if s.lastRead(i).IsZero() {
				backlog++
				whole = whole && asked[i]
			}
		}
		if !whole && time.Duration(backlog)*s.opts.Width <= s.opts.CatchUp {
			t.Errorf("a backlog of %d slices is not asked for in one go", backlog)
		}
		if now.After(s.start) && len(list) == 0 {
			t.Error("nothing to read, not even the present")
		}
		for i := s.first; i < s.end(now); i++ {
			if young := s.at(i + 1).After(now.Add(-s.opts.Overlap)); young && whole && s.due(i, now) && !asked[i] {
				t.Errorf("slice %d is young and due, and not asked for", i)
			}
		}
		if th := s.through(now); th.Before(s.start) || (th.After(now.Add(-s.opts.Overlap)) && !th.Equal(s.start)) {
			t.Errorf("through %s at %s", th, now)
		}
	})
}
