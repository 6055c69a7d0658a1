package pdbserver

import (
	"regexp"
	"strings"
)

var (
	pqlShape = regexp.MustCompile(`(?s)^\s*(\w+)\s*\[([\w\s,]+)\]\s*\{(.*)\}\s*$`)
	pqlTerm  = regexp.MustCompile(`^\s*([\w.]+)\s*(=|~)\s*(?:"([^"]*)"|'([^']*)')\s*$`)
)

// parsePQL turns entity[columns] { field = "value" and … } into an AST. This
// is a corner of PQL; anything else is refused as PuppetDB refuses nonsense.
func parsePQL(q string) (entity string, ast []any, err error) {
	m := pqlShape.FindStringSubmatch(q)
	if m == nil {
		return "", nil, bad("PQL parse error at line 1, column 1:\n\n%s", q)
	}
	var columns []any
	for c := range strings.SplitSeq(m[2], ",") {
		columns = append(columns, strings.TrimSpace(c))
	}
	ast = []any{"extract", columns}
	if strings.TrimSpace(m[3]) == "" {
		return m[1], ast, nil
	}
	all := []any{"and"}
	for term := range strings.SplitSeq(m[3], " and ") {
		t := pqlTerm.FindStringSubmatch(term)
		if t == nil {
			return "", nil, bad("PQL parse error in %q", term)
		}
		all = append(all, []any{t[2], t[1], t[3] + t[4]})
	}
	return m[1], append(ast, all), nil
}
