package dir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Txn implements store.Store. New values are staged and on disk before the journal names them; the journal is the
// moment at which all of it has happened; what follows are renames, which a later call finishes after a crash.
func (s *Store) Txn(ctx context.Context, ops ...store.Op) error {
	if err := store.CheckOps(ops); err != nil {
		return err
	}
	err := s.exclusive(ctx, func() error {
		for i, op := range ops {
			reason, err := s.refuse(op)
			if err != nil {
				return err
			}
			if reason != "" {
				return &store.ConflictError{Index: i, Key: op.Key, Reason: reason}
			}
		}
		j, err := s.stage(ops)
		if err == nil && len(j.Steps) > 0 {
			err = s.commit(j)
		}
		return err
	})
	if errors.Is(err, store.ErrConflict) {
		return err
	}
	if err != nil {
		return fmt.Errorf("transaction of %d operations: %w", len(ops), err)
	}
	s.wake()
	return nil
}

// refuse says why the condition of op does not hold, or "".
func (s *Store) refuse(op store.Op) (string, error) {
	switch op.Kind {
	case store.KindSet, store.KindDelete:
		return "", nil
	case store.KindCheckLease:
		holder, err := s.holder(op.Key)
		if err != nil {
			return "", err
		}
		if holder != op.Lease {
			return fmt.Sprintf("lock is held by lease %q, not by %q", holder, op.Lease), nil
		}
		return "", nil
	}
	e, exists, err := s.entry(op.Key)
	switch {
	case err != nil:
		return "", err
	case op.Kind == store.KindCheckNotExists:
		if exists {
			return "key exists", nil
		}
	case e.Version != op.Version: // a key that does not exist has version 0, which only a CAS may ask for
		return fmt.Sprintf("version is %d, not %d", e.Version, op.Version), nil
	}
	return "", nil
}

// stage writes all new values to files of their own, and says what is to be done with them.
func (s *Store) stage(ops []store.Op) (journal, error) {
	j := journal{Format: journalFormat}
	if err := os.RemoveAll(s.staged("")); err != nil {
		return j, err
	}
	if err := os.MkdirAll(s.staged(""), 0o775); err != nil {
		return j, err
	}
	add := func(key string, value []byte) error {
		n := fmt.Sprint(len(j.Steps))
		j.Steps = append(j.Steps, step{Path: pathOf(key), File: n})
		return s.write(s.staged(n), value)
	}
	for _, op := range ops {
		old, exists, err := s.entry(op.Key)
		if err != nil {
			return j, err
		}
		switch op.Kind {
		case store.KindSet, store.KindCAS:
			if exists && bytes.Equal(old.Value, op.Value) {
				continue // no change: the version stays
			}
			if err := add(op.Key, op.Value); err != nil {
				return j, err
			}
		case store.KindDelete, store.KindDeleteCAS:
			if exists {
				j.Steps = append(j.Steps, step{Path: pathOf(op.Key)}, step{Lease: leaseFile(op.Key)})
			}
		}
		if err := s.crash("staged " + op.Key); err != nil {
			return j, err
		}
	}
	return j, syncDir(s.staged(""))
}

// write puts a value on disk, with a time that no other write has.
func (s *Store) write(path string, value []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o664)
	if err != nil {
		return err
	}
	_, err = f.Write(value)
	at := s.tick()
	err = errors.Join(err, os.Chtimes(path, at, at), f.Sync(), f.Close())
	return err
}

func (s *Store) tick() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = max(s.clock+1, time.Now().UnixNano())
	return time.Unix(0, s.clock)
}

// staged is the path of a staged file, or of their directory.
func (s *Store) staged(name string) string { return filepath.Join(s.root, private, "staged", name) }

// syncDir makes what happened to the names in a directory last.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// inside refuses a path that a journal written by hand could lead out of the directory with.
func inside(path string) bool {
	return filepath.IsLocal(path) && path != "." && !strings.HasPrefix(path, private)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
