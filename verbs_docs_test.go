package sluice_test

import (
	"os"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/verb"
)

// TestVerbTable: the page of verbs has the table that the code has. UPDATE=1 writes it anew.
func TestVerbTable(t *testing.T) {
	madeOf(t, "docs/verbs.md", "TestVerbTable", gate.VerbTable())
}

// TestVerbFields: the page of the API has the verbs and fields that the code has.
func TestVerbFields(t *testing.T) {
	madeOf(t, "docs/api.md", "TestVerbFields", verb.Table())
}

// madeOf holds the part of a page that a test makes.
func madeOf(t *testing.T, file, test, table string) {
	t.Helper()
	begin, end := "<!-- made by "+test+" -->\n", "<!-- end -->"
	page := read(t, file)
	head, rest, ok := strings.Cut(page, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %q and %q", file, begin, end)
	}
	want := head + begin + table + end + tail
	if page == want {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("%s is not what the code says: UPDATE=1 go test -run %s .", file, test)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
