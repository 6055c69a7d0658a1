package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
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
	widths := columnsOf(rows)
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

// columnsOf gives the widths of a table's columns. The last cell of a row that is shorter than others, such as a sentence in place of
// times, may be wider than its column: nothing follows it.
func columnsOf(rows [][]cell) (widths []int) {
	most := 0
	for _, row := range rows {
		most = max(most, len(row))
	}
	widths = make([]int, most)
	for _, row := range rows {
		for i, c := range row {
			if i < len(row)-1 || len(row) == most {
				widths[i] = max(widths[i], widthOf(c.text))
			}
		}
	}
	return widths
}

func texts(columns ...string) []cell {
	row := make([]cell, len(columns))
	for i, c := range columns {
		row[i].text = c
	}
	return row
}

// since is the age of an instant, "-" where there is none.
func since(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return age(now.Sub(t))
}

// shorten cuts a text for a table.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
