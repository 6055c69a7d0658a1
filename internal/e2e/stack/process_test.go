package stack

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// orphanEnv, in the environment of a copy of this test binary, makes it start a process and die without cleaning up.
const orphanEnv = "STACK_TEST_ORPHAN_LOG"

func TestMain(m *testing.M) {
	if log := os.Getenv(orphanEnv); log != "" {
		p, err := startProcess(command{argv: []string{"sh", "-c", "sleep 600 & sleep 600"}, dir: "/", log: log})
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(strconv.Itoa(p.pid()) + "\n")
		panic("a test that does not get to its cleanup")
	}
	goleak.VerifyTestMain(m)
}

// A panic, or go test's timeout, skips every cleanup: the daemons must go all the same.
func TestProcessDiesWithItsParent(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), orphanEnv+"="+filepath.Join(t.TempDir(), "log"))
	out, err := cmd.Output()
	if err == nil {
		t.Fatal("the copy was to panic")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		t.Fatalf("the copy printed %q: %v", out, err)
	}
	for alive(t, pid) {
		select {
		case <-t.Context().Done():
			t.Fatalf("process %d outlives the test process that started it", pid)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// alive says whether a process exists and is no zombie.
func alive(t *testing.T, pid int) bool {
	t.Helper()
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if os.IsNotExist(err) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	after := stat[bytes.LastIndexByte(stat, ')')+1:]
	return len(after) > 1 && after[1] != 'Z'
}

func TestProcessKillEndsTheGroup(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	p, err := startProcess(command{argv: []string{"sh", "-c", "sleep 600 & echo $!; wait"}, dir: dir, log: log})
	if err != nil {
		t.Fatal(err)
	}
	var child int
	for child == 0 {
		content, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		child, _ = strconv.Atoi(strings.TrimSpace(string(content))) // not written yet
		if !p.running() {
			t.Fatalf("the shell ended: %s: %s", p.state(), content)
		}
	}
	p.kill()
	if p.running() {
		t.Error("killed, and running")
	}
	for alive(t, child) {
		select {
		case <-t.Context().Done():
			t.Fatalf("child %d outlives its group", child)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestProcessThatCannotStart(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for name, c := range map[string]command{
		"no such program": {argv: []string{"/nonexistent/program"}, log: log},
		"no such user":    {argv: []string{"true"}, user: "nobody-of-that-name", log: log},
		"no log":          {argv: []string{"true"}, log: filepath.Join(log, "below", "a", "file")},
	} {
		if name == "no log" {
			if err := os.WriteFile(log, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := startProcess(c); err == nil || p.running() {
			t.Errorf("%s: error %v, running %v", name, err, p.running())
		}
	}
}
