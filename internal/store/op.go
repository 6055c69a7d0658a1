package store

import "fmt"

// Limits of one transaction. Consul takes 128 operations and 512 KiB of JSON with
// base64 values; these stay below that with room for a client between.
const (
	MaxOps      = 64      // operations
	MaxValue    = 100_000 // bytes; a value must be shorter
	MaxTxnBytes = 350_000 // bytes, sum of all values and keys
)

// Kind is what an operation does.
type Kind uint8

// The zero Kind is no operation, so that an Op nobody filled in is refused.
const (
	KindSet            Kind = iota + 1 // write Value whatever is there
	KindCAS                            // write Value if the key has Version; 0: if it does not exist
	KindDelete                         // delete, whether it exists or not
	KindDeleteCAS                      // delete if the key exists and has Version
	KindCheckVersion                   // write nothing; the key must have Version
	KindCheckNotExists                 // write nothing; the key must not exist
	KindCheckLease                     // write nothing; the key must be locked by Lease
)

// Op is one operation of a transaction. Use the constructors; the fields are for
// implementations of Store.
type Op struct {
	Kind    Kind
	Key     string
	Value   []byte
	Version uint64
	Lease   string // opaque id of a lease, KindCheckLease only
}

// Set writes a value whatever is there.
func Set(key string, value []byte) Op { return Op{Kind: KindSet, Key: key, Value: value} }

// CAS writes a value if the key still has this version; version 0 creates the key
// and fails if it exists.
func CAS(key string, value []byte, version uint64) Op {
	return Op{Kind: KindCAS, Key: key, Value: value, Version: version}
}

// Delete removes a key; one that does not exist is no conflict.
func Delete(key string) Op { return Op{Kind: KindDelete, Key: key} }

// DeleteCAS removes a key that exists and still has this version (not 0).
func DeleteCAS(key string, version uint64) Op {
	return Op{Kind: KindDeleteCAS, Key: key, Version: version}
}

// CheckVersion lets the transaction happen only if the key has this version (not 0).
func CheckVersion(key string, version uint64) Op {
	return Op{Kind: KindCheckVersion, Key: key, Version: version}
}

// CheckNotExists lets the transaction happen only if the key does not exist. In
// Consul it needs the right to write the key, although it writes nothing.
func CheckNotExists(key string) Op { return Op{Kind: KindCheckNotExists, Key: key} }

// CheckLease is what Lease.Check returns; id is the store's own name for the lease.
func CheckLease(key, id string) Op { return Op{Kind: KindCheckLease, Key: key, Lease: id} }

// CheckOps refuses a transaction that no store may be asked to do: ErrInvalid, or
// ErrTooLarge.
func CheckOps(ops []Op) error {
	if len(ops) == 0 {
		return fmt.Errorf("%w: a transaction needs at least one operation", ErrInvalid)
	}
	if len(ops) > MaxOps {
		return fmt.Errorf("%w: %d operations in a transaction, at most %d are allowed", ErrTooLarge, len(ops), MaxOps)
	}
	seen := make(map[string]int, len(ops))
	total := 0
	for i, op := range ops {
		if err := op.check(); err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
		total += op.size()
		if op.Kind == KindCheckLease {
			continue
		}
		if first, dup := seen[op.Key]; dup {
			return fmt.Errorf("%w: operations %d and %d are both on key %q", ErrInvalid, first, i, op.Key)
		}
		seen[op.Key] = i
	}
	if total > MaxTxnBytes {
		return fmt.Errorf("%w: transaction of %d bytes, at most %d are allowed", ErrTooLarge, total, MaxTxnBytes)
	}
	return nil
}

func (op Op) check() error {
	if err := CheckKey(op.Key); err != nil {
		return err
	}
	switch op.Kind {
	case KindSet, KindCAS:
		if len(op.Value) >= MaxValue {
			return fmt.Errorf("%w: value of key %q has %d bytes, want fewer than %d", ErrTooLarge, op.Key, len(op.Value), MaxValue)
		}
	case KindDelete, KindCheckNotExists:
	case KindDeleteCAS, KindCheckVersion:
		if op.Version == 0 {
			return fmt.Errorf("%w: key %q: version 0 names no existing key", ErrInvalid, op.Key)
		}
	case KindCheckLease:
		if op.Lease == "" {
			return fmt.Errorf("%w: key %q: lease check without a lease", ErrInvalid, op.Key)
		}
	default:
		return fmt.Errorf("%w: key %q: no such operation %d", ErrInvalid, op.Key, op.Kind)
	}
	return nil
}

// size counts a DeleteCAS twice: Consul is sent a check and a delete for it.
func (op Op) size() int {
	if op.Kind == KindDeleteCAS {
		return 2 * len(op.Key)
	}
	return len(op.Key) + len(op.Value)
}
