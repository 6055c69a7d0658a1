// Package mem is a store.Store in memory, for tests and for trying things out: the
// same meaning as Consul, proved by the same conformance suite, and nothing kept.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Store implements store.Store. Use New.
type Store struct {
	*state
	who string
}

// state is what several views of one store share. mu guards all of it.
type state struct {
	mu      sync.Mutex
	index   uint64            // of the last write; the version of what it wrote
	data    map[string]item   // what exists
	touched map[string]uint64 // index of the last write or delete of every key ever
	leases  map[string]*lease // held leases by id
	serial  int               // of the last lease id
	changed chan struct{}     // closed and replaced at every write
}

type item struct {
	value   []byte
	version uint64
	lease   string // id of the lease that locks the key, "" if none
}

// New returns an empty store whose Identity is not known.
func New() *Store {
	return &Store{state: &state{
		index:   1, // an index of 0 would make Watch return at once
		data:    map[string]item{},
		touched: map[string]uint64{},
		leases:  map[string]*lease{},
		changed: make(chan struct{}),
	}}
}

// As returns a view of the same store for which Identity is who.
func (s *Store) As(who string) *Store { return &Store{state: s.state, who: who} }

// Identity implements store.Store.
func (s *Store) Identity(ctx context.Context) (string, error) { return s.who, alive(ctx) }

// alive gives an ended context the class that a request over a network would get.
func alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	return nil
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, key string) (store.Entry, error) {
	if err := store.CheckKey(key); err != nil {
		return store.Entry{}, err
	}
	if err := alive(ctx); err != nil {
		return store.Entry{}, fmt.Errorf("get key %q: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.data[key]
	if !ok {
		return store.Entry{}, fmt.Errorf("get key %q: %w", key, store.ErrNotFound)
	}
	return it.entry(key), nil
}

// entry copies the value: what a caller does to it must not reach the store.
func (it item) entry(key string) store.Entry {
	return store.Entry{Key: key, Value: bytes.Clone(it.value), Version: it.version}
}

// List implements store.Store.
func (s *Store) List(ctx context.Context, prefix string) ([]store.Entry, uint64, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return nil, 0, err
	}
	if err := alive(ctx); err != nil {
		return nil, 0, fmt.Errorf("list %q: %w", prefix, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []store.Entry
	for key, it := range s.data {
		if strings.HasPrefix(key, prefix) {
			entries = append(entries, it.entry(key))
		}
	}
	slices.SortFunc(entries, func(a, b store.Entry) int { return strings.Compare(a.Key, b.Key) })
	return entries, s.index, nil
}

// Keys implements store.Store.
func (s *Store) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	entries, _, err := s.List(ctx, prefix)
	for _, e := range entries {
		keys = append(keys, e.Key)
	}
	return keys, err
}

// Watch implements store.Store.
func (s *Store) Watch(ctx context.Context, prefix string, since uint64) (uint64, error) {
	if err := store.CheckPrefix(prefix); err != nil {
		return 0, err
	}
	for {
		index, changed, wake := s.since(prefix, since)
		if wake {
			return index, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, fmt.Errorf("watch %q: %w", prefix, alive(ctx))
		}
	}
}

func (s *state) since(prefix string, since uint64) (index uint64, changed <-chan struct{}, wake bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since == 0 || since > s.index {
		return s.index, nil, true
	}
	for key, at := range s.touched {
		if at > since && strings.HasPrefix(key, prefix) {
			return s.index, nil, true
		}
	}
	return s.index, s.changed, false
}
