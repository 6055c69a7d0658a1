package dir

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPeopleWriteFiles: what the shell leaves is the flag, and its version changes with every edit.
func TestPeopleWriteFiles(t *testing.T) {
	s := opened(t, t.TempDir())
	if err := s.Txn(t.Context(), store.Set("flags/freeze", []byte("false"))); err != nil {
		t.Fatal(err)
	}
	_, index, err := s.List(t.Context(), "flags/")
	if err != nil {
		t.Fatal(err)
	}
	woken := make(chan error, 1)
	go func() {
		_, err := s.Watch(t.Context(), "flags/", index)
		woken <- err
	}()
	shell(t, s.root, "mkdir -p flags/ntp && echo true > flags/ntp/pause")
	if err := <-woken; err != nil {
		t.Fatal(err)
	}
	e, err := s.Get(t.Context(), "flags/ntp/pause")
	if err != nil || strings.TrimSpace(string(e.Value)) != "true" {
		t.Fatalf("%q, %v", e.Value, err)
	}
	// An edit that keeps size and times is an edit all the same.
	shell(t, s.root, "touch -d '2026-01-01' flags/ntp/pause")
	old, err := s.Get(t.Context(), "flags/ntp/pause")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * settled)
	if _, err := s.Get(t.Context(), "flags/ntp/pause"); err != nil { // it is cached now
		t.Fatal(err)
	}
	shell(t, s.root, "printf 'fals\\n' > flags/ntp/pause; touch -d '2026-01-01' flags/ntp/pause")
	e, err = s.Get(t.Context(), "flags/ntp/pause")
	if err != nil || string(e.Value) != "fals\n" || e.Version == old.Version {
		t.Errorf("%q at version %d (before: %d), %v", e.Value, e.Version, old.Version, err)
	}
	if err := s.Txn(t.Context(), store.CAS("flags/ntp/pause", []byte("x"), old.Version)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a write over somebody's edit: %v, want %v", err, store.ErrConflict)
	}
}

func shell(t *testing.T, in, script string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", script)
	cmd.Dir = in
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// TestOddFiles: what is no plain file has a value that nobody takes for a release; editors' copies are nobody's flag.
func TestOddFiles(t *testing.T) {
	s := opened(t, t.TempDir())
	shell(t, s.root, `mkdir -p flags/ntp flags/web && cd flags/ntp
		echo true > .pause.swp; echo true > pause~
		ln -s /nonexistent backout; mkfifo pause; head -c 2000000 /dev/zero > ../freeze; echo true > 'pau se'; echo x > '50%zz'`)
	got := content(t, s)
	for _, key := range []string{"flags/ntp/backout", "flags/ntp/pause", "flags/freeze"} {
		if !strings.HasPrefix(got[key], "unreadable: ") {
			t.Errorf("%s is %.60q, want it to say that it cannot be read", key, got[key])
		}
	}
	for _, key := range []string{"flags/ntp/pau se", "flags/ntp/50%zz"} {
		if _, ok := got[key]; !ok {
			t.Errorf("%s is missing: it may be a misspelt stop", key)
		}
	}
	if len(got) != 5 {
		t.Errorf("%d keys: %v", len(got), got)
	}
}

func TestSecondDaemon(t *testing.T) {
	path := t.TempDir()
	first, err := Open(Config{Path: path, Exclusive: "sluiced 4711"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(Config{Path: path, Exclusive: "sluiced 4712"})
	if err == nil || !strings.Contains(err.Error(), path+" is in use by sluiced 4711 since ") {
		t.Errorf("second daemon: %v", err)
	}
	if err := opened(t, path).Txn(t.Context(), store.Set("flags/freeze", []byte("true"))); err != nil {
		t.Errorf("people cannot write while a daemon runs: %v", err)
	}
	first.Close()
	again, err := Open(Config{Path: path, Exclusive: "sluiced 4712"})
	if err != nil {
		t.Fatalf("after the first one ended: %v", err)
	}
	again.Close()
}

func TestBadDirectories(t *testing.T) {
	tmp := t.TempDir()
	write(t, filepath.Join(tmp, "file"), "x")
	for path, want := range map[string]string{
		"relative": "expected an absolute path", filepath.Join(tmp, "typo"): "does not exist", filepath.Join(tmp, "file"): "expected a directory",
	} {
		if _, err := Open(Config{Path: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	s, err := Open(Config{Path: filepath.Join(tmp, "new", "tree"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// mounted gives a file system of its own, small enough to be filled.
func mounted(t *testing.T, options string) string {
	t.Helper()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, options); err != nil {
		t.Fatalf("mount a small tmpfs (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	return path
}

// TestDiskFull: a transaction that does not fit has not happened, reading goes on, and a stop that exists is seen.
func TestDiskFull(t *testing.T) {
	root := filepath.Join(mounted(t, "size=200k"), "tree")
	s, err := Open(Config{Path: root, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Txn(t.Context(), store.Set("rollouts/ntp/state", []byte("1")), store.Set("flags/ntp/pause", []byte("true"))); err != nil {
		t.Fatal(err)
	}
	big := make([]byte, store.MaxValue-1)
	err = s.Txn(t.Context(), store.Set("rollouts/ntp/state", []byte("2")), store.Set("enc/sets/a", big), store.Set("enc/sets/b", big))
	if !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v, want %v", err, syscall.ENOSPC)
	}
	got := content(t, s)
	if got["rollouts/ntp/state"] != "1" || got["flags/ntp/pause"] != "true" || len(got) != 2 {
		t.Errorf("after a full disk: %v", got)
	}
	if err := s.Txn(t.Context(), store.Set("rollouts/ntp/state", []byte("2"))); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

// TestReadOnly: reading works, writing says why it does not.
func TestReadOnly(t *testing.T) {
	mount := mounted(t, "size=1m")
	s := opened(t, mount)
	if err := s.Txn(t.Context(), store.Set("flags/freeze", []byte("true"))); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := syscall.Mount("tmpfs", mount, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	s = opened(t, mount)
	if e, err := s.Get(t.Context(), "flags/freeze"); err != nil || string(e.Value) != "true" {
		t.Errorf("read: %q, %v", e.Value, err)
	}
	if err := s.Txn(t.Context(), store.Set("flags/freeze", []byte("false"))); !errors.Is(err, store.ErrUnavailable) || !errors.Is(err, syscall.EROFS) {
		t.Errorf("write: %v, want %v", err, syscall.EROFS)
	}
	if e, err := s.Get(t.Context(), "flags/freeze"); err != nil || string(e.Value) != "true" {
		t.Errorf("after the write: %q, %v", e.Value, err)
	}
	if _, err := Open(Config{Path: mount, Exclusive: "sluiced 1"}); err == nil {
		t.Error("a daemon that can write nothing starts")
	}
}

// TestFolder: a directory for people to write into, which is no key, hides none, and survives the removal of a flag beside it.
func TestFolder(t *testing.T) {
	s := opened(t, t.TempDir())
	for range 2 {
		if err := s.Folder("flags/ntp"); err != nil {
			t.Fatal(err)
		}
	}
	list, _, err := s.List(t.Context(), "")
	if err != nil || len(list) != 0 {
		t.Fatalf("an empty directory is listed as %v, %v", list, err)
	}
	shell(t, s.root, "echo true > flags/ntp/pause")
	if e, err := s.Get(t.Context(), "flags/ntp/pause"); err != nil || strings.TrimSpace(string(e.Value)) != "true" {
		t.Errorf("the flag reads %q, %v", e.Value, err)
	}
	if err := s.Txn(t.Context(), store.Set("rollouts/web", []byte("1"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Folder("rollouts/web"); err == nil {
		t.Error("a directory was made where a key has its value")
	}
	if err := s.Folder("../elsewhere"); err == nil {
		t.Error("a directory was made outside the tree")
	}
}
