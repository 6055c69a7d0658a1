package page

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "doc.md")
	old := "a\n<!-- bench x -->\nold\n<!-- end x -->\nb\n<!-- bench y -->\n<!-- end y -->\n"
	if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Write(file, "bench", "x", "new\n"); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); string(got) != "a\n<!-- bench x -->\n\nnew\n\n<!-- end x -->\nb\n<!-- bench y -->\n<!-- end y -->\n" {
		t.Errorf("%q", got)
	}
	if Write(file, "bench", "z", "new") == nil || Write(file, "other", "x", "new") == nil {
		t.Error("marks that are not there: expected an error")
	}
}
