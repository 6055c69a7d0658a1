// Package storetest holds the conformance suite that every store.Store must pass,
// a wrapper that injects faults into any store, and a comparison of two stores.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
)

// patience ends a test that hangs; nothing is measured against it.
const patience = time.Minute

// Run checks the whole contract. open returns a store that is empty for its
// caller; Run writes nothing outside it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.Store)
	}{
		{"get and set", testGetSet},
		{"odd keys", testOddKeys},
		{"malformed requests", testMalformed},
		{"list", testList},
		{"large", testLarge},
		{"cas", testCAS},
		{"delete", testDelete},
		{"checks", testChecks},
		{"atomic", testAtomic},
		{"concurrent cas", testConcurrentCAS},
		{"watch wakes", testWatchWakes},
		{"watch cancels", testWatchCancels},
		{"watch of a future index", testWatchFuture},
		{"ended context", testEndedContext},
		{"lease", testLease},
		{"lease is exclusive", testLeaseExclusive},
		{"lease fences", testLeaseFences},
		{"lease is lost with its key", testLeaseLost},
		{"lease key is overwritten", testLeaseOverwritten},
		{"campaign cancels", testCampaignCancels},
		{"fault before", testFaultBefore},
		{"fault after", testFaultAfter},
		{"fault slow", testFaultSlow},
		{"fault lost lease", testFaultLostLease},
		{"fault stale", testFaultStale},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func contextFor(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func txn(t *testing.T, s store.Store, ops ...store.Op) {
	t.Helper()
	if err := s.Txn(contextFor(t), ops...); err != nil {
		t.Fatalf("txn: %v", err)
	}
}

func get(t *testing.T, s store.Store, key string) store.Entry {
	t.Helper()
	e, err := s.Get(contextFor(t), key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	if e.Key != key || e.Version == 0 {
		t.Fatalf("get %q: key %q, version %d; want the same key and a version", key, e.Key, e.Version)
	}
	return e
}

func wantValue(t *testing.T, s store.Store, key, value string) {
	t.Helper()
	if e := get(t, s, key); string(e.Value) != value {
		t.Fatalf("key %q: value %.60q, want %.60q", key, e.Value, value)
	}
}

func wantAbsent(t *testing.T, s store.Store, key string) {
	t.Helper()
	if e, err := s.Get(contextFor(t), key); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("get %q: value %.60q, error %v; want %v", key, e.Value, err, store.ErrNotFound)
	}
}

func wantError(t *testing.T, err, class error) {
	t.Helper()
	if !errors.Is(err, class) {
		t.Fatalf("error %v, want %v", err, class)
	}
}

// wantConflict checks that the error names the operation that stopped it.
func wantConflict(t *testing.T, err error, index int, key string) {
	t.Helper()
	wantError(t, err, store.ErrConflict)
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || conflict.Index != index || conflict.Key != key || conflict.Reason == "" {
		t.Fatalf("conflict %+v, want operation %d, key %q and a reason", conflict, index, key)
	}
}

// wantClosed waits for a channel that must close.
func wantClosed(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-contextFor(t).Done():
		t.Fatalf("%s did not happen", what)
	}
}

func wantOpen(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
		t.Fatalf("%s happened", what)
	default:
	}
}

func campaign(t *testing.T, s store.Store, key, who string) store.Lease {
	t.Helper()
	l, err := s.Campaign(contextFor(t), key, who)
	if err != nil {
		t.Fatalf("campaign of %q for %q: %v", who, key, err)
	}
	t.Cleanup(func() { _ = l.Release(context.WithoutCancel(t.Context())) })
	return l
}

func release(t *testing.T, l store.Lease) {
	t.Helper()
	if err := l.Release(contextFor(t)); err != nil {
		t.Fatalf("release: %v", err)
	}
}
