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
			if n := strings.Count(out, "Name: "); n != 3 {
				s.t.Errorf("shown %d times, want 3:\n%s", n, out)
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
		s.p.terminal = func(io.Writer) *screen { return &screen{w: term, height: func() int { return 50 }} }
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
		if strings.Count(out, clearScreen) != 1 || !strings.HasSuffix(out, wrapOn+showCursor) {
			s.t.Error("the screen is cleared more than once, or not given back")
		}
		after := out[strings.LastIndex(out, home):]
		if strings.Contains(after, "not up to date") {
			s.t.Error("the trouble is shown after it has passed")
		}
	})
}

func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := &screen{w: &out, height: func() int { return 4 }}
	if err := s.draw("1\n2\n3\n4\n5\n"); err != nil {
		t.Fatal(err)
	}
	if want := hideCursor + wrapOff + clearScreen + home + "1\x1b[K\r\n2\x1b[K\r\n… 3 more lines\x1b[K\r\n" + clearBelow; out.String() != want {
		t.Errorf("draws %q, want %q", out.String(), want)
	}
	out.Reset()
	if err := s.draw("1\n2\n3\n"); err != nil {
		t.Fatal(err)
	}
	if want := home + "1\x1b[K\r\n2\x1b[K\r\n3\x1b[K\r\n" + clearBelow; out.String() != want {
		t.Errorf("draws %q, want %q", out.String(), want)
	}
}
