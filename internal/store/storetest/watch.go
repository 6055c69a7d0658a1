package storetest

import (
	"context"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
)

func list(t *testing.T, s store.Store, prefix string) ([]store.Entry, uint64) {
	t.Helper()
	entries, index, err := s.List(contextFor(t), prefix)
	if err != nil || index == 0 {
		t.Fatalf("list %q: index %d, error %v", prefix, index, err)
	}
	return entries, index
}

// testWatchWakes begins a watch before each kind of change and needs it to return.
func testWatchWakes(t *testing.T, s store.Store) {
	txn(t, s, store.Set("flags/ntp/pause", []byte("false")), store.Set("holds/1", nil))
	for _, c := range []struct {
		what string
		op   store.Op
	}{
		{"a write", store.Set("flags/ntp/pause", []byte("true"))},
		{"a new key", store.Set("flags/ntp/delay", nil)},
		{"a delete", store.Delete("flags/ntp/delay")},
		{"a delete of the last key", store.Delete("flags/ntp/pause")},
	} {
		_, index := list(t, s, "flags/")
		type result struct {
			index uint64
			err   error
		}
		woken := make(chan result, 1)
		go func() {
			i, err := s.Watch(contextFor(t), "flags/", index)
			woken <- result{i, err}
		}()
		txn(t, s, c.op)
		if r := <-woken; r.err != nil || r.index == 0 {
			t.Fatalf("watch after %s: index %d, error %v", c.what, r.index, r.err)
		}
		// The change came after the list, so a watch from there must see it even
		// when it begins late.
		if _, err := s.Watch(contextFor(t), "flags/", index); err != nil {
			t.Fatalf("late watch after %s: %v", c.what, err)
		}
	}
	if i, err := s.Watch(contextFor(t), "flags/", 0); err != nil || i == 0 {
		t.Errorf("watch since 0: index %d, error %v, want an index at once", i, err)
	}
}

func testWatchCancels(t *testing.T, s store.Store) {
	txn(t, s, store.Set("flags/freeze", []byte("false")))
	ctx, cancel := context.WithCancel(contextFor(t))
	ended := make(chan error, 1)
	go func() {
		for { // a return without a change is allowed
			_, index, err := s.List(ctx, "flags/")
			if err == nil {
				_, err = s.Watch(ctx, "flags/", index)
			}
			if err != nil {
				ended <- err
				return
			}
		}
	}()
	cancel()
	err := <-ended
	wantError(t, err, context.Canceled)
	wantError(t, err, store.ErrUnavailable)
}

// testWatchFuture: after a restored backup, watchers hold an index that the store
// has not reached. Waiting for it would hide every change until then.
func testWatchFuture(t *testing.T, s store.Store) {
	txn(t, s, store.Set("flags/freeze", []byte("false")))
	_, now := list(t, s, "flags/")
	got, err := s.Watch(contextFor(t), "flags/", now+1_000_000)
	if err != nil || got == 0 || got > now+1000 {
		t.Fatalf("watch of a future index: %d, error %v, want one near %d at once", got, err, now)
	}
}
