package dir

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
)

func opened(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func content(t *testing.T, s *Store) map[string]string {
	t.Helper()
	entries, _, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		out[e.Key] = string(e.Value)
	}
	return out
}

// TestCutOffAtEveryStep ends a transaction after each of its steps, as a power cut would, and opens the directory
// again: all of it has happened, or nothing.
func TestCutOffAtEveryStep(t *testing.T) {
	before := map[string]string{"rollouts/ntp/state": "1", "requests/a": "start", "a": "value of a", "kept": "kept"}
	after := map[string]string{"rollouts/ntp/state": "2", "enc/manifest": "{}", "a": "value of a", "a/b/c": "below a", "kept": "kept"}
	power := errors.New("power cut")
	none, whole := 0, 0
	for cut := 0; ; cut++ {
		path := t.TempDir()
		s := opened(t, path)
		var first []store.Op
		for k, v := range before {
			first = append(first, store.Set(k, []byte(v)))
		}
		if err := s.Txn(t.Context(), first...); err != nil {
			t.Fatal(err)
		}
		steps := 0
		s.crash = func(string) error {
			if steps++; steps > cut {
				return power
			}
			return nil
		}
		err := s.Txn(t.Context(), store.Set("rollouts/ntp/state", []byte("2")), store.Set("enc/manifest", []byte("{}")),
			store.Delete("requests/a"), store.Set("a/b/c", []byte("below a")))
		if err != nil && !errors.Is(err, power) {
			t.Fatal(err)
		}
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("cut after %d steps: %v, want an error that says it may have happened", cut, err)
		}
		got := content(t, opened(t, path))
		switch {
		case maps.Equal(got, after):
			whole++
		case maps.Equal(got, before) && err != nil:
			none++
		default:
			t.Errorf("cut after %d steps (%v): %v", cut, err, got)
		}
		if err == nil {
			break
		}
	}
	if none < 3 || whole < 5 {
		t.Errorf("%d cuts before and %d after the transaction: the test cuts at the wrong places", none, whole)
	}
}

// TestAnotherProcessFinishes: whoever comes first after a crash finishes the transaction, a reader too.
func TestAnotherProcessFinishes(t *testing.T) {
	path := t.TempDir()
	dying, reader := opened(t, path), opened(t, path)
	dying.crash = func(step string) error {
		if step == "committed" {
			return errors.New("killed")
		}
		return nil
	}
	if err := dying.Txn(t.Context(), store.Set("flags/ntp/pause", []byte("true")), store.Set("flags/ntp/delay", []byte("1h"))); err == nil {
		t.Fatal("the transaction was not cut off")
	}
	want := map[string]string{"flags/ntp/pause": "true", "flags/ntp/delay": "1h"}
	if got := content(t, reader); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestForeignJournal: what nobody can read is not guessed at, and does not lead out of the directory.
func TestForeignJournal(t *testing.T) {
	for name, text := range map[string]string{
		"torn": `{"format":1,"steps":[{"pa`, "newer": `{"format":2,"steps":[]}`,
		"outside": `{"format":1,"steps":[{"path":"../outside"}]}`, "own": `{"format":1,"steps":[{"path":".sluice/lock"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, t.TempDir())
			write(t, s.journal(), text)
			if _, _, err := s.List(t.Context(), ""); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("list: %v, want %v", err, store.ErrUnavailable)
			}
			if err := s.Txn(t.Context(), store.Set("a", nil)); !errors.Is(err, store.ErrUnavailable) {
				t.Errorf("transaction: %v, want %v", err, store.ErrUnavailable)
			}
		})
	}
}

func TestPathsAreReversible(t *testing.T) {
	for _, key := range []string{"a", "flags/ntp/pause", ".hidden", "a/.b", "pause~", "50%", "%self", "a/%2E", "ä/ö", "a b"} {
		if got := keyOf(pathOf(key)); got != key {
			t.Errorf("key %q has path %q, which is key %q", key, pathOf(key), got)
		}
	}
}

func FuzzPath(f *testing.F) {
	f.Add("flags/ntp/pause")
	f.Add("%/~/..a")
	f.Fuzz(func(t *testing.T, key string) {
		if store.CheckKey(key) != nil {
			_ = keyOf(key) // whatever lies in the directory must not be the end of us
			return
		}
		path := pathOf(key)
		if !inside(path) {
			t.Fatalf("key %q: path %q leaves the directory", key, path)
		}
		if got := keyOf(path); got != key {
			t.Fatalf("key %q: path %q is key %q", key, path, got)
		}
	})
}

func BenchmarkList(b *testing.B) {
	s, err := Open(Config{Path: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range 200 {
		if err := s.Txn(b.Context(), store.Set(fmt.Sprintf("rollouts/r%03d/state", i), make([]byte, 2000))); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, _, err := s.List(b.Context(), "rollouts/"); err != nil {
			b.Fatal(err)
		}
	}
}
