package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
)

var errDropped = fmt.Errorf("connection dropped: %w", store.ErrUnavailable)

func testFaultBefore(t *testing.T, s store.Store) {
	f := NewFaults(s)
	txn(t, f, store.Set("a", []byte("1")))
	f.Plan(Once("Txn", Fault{Before: errDropped}))
	wantError(t, f.Txn(contextFor(t), store.Set("a", []byte("2"))), store.ErrUnavailable)
	wantValue(t, f, "a", "1")
	f.Plan(func(Call) Fault { return Fault{Before: errDropped} })
	ctx := contextFor(t)
	_, err := f.Get(ctx, "absent")
	wantError(t, err, store.ErrUnavailable)
	entries, _, err := f.List(ctx, "")
	wantError(t, err, store.ErrUnavailable)
	if entries != nil {
		t.Errorf("a failed list has %d entries", len(entries))
	}
	_, err = f.Watch(ctx, "", 0)
	wantError(t, err, store.ErrUnavailable)
	_, err = f.Campaign(ctx, "leader", "anna")
	wantError(t, err, store.ErrUnavailable)
	_, err = f.Identity(ctx)
	wantError(t, err, store.ErrUnavailable)
	f.Plan(nil)
	wantAbsent(t, f, "leader")
}

// testFaultAfter: the answer was lost, the write was not. A caller that sends the
// same compare-and-swap again is told so instead of writing twice.
func testFaultAfter(t *testing.T, s store.Store) {
	f := NewFaults(s)
	txn(t, f, store.CAS("count", []byte("1"), 0))
	before := get(t, f, "count")
	f.Plan(Once("Txn", Fault{After: errDropped}))
	step := store.CAS("count", []byte("2"), before.Version)
	wantError(t, f.Txn(contextFor(t), step), store.ErrUnavailable)
	wantValue(t, f, "count", "2")
	wantConflict(t, f.Txn(contextFor(t), step), 0, "count")

	f.Plan(Once("Campaign", Fault{After: errDropped}))
	_, err := f.Campaign(contextFor(t), "leader", "anna")
	wantError(t, err, store.ErrUnavailable)
	release(t, campaign(t, f, "leader", "berta"))
}

func testFaultSlow(t *testing.T, s store.Store) {
	f := NewFaults(s)
	hold := make(chan struct{})
	f.Plan(Once("Txn", Fault{Hold: hold}))
	ctx, cancel := context.WithCancel(contextFor(t))
	ended := make(chan error, 1)
	go func() { ended <- f.Txn(ctx, store.Set("a", nil)) }()
	cancel()
	err := <-ended
	wantError(t, err, context.Canceled)
	wantError(t, err, store.ErrUnavailable)
	wantAbsent(t, f, "a")

	f.Plan(Once("Txn", Fault{Hold: hold}))
	go func() { ended <- f.Txn(contextFor(t), store.Set("a", []byte("late"))) }()
	close(hold)
	if err := <-ended; err != nil {
		t.Fatalf("slow txn: %v", err)
	}
	wantValue(t, f, "a", "late")
}

func testFaultLostLease(t *testing.T, s store.Store) {
	f := NewFaults(s)
	released := campaign(t, f, "leader", "anna")
	release(t, released)
	l := campaign(t, f, "leader", "berta")
	if err := f.LoseLeases(contextFor(t)); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, l.Lost(), "the loss of a lease")
	wantConflict(t, f.Txn(contextFor(t), l.Check(), store.Set("state", nil)), 0, "leader")
	next := campaign(t, f, "leader", "carla")
	txn(t, f, next.Check(), store.Set("state", nil))
	release(t, next)
}

// testFaultStale: who decides on an old answer cannot write by it, and a watch that begins at the old index tells of
// what was missed.
func testFaultStale(t *testing.T, s store.Store) {
	f := NewFaults(s)
	txn(t, f, store.CAS("state", []byte("1"), 0), store.Set("flags/freeze", []byte("false")))
	old := get(t, f, "state")
	_, index := list(t, f, "flags/")
	txn(t, s, store.CAS("state", []byte("2"), old.Version), store.Set("flags/freeze", []byte("true")))

	f.Plan(func(Call) Fault { return Fault{Stale: true} })
	wantValue(t, f, "state", "1")
	if entries, i := list(t, f, "flags/"); len(entries) != 1 || string(entries[0].Value) != "false" || i != index {
		t.Fatalf("a stale list is %v at index %d, want the one from before", entries, i)
	}
	f.Plan(nil)
	wantConflict(t, f.Txn(contextFor(t), store.CAS("state", []byte("3"), old.Version)), 0, "state")
	wantConflict(t, f.Txn(contextFor(t), store.CheckVersion("state", old.Version), store.Set("a", nil)), 0, "state")
	if _, err := f.Watch(contextFor(t), "flags/", index); err != nil {
		t.Fatalf("watch from a stale index: %v", err)
	}
	wantValue(t, f, "state", "2")
}
