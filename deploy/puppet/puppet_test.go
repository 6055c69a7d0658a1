// Package puppet holds the Puppet module, and the tests that run its own.
package puppet

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// run gives what a program of Debian's packages prints. They are in tools/setup.sh.
func run(t *testing.T, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = "sluice"
	cmd.Env = append(cmd.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v (make tools installs it)\n%s", argv, err, out)
	}
	return string(out)
}

// TestSpecs runs the module's examples with rspec-puppet, as its users would.
func TestSpecs(t *testing.T) {
	out := run(t, "rspec", "--format", "progress", "spec")
	m := regexp.MustCompile(`(\d+) examples, 0 failures`).FindStringSubmatch(out)
	if m == nil {
		t.Fatal(out)
	}
	if n, err := strconv.Atoi(m[1]); err != nil || n < 32 {
		t.Errorf("%d examples ran: the test looks at the wrong place\n%s", n, out)
	}
}

func TestLint(t *testing.T) {
	files, err := filepath.Glob("sluice/*/*.pp")
	if err != nil || len(files) < 5 {
		t.Fatalf("%v, %v: the test looks at the wrong place", files, err)
	}
	if out := run(t, "puppet-lint", "--fail-on-warnings", "."); out != "" {
		t.Error(out)
	}
}
