package sluice_test

import (
	"os"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
)

// TestVerbTable: the page of verbs has the table that the code has. UPDATE=1 writes it anew.
func TestVerbTable(t *testing.T) {
	const file, begin, end = "docs/verbs.md", "<!-- made by TestVerbTable -->\n", "<!-- end -->"
	page := read(t, file)
	head, rest, ok := strings.Cut(page, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %q and %q", file, begin, end)
	}
	want := head + begin + gate.VerbTable() + end + tail
	if page == want {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("%s is not what gate.Verbs says: UPDATE=1 go test -run TestVerbTable .", file)
	}
	if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
