package sluice_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestDefects: every defect of the table has its row, once and in order, with a test that is there or the reason why it cannot
// apply.
func TestDefects(t *testing.T) {
	tests, _ := testsOf(t)
	row := regexp.MustCompile(`(?m)^\| (D\d+) \| (.*) \| (.*) \| (.*) \|$`)
	found := row.FindAllStringSubmatch(read(t, "docs/defects.md"), -1)
	if len(found) != 20 {
		t.Fatalf("%d rows, expected 20", len(found))
	}
	for i, m := range found {
		if want := fmt.Sprint("D", i+1); m[1] != want {
			t.Errorf("row %d is %s, expected %s", i+1, m[1], want)
		}
		named := testName.FindAllStringSubmatch(m[4], -1)
		if len(named) == 0 && !strings.HasPrefix(m[4], "cannot apply: ") {
			t.Errorf("%s names no test, and does not say why it cannot apply", m[1])
		}
		for _, n := range named {
			if !slices.Contains(tests, n[1]) {
				t.Errorf("%s names %s, which is no test", m[1], n[1])
			}
		}
	}
}
