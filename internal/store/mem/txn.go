package mem

import (
	"bytes"
	"context"
	"fmt"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Txn implements store.Store.
func (s *Store) Txn(ctx context.Context, ops ...store.Op) error {
	if err := store.CheckOps(ops); err != nil {
		return err
	}
	if err := alive(ctx); err != nil {
		return fmt.Errorf("transaction of %d operations: %w", len(ops), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// No key is in two writing operations (CheckOps), so looking at everything
	// first and writing afterwards is the same as doing it in order.
	for i, op := range ops {
		if reason := s.refuse(op); reason != "" {
			return &store.ConflictError{Index: i, Key: op.Key, Reason: reason}
		}
	}
	s.index++
	for _, op := range ops {
		s.apply(op)
	}
	s.wake()
	return nil
}

// refuse says why the condition of op does not hold, or "".
func (s *state) refuse(op store.Op) string {
	it, exists := s.data[op.Key]
	switch op.Kind {
	case store.KindSet, store.KindDelete:
		return ""
	case store.KindCAS, store.KindDeleteCAS, store.KindCheckVersion:
		// A key that does not exist has version 0, which only a CAS may ask for.
		if it.version != op.Version {
			return fmt.Sprintf("version is %d, not %d", it.version, op.Version)
		}
	case store.KindCheckNotExists:
		if exists {
			return "key exists"
		}
	case store.KindCheckLease:
		if it.lease != op.Lease {
			return fmt.Sprintf("lock is held by lease %q, not by %q", it.lease, op.Lease)
		}
	default:
		return fmt.Sprintf("no such operation %d", op.Kind)
	}
	return ""
}

func (s *state) apply(op store.Op) {
	switch op.Kind {
	case store.KindSet, store.KindCAS:
		// As in Consul, a plain write of a locked key leaves the lock alone.
		s.put(op.Key, op.Value, s.data[op.Key].lease)
	case store.KindDelete, store.KindDeleteCAS:
		it, exists := s.data[op.Key]
		if !exists {
			return
		}
		delete(s.data, op.Key)
		s.touched[op.Key] = s.index
		s.end(it.lease)
	}
}

// put writes a key at the current index; the caller holds mu and wakes.
func (s *state) put(key string, value []byte, lease string) {
	if old, exists := s.data[key]; exists && old.lease == lease && bytes.Equal(old.value, value) {
		return
	}
	s.data[key] = item{value: bytes.Clone(value), version: s.index, lease: lease}
	s.touched[key] = s.index
}

// wake lets everybody who waits look again.
func (s *state) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}
