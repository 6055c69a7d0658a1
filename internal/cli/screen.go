package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// screen is a terminal that is drawn on; nil is not a terminal.
type screen struct {
	w      io.Writer
	height func() int
	drawn  bool
}

func screenOf(w io.Writer) *screen {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &screen{w: f, height: func() int {
		_, rows, err := term.GetSize(int(f.Fd()))
		if err != nil || rows < 4 {
			return 24
		}
		return rows
	}}
}

// Control sequences. Lines are not wrapped while the screen is redrawn: a wrapped line would push others off.
const (
	hideCursor, showCursor = "\x1b[?25l", "\x1b[?25h"
	wrapOff, wrapOn        = "\x1b[?7l", "\x1b[?7h"
	clearScreen, home      = "\x1b[2J", "\x1b[H"
	clearLine, clearBelow  = "\x1b[K", "\x1b[J"
)

// draw puts a text in place of the one before: home, every line cleared to its end, the rest cleared, in one write.
func (s *screen) draw(text string) error {
	var b bytes.Buffer
	if !s.drawn {
		b.WriteString(hideCursor + wrapOff + clearScreen)
		s.drawn = true
	}
	b.WriteString(home)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if most := s.height() - 1; len(lines) > most {
		more := len(lines) - most + 1
		lines = append(lines[:most-1:most-1], fmt.Sprintf("… %d more lines", more))
	}
	for _, line := range lines {
		b.WriteString(line + clearLine + "\r\n")
	}
	b.WriteString(clearBelow)
	_, err := s.w.Write(b.Bytes())
	return err
}

// done gives the terminal back as it was.
func (s *screen) done() {
	if s.drawn {
		_, _ = io.WriteString(s.w, wrapOn+showCursor)
	}
}
