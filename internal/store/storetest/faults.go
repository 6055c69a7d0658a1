package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Call is one request that is about to reach the store.
type Call struct {
	Method string     // Get, List, Keys, Watch, Txn, Campaign or Identity
	Key    string     // key or prefix; "" for Txn and Identity
	Ops    []store.Op // Txn only
}

// Fault is what happens to one request. The zero Fault is none.
type Fault struct {
	// Before fails the request and the store never sees it.
	Before error
	// After lets the store do it and loses the answer: the caller gets this error.
	After error
	// Hold keeps the request from the store until it is closed or the context of
	// the request ends.
	Hold <-chan struct{}
	// Stale answers a Get or a List with what the same request said the last time, as a
	// server that has lost touch with the others would. The first such request has no
	// earlier answer and is passed on.
	Stale bool
}

// Faults is a store between a caller and the real one that fails as a network
// and its servers do. Without a plan it passes everything on.
type Faults struct {
	inner store.Store

	mu     sync.Mutex
	plan   func(Call) Fault
	leases []store.Lease
	past   map[question]answer
}

// question names a request by what it asks for.
type question struct{ method, key string }

// answer is what a request said.
type answer struct {
	entries []store.Entry
	index   uint64
	err     error
}

// NewFaults wraps a store.
func NewFaults(inner store.Store) *Faults {
	return &Faults{inner: inner, past: map[question]answer{}}
}

// Plan decides the fate of every request from now on; nil ends all faults. It is
// called by one goroutine at a time.
func (f *Faults) Plan(plan func(Call) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plan = plan
}

// Once is a plan with one fault, for the next call of one method.
func Once(method string, fault Fault) func(Call) Fault {
	done := false
	return func(c Call) Fault {
		if done || c.Method != method {
			return Fault{}
		}
		done = true
		return fault
	}
}

// LoseLeases takes the lock away from every lease given out so far, by deleting
// its key below them. It returns when their Lost channels are closed.
func (f *Faults) LoseLeases(ctx context.Context) error {
	f.mu.Lock()
	leases := f.leases
	f.leases = nil
	f.mu.Unlock()
	for _, l := range leases {
		check := l.Check()
		err := f.inner.Txn(ctx, check, store.Delete(check.Key))
		if errors.Is(err, store.ErrConflict) {
			continue // released or lost before; somebody else may hold the key now
		}
		if err != nil {
			return fmt.Errorf("lose lease of %q: %w", l.Who(), err)
		}
		select {
		case <-l.Lost():
		case <-ctx.Done():
			return fmt.Errorf("lease of %q did not notice its loss: %w", l.Who(), ctx.Err())
		}
	}
	return nil
}

// do sends one request through its fault.
func (f *Faults) do(ctx context.Context, call Call, request func() error) error {
	f.mu.Lock()
	var fault Fault
	if f.plan != nil {
		fault = f.plan(call)
	}
	f.mu.Unlock()
	if fault.Hold != nil {
		select {
		case <-fault.Hold:
		case <-ctx.Done():
			return fmt.Errorf("%s %q: %w: %w", call.Method, call.Key, store.ErrUnavailable, ctx.Err())
		}
	}
	if fault.Before != nil {
		return fault.Before
	}
	if fault.Stale {
		return errStale
	}
	err := request()
	if fault.After != nil {
		return fault.After
	}
	return err
}

// errStale asks for an earlier answer; no caller sees it.
var errStale = errors.New("stale")

// remembered gives the last answer to a request, and asks for a first one where there is none.
func (f *Faults) remembered(q question, ask func() answer) answer {
	f.mu.Lock()
	a, ok := f.past[q]
	f.mu.Unlock()
	if ok {
		return a
	}
	return f.remember(q, ask())
}

func (f *Faults) remember(q question, a answer) answer {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.past[q] = a
	return a
}

// Get implements store.Store.
func (f *Faults) Get(ctx context.Context, key string) (e store.Entry, err error) {
	q := question{"Get", key}
	ask := func() answer {
		e, err := f.inner.Get(ctx, key)
		return answer{entries: []store.Entry{e}, err: err}
	}
	err = f.do(ctx, Call{Method: "Get", Key: key}, func() error {
		a := f.remember(q, ask())
		e = a.entries[0]
		return a.err
	})
	if errors.Is(err, errStale) {
		a := f.remembered(q, ask)
		e, err = a.entries[0], a.err
	}
	if err != nil {
		return store.Entry{}, err
	}
	return e, nil
}

// List implements store.Store.
func (f *Faults) List(ctx context.Context, prefix string) (entries []store.Entry, index uint64, err error) {
	q := question{"List", prefix}
	ask := func() answer {
		entries, index, err := f.inner.List(ctx, prefix)
		return answer{entries, index, err}
	}
	err = f.do(ctx, Call{Method: "List", Key: prefix}, func() error {
		a := f.remember(q, ask())
		entries, index = a.entries, a.index
		return a.err
	})
	if errors.Is(err, errStale) {
		a := f.remembered(q, ask)
		entries, index, err = a.entries, a.index, a.err
	}
	if err != nil {
		return nil, 0, err
	}
	return entries, index, nil
}

// Keys implements store.Store.
func (f *Faults) Keys(ctx context.Context, prefix string) (keys []string, err error) {
	err = f.do(ctx, Call{Method: "Keys", Key: prefix}, func() (err error) {
		keys, err = f.inner.Keys(ctx, prefix)
		return err
	})
	if errors.Is(err, errStale) {
		return f.inner.Keys(ctx, prefix)
	}
	return keys, err
}

// Watch implements store.Store.
func (f *Faults) Watch(ctx context.Context, prefix string, since uint64) (index uint64, err error) {
	err = f.do(ctx, Call{Method: "Watch", Key: prefix}, func() error {
		index, err = f.inner.Watch(ctx, prefix, since)
		return err
	})
	if err != nil {
		return 0, err
	}
	return index, nil
}

// Txn implements store.Store.
func (f *Faults) Txn(ctx context.Context, ops ...store.Op) error {
	return f.do(ctx, Call{Method: "Txn", Ops: ops}, func() error { return f.inner.Txn(ctx, ops...) })
}

// Campaign implements store.Store. A lease whose answer was lost is released, as
// the session of a process that never learned of it would be.
func (f *Faults) Campaign(ctx context.Context, key, who string) (l store.Lease, err error) {
	err = f.do(ctx, Call{Method: "Campaign", Key: key}, func() error {
		l, err = f.inner.Campaign(ctx, key, who)
		return err
	})
	if err != nil {
		if l != nil {
			_ = l.Release(context.WithoutCancel(ctx))
		}
		return nil, err
	}
	f.mu.Lock()
	f.leases = append(f.leases, l)
	f.mu.Unlock()
	return l, nil
}

// Identity implements store.Store.
func (f *Faults) Identity(ctx context.Context) (who string, err error) {
	err = f.do(ctx, Call{Method: "Identity"}, func() error {
		who, err = f.inner.Identity(ctx)
		return err
	})
	if err != nil {
		return "", err
	}
	return who, nil
}
