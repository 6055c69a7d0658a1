package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// colour is an SGR parameter, "" for none.
type colour string

const (
	red    colour = "31"
	green  colour = "32"
	yellow colour = "33"
	blue   colour = "34"
	faint  colour = "2"
)

// painter colours text, or leaves it where on is false.
type painter struct{ on bool }

func (p painter) paint(c colour, text string) string {
	if !p.on || c == "" || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// icon is the sign and the colour of a status.
func icon(status string) (string, colour) {
	switch status {
	case completed, stagePassed, "pass":
		return "✔", green
	case backedOut, backingOut, "fail", "refused":
		return "✖", red
	case progressing, settling:
		return "◌", blue
	case held, paused:
		return "॥", yellow
	case waiting, stagePending, "inconclusive", "requested":
		return "◷", yellow
	case superseded, "Never begun":
		return "•", ""
	}
	return "?", yellow
}

// cell is a piece of a table; the colour does not count for the width.
type cell struct {
	text string
	colour
}

// table writes rows in columns two blanks apart; the last column is not padded.
func table(w io.Writer, p painter, rows [][]cell) {
	var widths []int
	for _, row := range rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], widthOf(c.text))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, c := range row {
			b.WriteString(p.paint(c.colour, c.text))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-widthOf(c.text)+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

func texts(columns ...string) []cell {
	row := make([]cell, len(columns))
	for i, c := range columns {
		row[i].text = c
	}
	return row
}

// age writes a duration with its two largest units, the way people say it.
func age(d time.Duration) string {
	switch s := int64(d / time.Second); {
	case s < 0:
		return "0s"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return pair(s/60, "m", s%60, "s", s < 600)
	case s < 86400:
		return pair(s/3600, "h", s%3600/60, "m", true)
	default:
		return pair(s/86400, "d", s%86400/3600, "h", s < 10*86400)
	}
}

func pair(n int64, unit string, m int64, smaller string, both bool) string {
	if m == 0 || !both {
		return fmt.Sprintf("%d%s", n, unit)
	}
	return fmt.Sprintf("%d%s%d%s", n, unit, m, smaller)
}

// since is the age of an instant, "-" where there is none.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return age(now.Sub(t))
}

// number groups the digits of five and more: 25 002.
func number(n int) string {
	s := strconv.Itoa(n)
	if n < 10_000 {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// some joins the first few names.
func some(names []string, total int) string {
	const most = 5
	shown := names[:min(len(names), most)]
	text := strings.Join(shown, ", ")
	if more := total - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// safe takes control characters out of what others wrote: it must not move the cursor.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// shorten cuts a text for a table.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
