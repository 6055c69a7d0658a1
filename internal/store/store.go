// Package store is the contract between sluice and the place where its shared
// state lives: Consul KV, or a small embedded stand-in with the same meaning.
//
// Keys are relative to the prefix that the store was opened with, separated by
// "/", without a leading or trailing slash. A prefix argument is "" (everything)
// or a path that ends in "/", so that "rollouts/ntp/" can never catch
// "rollouts/ntp2/spec". Both are checked, and refused with ErrInvalid.
//
// Every error of a store is one of the classes in this package (errors.Is). The
// rule behind all of them: a store never turns "I could not see" into "there is
// nothing there".
package store

import "context"

// Entry is one key with its value.
type Entry struct {
	Key   string
	Value []byte
	// Version changes whenever the value changes, and is never 0 for a key that
	// exists. Writing the value that is already there is no change: it succeeds,
	// keeps the version and wakes nobody (Consul does it so), hence two writers with
	// equal bytes both win a CAS. Compare versions for equality only: a restored
	// backup takes them back.
	Version uint64
}

// Store is a consistent key-value tree with transactions and one leader lock. All
// methods may be called from several goroutines at once.
type Store interface {
	// Get reads one key, consistently. A key that does not exist is ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)

	// List reads everything below prefix, consistently, sorted by key. No entry is
	// no error. The index, at least 1, is the one to hand to Watch. A list that
	// the store's access rules have cut short is ErrForbidden, never a shorter list.
	// A key that CheckKey refuses, written by hand, is listed all the same: it may
	// be somebody's misspelt stop.
	List(ctx context.Context, prefix string) ([]Entry, uint64, error)

	// Keys is List without the values and the index, for what is too large to be
	// read for a look at its names.
	Keys(ctx context.Context, prefix string) ([]string, error)

	// Watch blocks until something below prefix may have changed since the index
	// that List returned, and returns a new index. It may return early and without
	// a change; the index may go backwards after a restored backup. The caller
	// lists again after every return, and goes on with the index of that List.
	// since 0 returns at once.
	Watch(ctx context.Context, prefix string, since uint64) (uint64, error)

	// Txn applies all ops or none of them. An operation whose condition does not
	// hold is a *ConflictError. ErrUnavailable means "may have happened": the
	// request may have been applied although its answer was lost, so the caller
	// reads again before it decides anything. At least one and at most MaxOps
	// operations, each key in one of them only (a lease check not counted).
	Txn(ctx context.Context, ops ...Op) error

	// Campaign blocks until this process holds the lock on key, or ctx ends. The
	// value of key becomes a Holder. It rides out ErrUnavailable and returns every
	// other error. The lease does not end with ctx: it ends by Release or by loss.
	Campaign(ctx context.Context, key, who string) (Lease, error)

	// Identity says who this process is to the store, in words fit for an audit
	// line. "" where the store does not know.
	Identity(ctx context.Context) (string, error)
}

// Lease is a held leader lock.
type Lease interface {
	// Lost is closed as soon as the lock can no longer be believed to be held,
	// Release included. It may come late by a scheduling delay: what makes a write
	// safe is Check inside the same transaction, not a look at this channel.
	Lost() <-chan struct{}
	// Check is the operation that lets a transaction happen only while this lease
	// holds the lock.
	Check() Op
	// Release gives the lock up and ends everything that kept it. It is safe to
	// call twice, and after a loss.
	Release(ctx context.Context) error
	// Who is the name that Campaign was called with.
	Who() string
}
