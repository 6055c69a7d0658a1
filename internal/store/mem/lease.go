package mem

import (
	"context"
	"fmt"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
)

type lease struct {
	store        *state
	key, id, who string
	lost         chan struct{}
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
		l, changed := s.acquire(key, who)
		if l != nil {
			return l, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// acquire takes the lock, or says what to wait for.
func (s *state) acquire(key, who string) (*lease, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.data[key].lease != "" {
		return nil, s.changed
	}
	s.serial++
	l := &lease{store: s, key: key, id: fmt.Sprintf("lease-%d", s.serial), who: who, lost: make(chan struct{})}
	s.leases[l.id] = l
	s.index++
	s.put(key, store.Holder{Who: who, Since: time.Now()}.Encode(), l.id)
	s.wake()
	return l, nil
}

// end forgets a lease; the caller holds mu. "" and an ended lease are nothing.
func (s *state) end(id string) {
	if l, ok := s.leases[id]; ok {
		delete(s.leases, id)
		close(l.lost)
	}
}

func (l *lease) Lost() <-chan struct{} { return l.lost }
func (l *lease) Check() store.Op       { return store.CheckLease(l.key, l.id) }
func (l *lease) Who() string           { return l.who }

// Release works in an ended context too: nothing is sent anywhere.
func (l *lease) Release(context.Context) error {
	s := l.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, held := s.leases[l.id]; !held {
		return nil
	}
	s.end(l.id)
	s.index++
	s.put(l.key, store.Holder{Since: time.Now()}.Encode(), "")
	s.wake()
	return nil
}
