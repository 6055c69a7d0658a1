package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// screen is a terminal that is drawn on; nil is not a terminal.
type screen struct {
	w     io.Writer
	size  func() (columns, rows int)
	winch func(context.Context) <-chan os.Signal // tells of every change of the size until the context ends; nil: there are none
	shown []string                               // lines; nil: nothing is known of what is there
	taken bool
}

func screenOf(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &screen{w: f, winch: winch, size: func() (int, int) {
		columns, rows, err := term.GetSize(int(f.Fd()))
		if err != nil || rows < 4 || columns < 20 {
			return 80, 24
		}
		return columns, rows
	}}
}

// Control sequences. The other screen has no history: what was there before comes back as it was. Lines are not wrapped
// while it is drawn on, as a wrapped line would push others off.
const (
	otherScreen, firstScreen = "\x1b[?1049h", "\x1b[?1049l"
	hideCursor, showCursor   = "\x1b[?25l", "\x1b[?25h"
	wrapOff, wrapOn          = "\x1b[?7l", "\x1b[?7h"
	clearLine, clearBelow    = "\x1b[K", "\x1b[J"
)

// draw puts a text in place of the one before, in one write: only lines that are others now, and nothing if none is.
func (s *screen) draw(text string) error {
	var b bytes.Buffer
	if !s.taken {
		b.WriteString(otherScreen + hideCursor + wrapOff)
		s.taken = true
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if _, rows := s.size(); len(lines) > rows {
		more := len(lines) - rows + 1
		lines = append(lines[:rows-1:rows-1], fmt.Sprintf("… %d more lines", more))
	}
	for i, line := range lines {
		if s.shown == nil || i >= len(s.shown) || s.shown[i] != line {
			fmt.Fprintf(&b, "\x1b[%d;1H%s%s", i+1, line, clearLine)
		}
	}
	if _, rows := s.size(); len(lines) < rows && (s.shown == nil || len(lines) < len(s.shown)) {
		fmt.Fprintf(&b, "\x1b[%d;1H%s", len(lines)+1, clearBelow)
	}
	s.shown = lines
	if b.Len() == 0 {
		return nil
	}
	_, err := s.w.Write(b.Bytes())
	return err
}

// columns is how wide a line may be. The last column stays free: clearing the rest of a line that reaches it would take its
// last character away.
func (s *screen) columns() int {
	columns, _ := s.size()
	return columns - 1
}

// forget makes the next draw write every line: the terminal has another size.
func (s *screen) forget() { s.shown = nil }

// resizes tells of every change of the size until ctx ends.
func (s *screen) resizes(ctx context.Context) <-chan os.Signal {
	if s == nil || s.winch == nil {
		return nil
	}
	return s.winch(ctx)
}

func winch(ctx context.Context) <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGWINCH)
	context.AfterFunc(ctx, func() { signal.Stop(c) })
	return c
}

// done gives the terminal back as it was, and leaves a text there.
func (s *screen) done(text string) {
	if s.taken {
		_, _ = io.WriteString(s.w, wrapOn+firstScreen+showCursor+text)
		s.taken = false
	}
}
