package progress

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/mattn/go-runewidth"
)

// clock is a time that the test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestLine(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		took        time.Duration
		want        string
	}{
		{0, 200, time.Second, "reading  ░░░░░░░░░░░░░░░░░░░░   0%  0 of 200  0/s"},
		{102_400, 200_000, 12 * time.Second, "reading  ██████████░░░░░░░░░░  51%  102 400 of 200 000  8533/s  11s left"},
		{200, 200, time.Second, "reading  ████████████████████  100%  200 of 200  200/s"},
		{300, 200, time.Second, "reading  ████████████████████  100%  200 of 200  300/s"},
		{12_345, 0, 2 * time.Second, "reading  12 345  6172/s"},
	} {
		b := &Bar{label: "reading", done: c.done, total: c.total}
		if got := b.line(c.took); got != c.want {
			t.Errorf("%d of %d after %s: %q, want %q", c.done, c.total, c.took, got, c.want)
		}
	}
}

// TestDraws: a few times a second, within the screen, and nothing is left.
func TestDraws(t *testing.T) {
	var out bytes.Buffer
	c := &clock{time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)}
	b := start(&out, "reading inventory", 1000, c.now, func() int { return 40 })
	for range 1000 {
		c.at = c.at.Add(time.Millisecond)
		b.Add(1)
	}
	b.Done()
	b.Done()
	b.Add(1)
	lines := strings.Split(out.String(), "\r")[1:]
	if len(lines) != 11 || lines[10] != "\x1b[K" {
		t.Fatalf("%d drawings, the last %q: want 10 and the end", len(lines), lines[len(lines)-1])
	}
	for _, line := range lines {
		if line = strings.TrimSuffix(line, "\x1b[K"); runewidth.StringWidth(line) > 39 {
			t.Errorf("%q is wider than the screen", line)
		}
	}
}

func TestQuickWorkIsNotShown(t *testing.T) {
	var out bytes.Buffer
	b := start(&out, "reading", 10, time.Now, func() int { return 80 })
	b.Done()
	if out.Len() > 0 {
		t.Errorf("wrote %q", out.String())
	}
}

// TestNoTerminal: elsewhere nothing is written at all, and every method may be called.
func TestNoTerminal(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var buf bytes.Buffer
	for _, b := range []*Bar{New(f, "reading", 10), New(&buf, "reading", 10)} {
		if b != nil {
			t.Error("a file or a buffer is taken for a terminal")
		}
		b.Add(1)
		b.Total(5)
		b.Done()
	}
	if buf.Len() > 0 {
		t.Errorf("wrote %q", buf.String())
	}
}

// TestTerminal: on a real one it is drawn, by several goroutines at once too.
func TestTerminal(t *testing.T) {
	master, tty, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(master.Close(), tty.Close()) }()
	t.Setenv("TERM", "xterm")
	b := New(tty, "reading", 4)
	if b == nil {
		t.Fatal("a terminal is not taken for one")
	}
	b.drawn = b.drawn.Add(-time.Second) // as if it had been a while
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { b.Add(1) })
	}
	all.Wait()
	b.Done()
	buf := make([]byte, 1000)
	n, err := master.Read(buf)
	if err != nil || !strings.HasPrefix(string(buf[:n]), "\rreading  ") {
		t.Errorf("drew %q, %v", buf[:n], err)
	}
}
