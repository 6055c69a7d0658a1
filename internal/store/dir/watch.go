package dir

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/openinfrastructure/sluice/internal/store"
)

// listing is what a prefix was last seen as, and the index of when it became so.
type listing struct {
	digest [sha256.Size]byte
	index  uint64
}

// note gives a prefix the index of its content: a new one whenever the content is another than last time.
func (s *Store) note(prefix string, entries []store.Entry) uint64 {
	h := sha256.New()
	for _, e := range entries {
		_ = binary.Write(h, binary.BigEndian, uint64(len(e.Key)))
		h.Write([]byte(e.Key))
		_ = binary.Write(h, binary.BigEndian, e.Version)
	}
	l := listing{}
	h.Sum(l.digest[:0])
	s.mu.Lock()
	defer s.mu.Unlock()
	old, seen := s.listed[prefix]
	if seen && old.digest == l.digest {
		return old.index
	}
	s.index++
	l.index = s.index
	s.listed[prefix] = l
	return l.index
}

// Watch implements store.Store. It looks after every hint: a transaction of this process, a change that the kernel
// tells of, and every Rescan, since hints get lost.
func (s *Store) Watch(ctx context.Context, prefix string, since uint64) (uint64, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return 0, err
	}
	for {
		changed := s.waiter()
		s.follow()
		index, err := s.look(ctx, prefix)
		if err != nil {
			return 0, fmt.Errorf("watch %q: %w", prefix, err)
		}
		if since == 0 || index != since {
			return index, nil
		}
		select {
		case <-changed:
		case <-time.After(s.rescan):
		case <-ctx.Done():
			return 0, fmt.Errorf("watch %q: %w", prefix, alive(ctx))
		}
	}
}

// look gives the index of a prefix as it is now.
func (s *Store) look(ctx context.Context, prefix string) (index uint64, err error) {
	err = s.shared(ctx, func() error {
		entries, err := s.below(prefix, false)
		if err == nil {
			index = s.note(prefix, entries)
		}
		return err
	})
	return index, err
}

// waiter is closed at the next hint.
func (s *Store) waiter() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// wake lets everybody who waits look again.
func (s *Store) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// notifier turns what the kernel tells into hints.
type notifier struct {
	watcher *fsnotify.Watcher
	work    sync.WaitGroup
}

// follow makes the kernel tell of changes in every directory there is now. Where it cannot, Rescan has to do.
func (s *Store) follow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if s.notifier == nil {
		w, err := fsnotify.NewWatcher()
		if err != nil {
			return
		}
		n := &notifier{watcher: w}
		n.work.Go(func() { n.run(s) })
		s.notifier = n
	}
	have := map[string]bool{}
	for _, d := range s.notifier.watcher.WatchList() {
		have[d] = true
	}
	_ = filepath.WalkDir(s.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir():
			return nil
		case path != s.root && ignored(d.Name()):
			return fs.SkipDir
		case !have[path]:
			_ = s.notifier.watcher.Add(path)
		}
		return nil
	})
}

func (n *notifier) run(s *Store) {
	for {
		select {
		case e, ok := <-n.watcher.Events:
			if !ok {
				return
			}
			if e.Op != fsnotify.Chmod && !ignored(filepath.Base(e.Name)) {
				s.wake()
			}
		case _, ok := <-n.watcher.Errors: // an overflow: something happened
			if !ok {
				return
			}
			s.wake()
		}
	}
}

func (n *notifier) close() {
	_ = n.watcher.Close()
	n.work.Wait()
}
