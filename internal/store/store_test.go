package store_test

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/internal/store"
)

func TestConflictError(t *testing.T) {
	err := fmt.Errorf("write state: %w", &store.ConflictError{Index: 2, Key: "rollouts/ntp/state", Reason: "stale"})
	if !errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrUnavailable) {
		t.Errorf("%v is not exactly a conflict", err)
	}
	if want := `write state: operation 2 on key "rollouts/ntp/state": stale`; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}

func TestCheckOpsLimits(t *testing.T) {
	value := make([]byte, store.MaxValue-1)
	fill := func(n int, op func(string) store.Op) []store.Op {
		var ops []store.Op
		for i := range n {
			ops = append(ops, op(fmt.Sprintf("k%04d", i)))
		}
		return ops
	}
	long := strings.Repeat("k", store.MaxKey-5)
	for _, c := range []struct {
		what string
		ops  []store.Op
		want error
	}{
		{"as many as allowed", fill(store.MaxOps, store.Delete), nil},
		{"one more", fill(store.MaxOps+1, store.Delete), store.ErrTooLarge},
		{"three large values", fill(3, func(k string) store.Op { return store.Set(k, value) }), nil},
		{"four large values", fill(4, func(k string) store.Op { return store.CAS(k, value, 1) }), store.ErrTooLarge},
		{"long keys", fill(store.MaxOps, func(k string) store.Op { return store.DeleteCAS(k+long, 1) }), nil},
		{"two leases", []store.Op{store.CheckLease("leader", "a"), store.CheckLease("leader", "b"), store.Set("leader", nil)}, nil},
		{"one key twice", []store.Op{store.CheckVersion("a", 1), store.Set("a", nil)}, store.ErrInvalid},
		{"nothing", nil, store.ErrInvalid},
	} {
		if err := store.CheckOps(c.ops); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
}

func TestHolder(t *testing.T) {
	h := store.Holder{Who: "fra1-a", Since: time.Date(2026, 3, 1, 13, 0, 0, 5, time.FixedZone("", 3600))}
	got, err := store.ParseHolder(h.Encode())
	if err != nil || got.Who != h.Who || !got.Since.Equal(h.Since.Truncate(time.Second)) {
		t.Errorf("%+v, error %v, want %+v", got, err, h)
	}
	far, err := store.ParseHolder(store.Holder{Who: "a", Since: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}.Encode())
	if err != nil || far.Who != "a" {
		t.Errorf("a time that json cannot hold: %+v, error %v, want the name kept", far, err)
	}
}

// FuzzCheckKey: a key that passes stays below the directory and the prefix it is
// joined to, and means the same after cleaning.
func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"flags/ntp/pause", "a//b", "../a", "a/..", "/", "a/", "a\x00", "ä", "a b", ".hidden", "a\\..\\b"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if store.CheckKey(key) != nil {
			return
		}
		if full := path.Join("/base", key); full != "/base/"+key {
			t.Errorf("key %q means %q", key, full)
		}
		if err := store.CheckPrefix(key + "/"); err != nil {
			t.Errorf("key %q is no prefix: %v", key, err)
		}
		if store.CheckPrefix(key) == nil {
			t.Errorf("prefix %q without a slash is accepted", key)
		}
	})
}

// FuzzParseHolder: what is parsed survives being written.
func FuzzParseHolder(f *testing.F) {
	f.Add([]byte(`{"who":"a","since":"2026-03-01T12:00:00Z"}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, value []byte) {
		h, err := store.ParseHolder(value)
		if err != nil {
			return
		}
		again, err := store.ParseHolder(h.Encode())
		if err != nil || again.Who != h.Who {
			t.Errorf("%q became %+v, then %+v, error %v", value, h, again, err)
		}
	})
}
