package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
)

func testLease(t *testing.T, s store.Store) {
	l := campaign(t, s, "leader", "anna")
	if l.Who() != "anna" {
		t.Errorf("who %q, want anna", l.Who())
	}
	h, err := store.ParseHolder(get(t, s, "leader").Value)
	if err != nil || h.Who != "anna" || h.Since.IsZero() {
		t.Fatalf("holder %+v, error %v, want anna and a time", h, err)
	}
	txn(t, s, l.Check(), store.Set("state", []byte("1")))
	wantOpen(t, l.Lost(), "the loss of a lease that is held")
	other := campaign(t, s, "other", "berta") // another key is another lock
	release(t, other)
	release(t, l)
	wantClosed(t, l.Lost(), "the end of a released lease")
	release(t, l)
	h, err = store.ParseHolder(get(t, s, "leader").Value)
	if err != nil || h.Who != "" {
		t.Errorf("holder after a release %+v, error %v, want nobody", h, err)
	}
	again := campaign(t, s, "leader", "anna")
	wantConflict(t, s.Txn(contextFor(t), store.Set("state", nil), l.Check()), 1, "leader")
	release(t, l) // an old lease must not give the new one up
	txn(t, s, again.Check(), store.Set("state", []byte("2")))
	wantOpen(t, again.Lost(), "the loss of the second lease")
}

func testLeaseExclusive(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	first := campaign(t, s, "leader", "anna")
	var released atomic.Bool
	won := make(chan store.Lease, 1)
	go func() {
		defer close(won)
		l, err := s.Campaign(ctx, "leader", "berta")
		if err != nil {
			t.Errorf("second campaign: %v", err)
			return
		}
		if !released.Load() {
			t.Error("two leases at once")
		}
		won <- l
	}()
	for range 20 {
		txn(t, s, first.Check(), store.Set("state", []byte("of anna")))
	}
	released.Store(true)
	release(t, first)
	second, ok := <-won
	if !ok {
		t.FailNow()
	}
	defer release(t, second)
	txn(t, s, second.Check(), store.Set("state", []byte("of berta")))
	wantConflict(t, s.Txn(ctx, first.Check(), store.Set("state", []byte("of anna"))), 0, "leader")
	wantValue(t, s, "state", "of berta")
}

// testLeaseFences: a leader that sleeps through its loss cannot write when it wakes.
func testLeaseFences(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	l := campaign(t, s, "leader", "anna")
	txn(t, s, l.Check(), store.CAS("state", []byte("1"), 0))
	v := get(t, s, "state").Version
	release(t, l)
	wantConflict(t, s.Txn(ctx, l.Check(), store.CAS("state", []byte("2"), v)), 0, "leader")
	wantConflict(t, s.Txn(ctx, store.Set("audit/1", nil), l.Check()), 1, "leader")
	wantValue(t, s, "state", "1")
	wantAbsent(t, s, "audit/1")
}

func testLeaseLost(t *testing.T, s store.Store) {
	l := campaign(t, s, "leader", "anna")
	txn(t, s, store.Delete("leader"))
	wantConflict(t, s.Txn(contextFor(t), l.Check(), store.Set("state", nil)), 0, "leader")
	wantClosed(t, l.Lost(), "the loss of a lease whose key was deleted")
	next := campaign(t, s, "leader", "berta")
	release(t, l) // the loser gives nothing up
	txn(t, s, next.Check(), store.Set("state", nil))
	release(t, next)
}

// testLeaseOverwritten: locks are advisory, a plain write changes the value only.
func testLeaseOverwritten(t *testing.T, s store.Store) {
	l := campaign(t, s, "leader", "anna")
	txn(t, s, store.Set("leader", []byte("scribble")))
	wantValue(t, s, "leader", "scribble")
	txn(t, s, l.Check(), store.Set("state", nil))
	release(t, l)
}

func testCampaignCancels(t *testing.T, s store.Store) {
	l := campaign(t, s, "leader", "anna")
	ctx, cancel := context.WithCancel(contextFor(t))
	ended := make(chan error, 1)
	go func() {
		lost, err := s.Campaign(ctx, "leader", "berta")
		if lost != nil {
			err = errors.New("won against a holder")
		}
		ended <- err
	}()
	cancel()
	wantError(t, <-ended, context.Canceled)
	txn(t, s, l.Check(), store.Set("state", nil))
	release(t, l)
	release(t, campaign(t, s, "leader", "carla")) // nothing of berta is left in the way
}
