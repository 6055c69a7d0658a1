// Package progress shows how far a long piece of work is, on a terminal and nowhere else:
//
//	bar := progress.New(c.ErrOrStderr(), "reading inventory", total)
//	defer bar.Done()
//	for … {
//		bar.Add(1)
//	}
//
//	reading inventory  ██████████░░░░░░░░░░  51%  102 400 of 200 000  8530/s  11s left
//
// A total of 0 is not known beforehand; then there is no bar, and no time left. The line is drawn a few times a second, and
// taken away by Done, so that the standard error of a program that ended holds nothing of it.
package progress

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"
)

// Bar is the progress of one piece of work. Its methods may be called by several goroutines; those of nil do nothing.
type Bar struct {
	w       io.Writer
	label   string
	now     func() time.Time
	columns func() int

	mu    sync.Mutex
	total int64
	done  int64
	begin time.Time
	drawn time.Time
	ended bool
}

const (
	// every is the time between two drawings, and the work that is over sooner is not shown at all.
	every = 100 * time.Millisecond
	cells = 20
)

// New begins to show a piece of work of total steps, 0 if nobody knows how many. It returns nil, on which all methods do
// nothing, where w is no terminal.
func New(w io.Writer, label string, total int64) *Bar {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return start(w, label, total, time.Now, func() int {
		columns, _, err := term.GetSize(int(f.Fd()))
		if err != nil || columns < 20 {
			return 80
		}
		return columns
	})
}

func start(w io.Writer, label string, total int64, now func() time.Time, columns func() int) *Bar {
	b := &Bar{w: w, label: label, total: max(total, 0), now: now, columns: columns}
	b.begin = now()
	b.drawn = b.begin
	return b
}

// Add says that n more steps are done.
func (b *Bar) Add(n int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done += n
	b.draw()
}

// Total corrects how many steps there are.
func (b *Bar) Total(n int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.total = max(n, 0)
	b.draw()
}

// Done takes the line away. What comes after it is not shown.
func (b *Bar) Done() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended && b.drawn.After(b.begin) {
		_, _ = io.WriteString(b.w, "\r\x1b[K")
	}
	b.ended = true
}

// draw writes the line over the one before. What cannot be written does not stop the work.
func (b *Bar) draw() {
	now := b.now()
	if b.ended || now.Sub(b.drawn) < every {
		return
	}
	b.drawn = now
	line := runewidth.Truncate(b.line(now.Sub(b.begin)), b.columns()-1, "…") // a line that wraps could not be taken away
	_, _ = io.WriteString(b.w, "\r"+line+"\x1b[K")
}

// line is the state of the work after some time.
func (b *Bar) line(took time.Duration) string {
	rate := float64(b.done) / took.Seconds()
	if b.total == 0 {
		return fmt.Sprintf("%s  %s  %s/s", b.label, number(b.done), number(int64(rate)))
	}
	done := min(b.done, b.total)
	full := int(done * cells / b.total)
	text := fmt.Sprintf("%s  %s%s  %2d%%  %s of %s  %s/s", b.label, strings.Repeat("█", full), strings.Repeat("░", cells-full), 100*done/b.total,
		number(done), number(b.total), number(int64(rate)))
	if left := b.total - done; left > 0 && done > 0 {
		text += "  " + (time.Duration(float64(left) / rate * float64(time.Second))).Round(time.Second).String() + " left"
	}
	return text
}

// number groups the digits of five and more.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	if n < 10_000 {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}
