package dir

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"github.com/openinfrastructure/sluice/internal/store"
)

// lease is a lock of the kernel on a file, and a record that transactions check. Who dies loses the lock at once.
type lease struct {
	store        *Store
	key, id, who string
	lost         chan struct{}
	once         sync.Once
	lock         *os.File
	stop         chan struct{} // ends monitor
	work         sync.WaitGroup
}

// record says which lease holds a key.
type record struct {
	ID  string `json:"id"`
	Who string `json:"who"`
	PID int    `json:"pid"`
}

// leaseFile is named by a digest: a key may be longer than a file name.
func leaseFile(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

func (s *Store) leasePath(key string) string {
	return filepath.Join(s.root, private, "leases", leaseFile(key))
}

// holder is the id of the lease that holds a key, "" if none. A record that cannot be read is nobody's.
func (s *Store) holder(key string) (string, error) {
	data, err := os.ReadFile(s.leasePath(key))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var r record
	if json.Unmarshal(data, &r) != nil {
		return "", nil
	}
	return r.ID, nil
}

// Campaign implements store.Store.
func (s *Store) Campaign(ctx context.Context, key, who string) (store.Lease, error) {
	if err := store.CheckKey(key); err != nil {
		return nil, err
	}
	if who == "" {
		return nil, fmt.Errorf("%w: campaign for key %q without a name", store.ErrInvalid, key)
	}
	for {
		if err := alive(ctx); err != nil {
			return nil, fmt.Errorf("campaign for key %q: %w", key, err)
		}
		l, err := s.attempt(ctx, key, who)
		if l != nil {
			return l, nil
		}
		if err != nil && !errors.Is(err, store.ErrUnavailable) {
			return nil, fmt.Errorf("campaign for key %q: %w", key, err)
		}
		select { // taken, or a disk that may be mended
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// attempt takes the lock if it is free.
func (s *Store) attempt(ctx context.Context, key, who string) (*lease, error) {
	f, err := s.openLock(filepath.Join("leases", leaseFile(key)+".lock"))
	if err != nil {
		return nil, classify(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, nil
	}
	l := &lease{store: s, key: key, who: who, id: "lease-" + rand.Text(), lost: make(chan struct{}), stop: make(chan struct{}), lock: f}
	data, err := json.Marshal(record{ID: l.id, Who: who, PID: os.Getpid()})
	if err == nil {
		err = s.exclusive(ctx, func() error {
			j, err := s.stage([]store.Op{store.Set(key, store.Holder{Who: who, Since: time.Now()}.Encode())})
			if err != nil {
				return err
			}
			// The record first: a lease without its holder's name is harmless, a name without a lease is not.
			if err := renameio.WriteFile(s.leasePath(key), data, 0o664); err != nil {
				return err
			}
			if len(j.Steps) == 0 {
				return nil
			}
			return s.commit(j)
		})
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	s.mu.Lock()
	s.leases[l.id] = l
	s.mu.Unlock()
	s.wake()
	l.work.Go(l.monitor)
	return l, nil
}

// monitor notices when the record is taken away, as by a delete of the key.
func (l *lease) monitor() {
	for {
		changed := l.store.waiter()
		id, err := l.store.holder(l.key)
		if err == nil && id != l.id {
			l.lose()
			l.lock.Close()
			return
		}
		select {
		case <-l.stop:
			return
		case <-changed:
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (l *lease) lose() {
	l.once.Do(func() {
		close(l.lost)
		l.store.mu.Lock()
		delete(l.store.leases, l.id)
		l.store.mu.Unlock()
	})
}

func (l *lease) Lost() <-chan struct{} { return l.lost }
func (l *lease) Check() store.Op       { return store.CheckLease(l.key, l.id) }
func (l *lease) Who() string           { return l.who }

// Release gives the lock up even where the directory cannot be written: the kernel's lock is what others wait for.
func (l *lease) Release(ctx context.Context) error {
	select {
	case <-l.lost:
		return nil
	default:
	}
	l.lose()
	close(l.stop)
	l.work.Wait()
	defer l.lock.Close()
	err := l.store.exclusive(ctx, func() error {
		if id, err := l.store.holder(l.key); err != nil || id != l.id {
			return err // somebody else's by now
		}
		if err := os.Remove(l.store.leasePath(l.key)); err != nil {
			return err
		}
		j, err := l.store.stage([]store.Op{store.Set(l.key, store.Holder{Since: time.Now()}.Encode())})
		if err != nil || len(j.Steps) == 0 {
			return err
		}
		return l.store.commit(j)
	})
	l.store.wake()
	if err != nil {
		return fmt.Errorf("release key %q: %w", l.key, err)
	}
	return nil
}
