package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store/dir"
)

// TestDirectory: the verbs work on a directory as they do on Consul, and what they leave is what people read and write.
func TestDirectory(t *testing.T) {
	tree := filepath.Join(t.TempDir(), "tree")
	want := func(code int, part string, args ...string) {
		t.Helper()
		var out, errOut bytes.Buffer
		got := Run(t.Context(), append(args, "--store.dir", tree), strings.NewReader(""), &out, &errOut)
		if said := out.String() + errOut.String(); got != code || !strings.Contains(said, part) {
			t.Errorf("sluice %q: exit %d, want %d and %q\n%s", args, got, code, part, said)
		}
	}
	want(ExitError, "does not exist (sluice init makes it)", "list")
	want(ExitOK, "  "+tree+"/enc/manifest\n", "init", "--track", "production=production_a")
	want(ExitConflict, "initialised already", "init", "--track", "production=production_a")
	want(ExitUsage, "expected one of them", "list", "--consul.address", "127.0.0.1:8500")

	s, err := dir.Open(dir.Config{Path: tree, Exclusive: "sluiced 1"}) // the leader's part, while people use the tree
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	play := newSite(t)
	play.store = s
	play.rollout("ntp", nil)

	want(ExitOK, "ntp is paused", "pause", "ntp", "--reason", "drill")
	flag, err := os.ReadFile(filepath.Join(tree, "flags", "ntp", "pause"))
	if err != nil || !strings.HasPrefix(string(flag), "true ") {
		t.Errorf("the flag is %q, %v", flag, err)
	}
	want(ExitHeld, "(local user)", "status", "ntp")
	want(ExitOK, "goes on when every gate is open", "resume", "ntp", "--reason", "drill")
	if err := os.WriteFile(filepath.Join(tree, "flags", "ntp", "pause"), []byte("true\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want(ExitHeld, "paused", "status", "ntp")
	want(ExitOK, "ntp is backed out", "backout", "ntp", "--reason", "drill")
}
