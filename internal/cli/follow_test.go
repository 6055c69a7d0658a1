package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// TestFollow: every change is written once, and the rollout's end is the command's.
func TestFollow(t *testing.T) {
	for want, end := range map[int]gate.Phase{ExitOK: gate.Completed, ExitBackout: gate.BackedOut} {
		inBubble(t, func(s *site) {
			s.rollout("ntp", nil)
			s.other.Go(func() {
				time.Sleep(time.Minute)
				s.ok("pause", "ntp", "--reason", "drill")
				time.Sleep(time.Minute)
				s.put("flags/other/pause", "false") // nothing to see
				time.Sleep(time.Minute)
				s.rollout("ntp", func(r *tree.Rollout) { r.State.Phase = end })
			})
			code, out, errOut := s.run("status", "ntp", "-w")
			if code != want || errOut != "" {
				s.t.Errorf("exit %d, %q", code, errOut)
			}
			sign, _ := icon(map[gate.Phase]string{gate.Completed: completed, gate.BackedOut: backedOut}[end])
			for _, part := range []string{"◌ Progressing", "॥ Paused", sign} {
				if !strings.Contains(out, part) {
					s.t.Errorf("never shows %q", part)
				}
			}
			if n := strings.Count(out, "\n"); n != 3 {
				s.t.Errorf("%d lines, want 3:\n%s", n, out)
			}
		})
	}
}

func TestFollowEnds(t *testing.T) {
	inBubble(t, func(s *site) {
		s.rollout("ntp", nil)
		s.fails(ExitTimeout, "ntp has not ended within 1m0s", "status", "ntp", "-w", "--timeout", "1m")
		s.fails(ExitUsage, "goes with --watch", "status", "ntp", "--timeout", "1m")
		s.fails(ExitError, "did you mean ntp?", "status", "npt", "-w")
		ctx, cancel := context.WithCancel(s.t.Context())
		time.AfterFunc(time.Minute, cancel)
		if code, _, errOut := s.runIn(ctx, "status", "ntp", "-w", "-o", "json"); code != ExitError || errOut != "sluice: interrupted\n" {
			s.t.Errorf("exit %d, %q", code, errOut)
		}
	})
}

// TestFollowRequested: what is requested only may begin yet.
func TestFollowRequested(t *testing.T) {
	inBubble(t, func(s *site) {
		s.put(tree.RequestKey("ntp"), tree.Request{Kind: tree.RequestStart, Rollout: "ntp", Start: &tree.Start{Track: "production"}, By: "ben", At: t0})
		s.other.Go(func() {
			time.Sleep(time.Minute)
			s.rollout("ntp", backOut)
			s.delete(tree.RequestKey("ntp"))
		})
		code, out, _ := s.run("status", "ntp", "-w")
		if code != ExitBackout || !strings.Contains(out, "requested by ben") {
			s.t.Errorf("exit %d, %q", code, out)
		}
	})
}

// outage is a store that cannot be reached for a while.
type outage struct {
	store.Store
	mu   sync.Mutex
	down bool
}

func (o *outage) set(down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.down = down
}

func (o *outage) Get(ctx context.Context, key string) (store.Entry, error) {
	o.mu.Lock()
	down := o.down
	o.mu.Unlock()
	if down {
		return store.Entry{}, store.ErrUnavailable
	}
	return o.Store.Get(ctx, key)
}

// recorder is a terminal that keeps what is drawn.
type recorder struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

// TestFollowOutage: the screen says that it is not up to date, and mends by itself.
func TestFollowOutage(t *testing.T) {
	inBubble(t, func(s *site) {
		o := &outage{Store: s.store}
		s.rollout("ntp", nil)
		s.store = o
		term := &recorder{}
		s.p.terminal = func(io.Writer) *screen { return &screen{w: term, size: func() (int, int) { return 100, 50 }} }
		s.other.Go(func() {
			time.Sleep(10 * time.Second)
			o.set(true)
			s.put("flags/ntp/pause", "true")
			time.Sleep(10 * time.Second)
			o.set(false)
			time.Sleep(10 * time.Second)
			s.rollout("ntp", backOut)
		})
		if code, _, errOut := s.run("status", "ntp", "-w"); code != ExitBackout {
			s.t.Errorf("exit %d, %q", code, errOut)
		}
		out := term.buf.String()
		for _, part := range []string{"not up to date: init: store unavailable", "॥ Paused", "✖ Backed out"} {
			if !strings.Contains(out, part) {
				s.t.Errorf("never shows %q", part)
			}
		}
		if strings.Count(out, otherScreen) != 1 || strings.Contains(out, "\x1b[2J") {
			s.t.Error("the screen is taken more than once, or cleared")
		}
		_, left, given := strings.Cut(out, wrapOn+firstScreen+showCursor)
		if !given || !strings.Contains(left, "✖ Backed out") || strings.Contains(left, "not up to date") {
			s.t.Errorf("left behind: %q", left)
		}
	})
}

// TestFollowAll: without a name everything under way is followed, newcomers too, and the worst end is the exit code.
func TestFollowAll(t *testing.T) {
	inBubble(t, func(s *site) {
		s.rollout("old", func(r *tree.Rollout) { r.State.Phase = gate.Completed })
		s.rollout("ntp", nil)
		s.other.Go(func() {
			time.Sleep(time.Minute)
			s.rollout("sshd", nil)
			time.Sleep(time.Minute)
			s.rollout("ntp", backOut)
			time.Sleep(time.Minute)
			s.rollout("sshd", func(r *tree.Rollout) { r.State.Phase = gate.Completed })
		})
		code, out, errOut := s.run("status", "-w")
		if code != ExitBackout || errOut != "" {
			s.t.Errorf("exit %d, %q", code, errOut)
		}
		for _, part := range []string{"ntp  ◌ Progressing", "sshd  ◌ Progressing", "ntp  ✖ Backed out", "sshd  ✔ Completed"} {
			if strings.Count(out, part) != 1 {
				s.t.Errorf("%q is not there once:\n%s", part, out)
			}
		}
		if strings.Contains(out, "old") {
			s.t.Errorf("what had ended before is shown:\n%s", out)
		}
		if code, out, _ := s.run("status", "-w"); code != ExitOK || out != nothingUnderWay+"\n" {
			s.t.Errorf("with nothing under way: exit %d, %q", code, out)
		}
	})
}

// TestScreen: only lines that have changed are written, and the screen is never cleared.
func TestScreen(t *testing.T) {
	var out bytes.Buffer
	rows := 4
	s := &screen{w: &out, size: func() (int, int) { return 80, rows }}
	for _, step := range []struct{ what, text, want string }{
		{"the first", "1\n2\n3\n4\n5\n", otherScreen + hideCursor + wrapOff + "\x1b[1;1H1\x1b[K\x1b[2;1H2\x1b[K\x1b[3;1H3\x1b[K\x1b[4;1H… 2 more lines\x1b[K"},
		{"the same", "1\n2\n3\n4\n5\n", ""},
		{"one line", "1\ntwo\n3\n4\n5\n", "\x1b[2;1Htwo\x1b[K"},
		{"fewer", "1\ntwo\n", "\x1b[3;1H\x1b[J"},
		{"more", "1\ntwo\n3\n", "\x1b[3;1H3\x1b[K"},
	} {
		out.Reset()
		if err := s.draw(step.text); err != nil || out.String() != step.want {
			t.Errorf("%s: %v, draws %q, want %q", step.what, err, out.String(), step.want)
		}
	}
	out.Reset()
	rows = 2
	s.forget()
	if err := s.draw("1\n2\n"); err != nil || out.String() != "\x1b[1;1H1\x1b[K\x1b[2;1H2\x1b[K" {
		t.Errorf("after a change of size: %q, %v", out.String(), err)
	}
	out.Reset()
	s.done("bye\n")
	s.done("twice\n")
	if want := wrapOn + firstScreen + showCursor + "bye\n"; out.String() != want {
		t.Errorf("leaves %q, want %q", out.String(), want)
	}
}
