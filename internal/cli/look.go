package cli

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// look is how text is drawn for one output: in colours or not, how wide, with which signs. The zero value is plain and
// as wide as it gets.
type look struct {
	painter
	width int    // columns of the terminal; 0 is any number
	plain bool   // ASCII signs only
	least []int  // columns of the tree were this wide before: they grow and never shrink, so that nothing jumps
	nodes string // the widest that the column of nodes is going to show
	head  int    // so were the lines above the tree
}

// Narrow screens show fewer columns, and those from kindFrom on all.
const (
	narrowBelow = 80
	kindFrom    = 120
)

func (l *look) narrow() bool { return l.width > 0 && l.width < narrowBelow }

// widths of text do not depend on the locale: the signs used here take one column.
var columns = &runewidth.Condition{}

func widthOf(s string) int { return columns.StringWidth(s) }

// fit cuts a text to a number of columns.
func fit(s string, most int) string {
	if widthOf(s) <= most {
		return s
	}
	return columns.Truncate(s, max(most, 1), "…")
}

// fold breaks a sentence at blanks into lines of at most so many columns; 0 is no limit.
func fold(s string, most int) []string {
	if most <= 0 || widthOf(s) <= most {
		return []string{s}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		switch {
		case line == "":
			line = word
		case widthOf(line)+1+widthOf(word) <= most:
			line += " " + word
		default:
			lines, line = append(lines, fit(line, most)), word
		}
	}
	return append(lines, fit(line, most))
}

// asciiSigns stand in for the others where the locale has none; each is one column as well.
var asciiSigns = strings.NewReplacer(
	"✔", "+", "✖", "x", "◌", "o", "॥", "=", "◷", "~", "•", "*", "⊘", "!", "⟳", "@", "α", "?", "≡", "=",
	"├", "|", "└", "`", "─", "-", "│", "|", "█", "#", "▒", "+", "░", ".", "…", "~", "·", "-", "→", ">",
)

// signs writes text with the signs that the output has.
func (l *look) signs(s string) string {
	if l.plain {
		return asciiSigns.Replace(s)
	}
	return s
}

// plainLocale says whether the locale names a character set that is not UTF-8. None named is UTF-8.
func plainLocale(getenv func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(getenv(name)); v != "" {
			return !strings.Contains(v, "utf-8") && !strings.Contains(v, "utf8")
		}
	}
	return false
}

// lookAt is how to draw on w.
func (p *program) lookAt(w io.Writer) *look {
	s := p.terminal(w)
	l := &look{painter: painter{on: s != nil && !p.noColour && p.getenv("NO_COLOR") == ""}}
	if s != nil {
		l.width = s.columns()
		l.plain = plainLocale(p.getenv)
	}
	return l
}

// bar shows how much of a whole has the change, and how much more may have it.
func bar(exposed, admitted, whole, width int) []cell {
	if whole <= 0 || width <= 0 {
		return []cell{{text: strings.Repeat("░", width), colour: faint}}
	}
	cells := func(n int) int { return min(width, max(0, n)*width/whole) }
	full := cells(exposed)
	half := max(cells(admitted), full)
	if half == 0 && admitted > 0 {
		half = 1
	}
	return []cell{
		{strings.Repeat("█", full), green},
		{strings.Repeat("▒", half-full), yellow},
		{strings.Repeat("░", width-half), faint},
	}
}
