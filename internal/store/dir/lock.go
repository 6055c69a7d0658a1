package dir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// flock takes a lock on a file of the private directory and waits for it no longer than ctx. The kernel takes the lock
// away from a process that dies.
func (s *Store) flock(ctx context.Context, name string, how int) (*os.File, error) {
	f, err := s.openLock(name)
	if err != nil {
		return nil, err
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), ctx.Err())
		}
	}
}

// openLock opens a lock file, for reading where that is all we may.
func (s *Store) openLock(name string) (*os.File, error) {
	path := filepath.Join(s.root, private, name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return os.Open(path)
	}
	return f, err
}

// shared runs a read while no transaction is under way anywhere. One that was cut off is finished first.
func (s *Store) shared(ctx context.Context, read func() error) error {
	if err := alive(ctx); err != nil {
		return err
	}
	for {
		f, err := s.flock(ctx, lockFile, syscall.LOCK_SH)
		if err != nil {
			return classify(err)
		}
		if !s.pending() {
			err := read()
			f.Close()
			return classify(err)
		}
		f.Close()
		if err := s.exclusive(ctx, func() error { return nil }); err != nil {
			return err
		}
	}
}

// exclusive runs what writes, alone, after finishing a transaction that was cut off.
func (s *Store) exclusive(ctx context.Context, write func() error) error {
	if err := alive(ctx); err != nil {
		return err
	}
	f, err := s.flock(ctx, lockFile, syscall.LOCK_EX)
	if err != nil {
		return classify(err)
	}
	defer f.Close()
	if err := s.replay(); err != nil {
		return classify(fmt.Errorf("finish the transaction that was cut off: %w", err))
	}
	return classify(write())
}
