package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store/dir"
)

// newDirLab is a site without Consul: a directory, and edges that read it.
func newDirLab(t *testing.T, n int) *lab {
	t.Helper()
	path := t.TempDir()
	s, err := dir.Open(dir.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return newLabOn(t, n, s, path)
}

// edit does to a file what a person with a shell does.
func (l *lab) edit(key, content string) {
	l.Helper()
	path := filepath.Join(l.tree, key)
	l.must(os.MkdirAll(filepath.Dir(path), 0o755))
	l.must(os.WriteFile(path, []byte(content), 0o644))
}

// TestDirectory plays good and bad changes, a failover and people's files on a store that is a directory.
func TestDirectory(t *testing.T) {
	l := newDirLab(t, 8).lead()
	l.look()
	l.start("ntp", "production_2")
	l.untilStage("ntp", 2)
	l.failover()
	l.until("ntp", gate.Completed)
	l.tick()
	l.on("production_2", l.nodes...)

	l.breaks = func(_, environment string) string {
		if environment == "production_3" {
			return "File[/etc/motd]"
		}
		return ""
	}
	l.start("bad", "production_3")
	l.until("bad", gate.BackedOut)
	if got := l.ranEver("production_3"); got != "n00" {
		t.Errorf("%s ran the bad change, only the canary may", got)
	}
	l.auditIsWhole("state")
}

// TestFlagsByEcho: from its start on, and again after somebody took the directory away, a rollout is stopped by one echo.
func TestFlagsByEcho(t *testing.T) {
	l := newDirLab(t, 8).lead()
	l.l.leader.store = l.kv // without the faults between, which have no directories
	l.look()
	l.start("ntp", "production_2")
	l.look()
	l.must(os.RemoveAll(filepath.Join(l.tree, "flags", "ntp")))
	l.look()
	l.must(os.WriteFile(filepath.Join(l.tree, "flags", "ntp", "pause"), []byte("true\n"), 0o644))
	l.look()
	if closed := l.closed("ntp"); !strings.Contains(closed, "pause") {
		t.Errorf("closed are %q, want pause", closed)
	}
	l.must(os.WriteFile(filepath.Join(l.tree, "flags", "ntp", "pause"), []byte("false\n"), 0o644))
	l.until("ntp", gate.Completed)
}

// TestFilesByHand: a flag that a person writes stops the edges while nobody leads, and a file of the tree that was
// edited into nonsense holds everything, says so, and moves nobody.
func TestFilesByHand(t *testing.T) {
	l := newDirLab(t, 8).lead()
	l.look()
	l.start("ntp", "production_2")
	l.untilStage("ntp", 2)
	l.must(l.l.faults.LoseLeases(l.Context())) // nobody leads
	l.edit("flags/ntp/backout", "true\n")
	l.agents()
	l.accept()
	l.agents()
	l.on("production_1", l.nodes...)

	for key, content := range map[string]string{
		"rollouts/ntp/state": `{"phase":"run`, "enc/stops": "x", "tracks/production": `{"name":"production","baseline":"../../etc"}`,
	} {
		t.Run(key, func(t *testing.T) {
			l := newDirLab(t, 8).lead()
			l.look()
			l.start("ntp", "production_2")
			l.untilStage("ntp", 1)
			before := l.ranEver("production_2")
			good, err := os.ReadFile(filepath.Join(l.tree, key))
			l.must(err)
			l.edit(key, content)
			for range 4 {
				l.agents()
				l.accept()
				l.collect(l.l)
				_, err := l.l.look(l.Context())
				if err == nil || !strings.Contains(err.Error(), key) {
					t.Fatalf("a look at the damage: %v, want an error that names %s", err, key)
				}
			}
			if after := l.ranEver("production_2"); len(after) > len("n00") || len(before) > len(after) {
				t.Errorf("%q had run it before, %q after", before, after)
			}
			l.edit(key, string(good))
			l.until("ntp", gate.Completed)
		})
	}
}

// TestDirectoryGone: a tree that vanishes under the leader moves nobody, and nothing is made in its place.
func TestDirectoryGone(t *testing.T) {
	l := newDirLab(t, 8).lead()
	l.look()
	l.start("ntp", "production_2")
	l.untilStage("ntp", 2)
	ran := l.ranEver("production_2")
	l.must(os.Rename(l.tree, l.tree+".away"))
	if _, err := l.l.look(l.Context()); err == nil {
		t.Error("a look without a tree succeeds")
	}
	for _, e := range l.edges {
		_, _ = e.Accept(l.Context())
	}
	if _, err := os.Lstat(l.tree); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made where the tree was: %v", err)
	}
	l.agents()
	l.must(os.Rename(l.tree+".away", l.tree))
	if after := l.ranEver("production_2"); len(after) > len("n00 n02 n04 n06") || len(after) < len(ran) {
		t.Errorf("%q ran it", after)
	}
	l.until("ntp", gate.Completed)
}
