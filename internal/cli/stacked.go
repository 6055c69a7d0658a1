package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// leastSegment is how far the names of segments are cut on a narrow screen.
const leastSegment = 8

// stacked writes a table that is wider than the terminal as several, with the first column in each: it is cut before the last of cuts, and what
// stands before that before the next, as far as the width asks for it. The second column, names of segments, gives way where nothing is left to cut.
func stacked(w io.Writer, l *look, rows [][]cell, cuts ...int) {
	wide := l.width > 0 && tableWidth(rows) > l.width
	if !wide || len(cuts) == 0 {
		if wide {
			narrow(l, rows)
		}
		table(w, l.painter, rows)
		return
	}
	cut := cuts[len(cuts)-1]
	first, second := make([][]cell, len(rows)), make([][]cell, len(rows))
	for i, row := range rows {
		first[i] = append([]cell{}, row[:min(cut, len(row))]...)
		second[i] = append([]cell{row[0]}, row[min(cut, len(row)):]...)
	}
	second = slices.DeleteFunc(second, func(row []cell) bool { return len(row) == 1 })
	for _, row := range second { // a sentence in place of times is cut: a warning has the whole
		if len(row) == 2 {
			row[1].text = fit(row[1].text, max(leastSegment, l.width-columnsOf(second)[0]-2))
		}
	}
	stacked(w, l, first, cuts[:len(cuts)-1]...)
	fmt.Fprintln(w)
	table(w, l.painter, second)
}

// narrow cuts the names of segments.
func narrow(l *look, rows [][]cell) {
	most := 0
	for _, row := range rows {
		most = max(most, widthOf(row[1].text))
	}
	over := tableWidth(rows) - l.width
	for _, row := range rows {
		row[1].text = fitCounted(row[1].text, max(leastSegment, most-over))
	}
}

// tableFolded writes a table whose last column is a sentence: on a terminal it goes on below itself.
func tableFolded(w io.Writer, l *look, rows [][]cell) {
	var out [][]cell
	for _, row := range rows {
		last := len(row) - 1
		before := 0
		for _, n := range columnsOf(rows)[:last] {
			before += n + 2
		}
		lines := []string{row[last].text}
		if l.width >= before+leastSentence {
			lines = fold(row[last].text, l.width-before)
		}
		for i, line := range lines {
			one := make([]cell, last+1)
			if i == 0 {
				copy(one, row)
			}
			one[last] = cell{line, row[last].colour}
			out = append(out, one)
		}
	}
	table(w, l.painter, out)
}

// leastSentence is how many columns a sentence needs to be folded in.
const leastSentence = 20

// paragraph writes a sentence behind an indent; on a terminal what does not fit goes on below it, two columns further in.
func paragraph(w io.Writer, l *look, indent int, text string) {
	lines := []string{text}
	if l.width >= indent+2+leastSentence {
		lines = fold(text, l.width-indent-2)
	}
	for i, line := range lines {
		fmt.Fprintf(w, "%*s%s\n", indent+2*min(i, 1), "", line)
	}
}

// fitCounted cuts a name in its middle, since those that a template makes differ at their end, and leaves the number behind it whole:
// "reg…-ams1 (200)".
func fitCounted(s string, most int) string {
	i := strings.LastIndex(s, " (")
	if i < 0 || most < widthOf(s[i:])+2 {
		return fitMiddle(s, most)
	}
	return fitMiddle(s[:i], most-widthOf(s[i:])) + s[i:]
}

// fitMiddle cuts a name so that most of what is left is its end.
func fitMiddle(s string, most int) string {
	if widthOf(s) <= most || most < 6 {
		return fit(s, most)
	}
	head, tail := []rune(s)[:most/3], []rune(s)
	for widthOf(string(head))+1+widthOf(string(tail)) > most {
		tail = tail[1:]
	}
	return string(head) + "…" + string(tail)
}

// tableWidth is how wide table writes the rows.
func tableWidth(rows [][]cell) (most int) {
	widths := columnsOf(rows)
	for _, row := range rows {
		line := 0
		for i, c := range row {
			if i == len(row)-1 {
				line += widthOf(c.text)
			} else {
				line += widths[i] + 2
			}
		}
		most = max(most, line)
	}
	return most
}

// clock is how a moment of a calendar is written, without the year where it is narrow.
func (l *look) clock() string {
	if l.width > 0 && l.width < 100 {
		return "Mon 02 Jan 15:04 MST"
	}
	return "Mon 2006-01-02 15:04 MST"
}
