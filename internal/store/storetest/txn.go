package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
)

func testCAS(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	txn(t, s, store.CAS("state", []byte("1"), 0))
	wantConflict(t, s.Txn(ctx, store.CAS("state", []byte("x"), 0)), 0, "state")
	old := get(t, s, "state")
	txn(t, s, store.CAS("state", []byte("2"), old.Version))
	wantConflict(t, s.Txn(ctx, store.CAS("state", []byte("x"), old.Version)), 0, "state")
	wantConflict(t, s.Txn(ctx, store.CAS("absent", []byte("x"), old.Version)), 0, "absent")
	wantValue(t, s, "state", "2")
	wantAbsent(t, s, "absent")

	// A key that was deleted and made again is not the key that was read.
	read := get(t, s, "state")
	txn(t, s, store.Delete("state"))
	txn(t, s, store.CAS("state", []byte("2"), 0))
	wantConflict(t, s.Txn(ctx, store.CAS("state", []byte("x"), read.Version)), 0, "state")
}

func testDelete(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	txn(t, s, store.Delete("requests/absent"))
	txn(t, s, store.Set("requests/a", []byte("1")))
	old := get(t, s, "requests/a")
	txn(t, s, store.Set("requests/a", []byte("2")))
	wantConflict(t, s.Txn(ctx, store.DeleteCAS("requests/a", old.Version)), 0, "requests/a")
	wantValue(t, s, "requests/a", "2")
	current := get(t, s, "requests/a")
	txn(t, s, store.DeleteCAS("requests/a", current.Version))
	wantAbsent(t, s, "requests/a")
	// Somebody else's delete is news to the caller too.
	wantConflict(t, s.Txn(ctx, store.DeleteCAS("requests/a", current.Version)), 0, "requests/a")
	txn(t, s, store.Set("requests/a", nil))
	txn(t, s, store.Delete("requests/a"))
	wantAbsent(t, s, "requests/a")
}

func testChecks(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	txn(t, s, store.Set("init", []byte("epoch")))
	v := get(t, s, "init").Version
	txn(t, s, store.CheckVersion("init", v), store.CheckNotExists("veto"), store.Set("a", []byte("1")))
	if now := get(t, s, "init").Version; now != v {
		t.Errorf("a check changed version %d to %d", v, now)
	}
	wantConflict(t, s.Txn(ctx, store.Set("a", []byte("2")), store.CheckVersion("init", v+1)), 1, "init")
	wantConflict(t, s.Txn(ctx, store.Set("a", []byte("2")), store.CheckVersion("absent", v)), 1, "absent")
	wantConflict(t, s.Txn(ctx, store.Set("a", []byte("2")), store.CheckNotExists("init")), 1, "init")
	wantConflict(t, s.Txn(ctx, store.Set("a", []byte("2")), store.CheckLease("init", "00000000-0000-0000-0000-000000000000")), 1, "init")
	wantValue(t, s, "a", "1")
}

func testAtomic(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	txn(t, s, store.Set("kept", []byte("1")), store.Set("deleted", []byte("1")))
	kept := get(t, s, "kept")
	// The doubled index of a DeleteCAS in front must not shift the one that is named.
	err := s.Txn(ctx,
		store.DeleteCAS("deleted", get(t, s, "deleted").Version),
		store.Set("kept", []byte("2")),
		store.CAS("new", []byte("2"), 0),
		store.CAS("kept-not", []byte("2"), 7),
		store.Set("after", []byte("2")),
	)
	wantConflict(t, err, 3, "kept-not")
	wantValue(t, s, "deleted", "1")
	wantAbsent(t, s, "new")
	wantAbsent(t, s, "after")
	if now := get(t, s, "kept"); now.Version != kept.Version || string(now.Value) != "1" {
		t.Errorf("kept is %q at version %d, want %q at %d", now.Value, now.Version, kept.Value, kept.Version)
	}
}

// testConcurrentCAS counts in one key from many goroutines: no increment is lost.
func testConcurrentCAS(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	const workers, each = 4, 10
	txn(t, s, store.CAS("count", []byte("0"), 0))
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < each; {
				switch err := increment(s, t); {
				case err == nil:
					done++
				case !errors.Is(err, store.ErrConflict) || ctx.Err() != nil:
					t.Errorf("increment: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	wantValue(t, s, "count", fmt.Sprint(workers*each))
}

func increment(s store.Store, t *testing.T) error {
	e, err := s.Get(t.Context(), "count")
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(e.Value))
	if err != nil {
		return err
	}
	return s.Txn(t.Context(), store.CAS("count", []byte(strconv.Itoa(n+1)), e.Version))
}
