package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs builds what make demo needs, once.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-demo-test-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", dir+"/", "./cmd/...", "./tools/demo")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, errors.Join(err, errors.New(string(out)))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := programs(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

// play starts a demo of a small and quick fleet as a process. end says how it ended and what it wrote.
func play(t *testing.T, args ...string) (cmd *exec.Cmd, end func() (code int, stdout, stderr string)) {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	args = append([]string{"-bin", bin, "-scenario", "../../testdata/fleetsim/demo.yml", "-nodes", "300", "-run-interval", "4s"}, args...)
	cmd = exec.CommandContext(ctx, filepath.Join(bin, "demo"), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &errOut, append(os.Environ(), "TMPDIR="+tmp)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, func() (int, string, string) {
		_ = cmd.Wait()
		cleanAfter(t, tmp)
		return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
	}
}

// cleanAfter: neither files nor programs are left.
func cleanAfter(t *testing.T, tmp string) {
	t.Helper()
	if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
		t.Errorf("left behind in the temporary directory: %v, %v", left, err)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(lines) == 0 {
		t.Fatalf("/proc: %d processes, %v", len(lines), err)
	}
	for _, file := range lines {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(tmp)) {
			t.Errorf("still running: %q", line)
		}
	}
}

// TestPlay plays the demo, and beside it one in which the second change is bad as well: that one must not end well.
func TestPlay(t *testing.T) {
	_, good := play(t)
	_, bad := play(t, "-good", another)

	code, out, errOut := good()
	if code != 0 || errOut != "" {
		t.Errorf("exit %d, %s\n%s", code, errOut, out)
	}
	for _, want := range []string{"production_bad00001: backed out", "spared", "Service[nginx] at modules/nginx/manifests/service.pp:14",
		"production_good0002: completed", "production_good0002, on 300 of 300 nodes", "  ✖ Backed out  ", "  ✔ Completed  "} {
		if !strings.Contains(out, want) {
			t.Errorf("never says %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("there are control sequences although the output is no terminal")
	}

	code, out, errOut = bad()
	if code != 1 || !strings.Contains(errOut, another+" is backed_out (exit code 4), expected it to be completed (0)") {
		t.Errorf("a bad change in the place of the good one: exit %d, %s\n%s", code, errOut, out)
	}
}

// TestInterrupted: whenever it is ended, nothing is left.
func TestInterrupted(t *testing.T) {
	for _, after := range []time.Duration{0, 300 * time.Millisecond, 5 * time.Second} {
		cmd, end := play(t, "-keep")
		time.Sleep(after) // any moment will do
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code, out, errOut := end(); code == 0 {
			t.Errorf("after %s: exit %d, %s\n%s", after, code, errOut, out)
		}
	}
}

// TestBadInput: what is missing or wrong is said, and nothing is started.
func TestBadInput(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), "scenario.yml")
	if err := os.WriteFile(wrong, []byte("nodes: 1000\nrun_interval: 10s\nbaselin: x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"make build makes it":     {"-bin", t.TempDir()},
		"no such file":            {"-scenario", "missing.yml"},
		"expected 100 or more":    {"-nodes", "1"},
		"expected 1s or more":     {"-run-interval", "1ms"},
		"field baselin not found": {"-scenario", wrong},
	} {
		_, end := play(t, args...)
		if code, out, errOut := end(); code != 1 || !strings.Contains(errOut, want) {
			t.Errorf("%q: exit %d, %q, want %q\n%s", args, code, errOut, want, out)
		}
	}
}
