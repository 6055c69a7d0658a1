package words

import (
	"slices"
	"strings"
)

// Near gives the names that somebody who typed name may have meant, best first, at most three.
func Near(name string, names []string) []string {
	type match struct {
		name     string
		distance int
	}
	var found []match
	for _, n := range names {
		d := distance(strings.ToLower(name), strings.ToLower(n))
		switch {
		case name != "" && (strings.Contains(n, name) || strings.Contains(name, n)):
			found = append(found, match{n, min(d, 1)})
		case d <= max(2, len(n)/4):
			found = append(found, match{n, d})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return a.distance - b.distance })
	var out []string
	for _, m := range found[:min(len(found), 3)] {
		out = append(out, m.name)
	}
	return out
}

// distance is the number of insertions, deletions and replacements between two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// DidYouMean offers names, "" where there are none.
func DidYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(names, ", ") + "?"
}
