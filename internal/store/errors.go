package store

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound: the key does not exist. Only Get returns it.
	ErrNotFound = errors.New("key not found")
	// ErrConflict: a condition of a transaction did not hold; nothing was written.
	ErrConflict = errors.New("conflict")
	// ErrForbidden: the access rules refuse this, or hide part of the answer.
	ErrForbidden = errors.New("permission denied")
	// ErrUnavailable: unreachable, no leader, overloaded, or an answer that makes no
	// sense. After a Txn it means "may have happened": read again.
	ErrUnavailable = errors.New("store unavailable")
	// ErrTooLarge: a value or a transaction above the limits; nothing was written.
	ErrTooLarge = errors.New("too large")
	// ErrInvalid: a malformed key, prefix or operation; nothing was sent.
	ErrInvalid = errors.New("invalid request")
)

// ConflictError names the operation that stopped a transaction.
// errors.Is(err, ErrConflict) holds for it.
type ConflictError struct {
	Index  int    // place among the operations given to Txn, from 0
	Key    string // key of that operation
	Reason string // in the store's words
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("operation %d on key %q: %s", e.Index, e.Key, e.Reason)
}

// Is makes every ConflictError an ErrConflict.
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }
