// Package dir is the store.Store as a directory of files, for a site with one puppetserver and without Consul: one file
// a key, so that `echo true > DIR/flags/ntp/pause` is the flag.
//
//	dir.go, read.go    reading: a file is a value, and its version changes with it
//	path.go            keys as paths
//	txn.go, journal.go all or nothing, also across a crash
//	watch.go           who waits for a change
//	lease.go, lock.go  one writer at a time, one leader
//
// The file system must be local: it keeps locks and times in nanoseconds.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Config says where and how.
type Config struct {
	// Path of the directory, absolute.
	Path string
	// Create makes the directory where it is missing. Without it a mistyped path is an error.
	Create bool
	// Exclusive is for the daemon: a second one on the same directory is refused at once.
	Exclusive string // who, as others are told; "" = not
	// Rescan is how often a watch looks without being told, 2 s if 0.
	Rescan time.Duration
}

const (
	lockFile   = "lock"
	daemonFile = "daemon"
)

// Store implements store.Store. Use Open.
type Store struct {
	root   string
	rescan time.Duration
	daemon *os.File // the lock of Exclusive

	// crash lets a test end a transaction after any of its steps.
	crash func(step string) error

	mu       sync.Mutex
	cache    map[string]cached // by path relative to the root
	clock    int64             // ns, of the last write
	index    uint64
	listed   map[string]listing // what a prefix was last seen as
	changed  chan struct{}      // closed and replaced when this process wrote
	notifier *notifier
	leases   map[string]*lease
	closed   bool
}

// Open opens a directory that exists, or is to be made.
func Open(c Config) (*Store, error) {
	if !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("store directory %q: expected an absolute path", c.Path)
	}
	if c.Create {
		if err := os.MkdirAll(c.Path, 0o775); err != nil {
			return nil, classify(err)
		}
	}
	switch info, err := os.Stat(c.Path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: store directory %s does not exist (sluice init makes it)", store.ErrUnavailable, c.Path)
	case err != nil:
		return nil, classify(err)
	case !info.IsDir():
		return nil, fmt.Errorf("%w: %s is a file, expected a directory", store.ErrUnavailable, c.Path)
	}
	s := &Store{root: filepath.Clean(c.Path), rescan: c.Rescan, crash: func(string) error { return nil }, cache: map[string]cached{},
		index: uint64(time.Now().UnixMicro()), listed: map[string]listing{}, changed: make(chan struct{}), leases: map[string]*lease{}}
	if s.rescan == 0 {
		s.rescan = 2 * time.Second
	}
	if err := os.MkdirAll(filepath.Join(s.root, private, "leases"), 0o775); err != nil {
		if _, there := os.Stat(filepath.Join(s.root, private)); there != nil {
			return nil, classify(err)
		}
	}
	if err := s.precise(); err != nil {
		return nil, err
	}
	if c.Exclusive != "" {
		if err := s.only(c.Exclusive); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// precise makes sure that the file system keeps nanoseconds, which versions are made of.
func (s *Store) precise() error {
	f, err := os.CreateTemp(filepath.Join(s.root, private), "probe-")
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.ENOSPC) {
		return nil // nothing can be written, so there is no version to be made
	}
	if err != nil {
		return classify(err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	want := time.Unix(1_700_000_000, 123_456_789)
	if err := os.Chtimes(f.Name(), want, want); err != nil {
		return classify(err)
	}
	info, err := os.Stat(f.Name())
	if err != nil {
		return classify(err)
	}
	if !info.ModTime().Equal(want) {
		return fmt.Errorf("%w: %s is on a file system that does not keep times in nanoseconds: expected a local one (ext4, xfs, btrfs, tmpfs)", store.ErrUnavailable, s.root)
	}
	return nil
}

// only keeps a second daemon out.
func (s *Store) only(who string) error {
	f, err := s.openLock(daemonFile)
	if err != nil {
		return classify(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		f.Close()
		return fmt.Errorf("%w: %s is in use by %s: a directory serves one sluiced at a time, replicas need Consul", store.ErrUnavailable, s.root, strings.TrimSpace(string(holder)))
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, fmt.Sprintf("%s since %s\n", who, time.Now().UTC().Format(time.RFC3339)))); err != nil {
		f.Close()
		return classify(fmt.Errorf("%s: %w", s.root, err))
	}
	s.daemon = f
	return nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// Path is the directory.
func (s *Store) Path() string { return s.root }

// Folder makes the directory for the keys below one, for people to write into. It is no key and no change.
func (s *Store) Folder(key string) error {
	if err := store.CheckKey(key); err != nil {
		return err
	}
	return classify(os.MkdirAll(filepath.Join(s.root, pathOf(key)), 0o775))
}

// Close ends what watches the directory, gives up leases, and lets another daemon in.
func (s *Store) Close() {
	s.mu.Lock()
	leases := make([]*lease, 0, len(s.leases))
	for _, l := range s.leases {
		leases = append(leases, l)
	}
	n := s.notifier
	s.notifier, s.closed = nil, true
	s.mu.Unlock()
	for _, l := range leases {
		_ = l.Release(context.Background())
	}
	if n != nil {
		n.close()
	}
	if s.daemon != nil {
		s.daemon.Close()
	}
}

// Identity implements store.Store: the user of the operating system, whom a directory's permissions are about.
func (s *Store) Identity(ctx context.Context) (string, error) {
	if err := alive(ctx); err != nil {
		return "", err
	}
	name := fmt.Sprintf("uid %d", os.Geteuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if from := os.Getenv("SUDO_USER"); from != "" && os.Geteuid() == 0 {
		name = from + " (sudo)"
	}
	return name + " (local user)", nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	var e store.Entry
	found := false
	err := s.shared(ctx, func() (err error) {
		e, found, err = s.entry(key)
		return err
	})
	if err == nil && !found {
		err = store.ErrNotFound
	}
	if err != nil {
		return store.Entry{}, fmt.Errorf("get key %q: %w", key, err)
	}
	return e, nil
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, uint64, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, 0, err
	}
	var entries []store.Entry
	var index uint64
	err := s.shared(ctx, func() (err error) {
		entries, err = s.below(prefix, true)
		if err == nil {
			index = s.note(prefix, entries)
		}
		return err
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list %q: %w", prefix, err)
	}
	return entries, index, nil
}

// Keys implements store.Store.
func (s *Store) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, err
	}
	err = s.shared(ctx, func() error {
		entries, err := s.below(prefix, false)
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("keys %q: %w", prefix, err)
	}
	return keys, nil
}

// below reads everything below a prefix, sorted by key; without values it reads only files that changed.
func (s *Store) below(prefix string, withValues bool) ([]store.Entry, error) {
	start := s.root
	if prefix != "" {
		start = filepath.Join(s.root, pathOf(strings.TrimSuffix(prefix, "/")))
	}
	var out []store.Entry
	err := filepath.WalkDir(start, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // removed by hand since its directory was read
		case err != nil:
			return err
		case path == start && !d.IsDir():
			return nil // the key that is named like the prefix is not below it
		case path != start && ignored(d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		rel, err := filepath.Rel(s.root, path)
		if err != nil {
			return err
		}
		key := keyOf(rel)
		if !strings.HasPrefix(key, prefix) {
			return nil // "%self" of the prefix
		}
		e, found, err := s.file(rel, key, withValues)
		if err == nil && found {
			out = append(out, e)
		}
		return err
	})
	slices.SortFunc(out, func(a, b store.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out, err
}
