package storetest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/internal/store"
)

func testGetSet(t *testing.T, s store.Store) {
	wantAbsent(t, s, "flags/ntp/pause")
	txn(t, s, store.Set("flags/ntp/pause", []byte("true")))
	first := get(t, s, "flags/ntp/pause")
	txn(t, s, store.Set("flags/ntp/pause", []byte("true")))
	if again := get(t, s, "flags/ntp/pause"); again.Version != first.Version {
		t.Errorf("version %d became %d by a write of the same value", first.Version, again.Version)
	}
	txn(t, s, store.Set("flags/ntp/pause", []byte("false")))
	txn(t, s, store.Set("flags/ntp/pause", []byte("true")))
	if again := get(t, s, "flags/ntp/pause"); again.Version == first.Version {
		t.Errorf("version %d came back with the value", first.Version)
	}
	txn(t, s, store.Set("flags/ntp/pause", nil))
	wantValue(t, s, "flags/ntp/pause", "") // empty is not absent

	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	txn(t, s, store.Set("binary", every))
	wantValue(t, s, "binary", string(every))

	get(t, s, "binary").Value[0] = 'x'
	every[1] = 'x'
	if b := get(t, s, "binary").Value; b[0] != 0 || b[1] != 1 {
		t.Errorf("a caller reached into the store: value starts with %v", b[:2])
	}
	if _, err := s.Identity(contextFor(t)); err != nil {
		t.Errorf("identity: %v", err)
	}
}

func testOddKeys(t *testing.T, s store.Store) {
	keys := []string{"a", "a b", "a%2Fb", "a?b=c", "a#b", "a+b", "a&b", "ä/ö", "web-01.example.com", "a:b@c", "a=b;c", strings.Repeat("k", store.MaxKey)}
	for _, key := range keys {
		txn(t, s, store.CAS(key, []byte(key), 0))
	}
	for _, key := range keys {
		wantValue(t, s, key, key)
	}
	entries, _, err := s.List(contextFor(t), "")
	if err != nil || len(entries) != len(keys) {
		t.Fatalf("list: %d entries, error %v, want %d entries", len(entries), err, len(keys))
	}
}

func testMalformed(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	for _, key := range []string{"", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", "a\nb", "a\x00b", "a\\b", "\xff", strings.Repeat("k", store.MaxKey+1)} {
		_, err := s.Get(ctx, key)
		wantError(t, err, store.ErrInvalid)
		wantError(t, s.Txn(ctx, store.Set("good", nil), store.Set(key, nil)), store.ErrInvalid)
		_, err = s.Campaign(ctx, key, "anna")
		wantError(t, err, store.ErrInvalid)
	}
	for _, prefix := range []string{"flags", "/", "/flags/", "flags//", "../"} {
		_, _, err := s.List(ctx, prefix)
		_, keysErr := s.Keys(ctx, prefix)
		wantError(t, keysErr, store.ErrInvalid)
		wantError(t, err, store.ErrInvalid)
		_, err = s.Watch(ctx, prefix, 0)
		wantError(t, err, store.ErrInvalid)
	}
	_, err := s.Campaign(ctx, "leader", "")
	wantError(t, err, store.ErrInvalid)
	for _, ops := range [][]store.Op{
		{},
		{{}},
		{{Kind: 99, Key: "a"}},
		{store.DeleteCAS("a", 0)},
		{store.CheckVersion("a", 0)},
		{store.CheckLease("a", "")},
		{store.Set("a", nil), store.Delete("a")},
	} {
		wantError(t, s.Txn(ctx, ops...), store.ErrInvalid)
	}
	wantAbsent(t, s, "good")
	wantAbsent(t, s, "a")
}

func testList(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	entries, index, err := s.List(ctx, "rollouts/")
	if err != nil || len(entries) != 0 || index == 0 {
		t.Fatalf("empty list: %v, index %d, error %v; want nothing, an index, no error", entries, index, err)
	}
	keys := []string{"rollouts/ntp/state", "rollouts/ntp2/spec", "rollouts/ntp/spec", "rollouts", "rollouts/b", "rollouts/B", "rollouts/a-b", "rollouts/a/b"}
	for _, key := range keys {
		txn(t, s, store.Set(key, []byte("value of "+key)))
	}
	for prefix, want := range map[string][]string{
		"":              keys,
		"rollouts/":     slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return k == "rollouts" }),
		"rollouts/ntp/": {"rollouts/ntp/spec", "rollouts/ntp/state"},
		"rollouts/nt/":  nil,
	} {
		entries, index, err := s.List(ctx, prefix)
		if err != nil || index == 0 {
			t.Fatalf("list %q: index %d, error %v", prefix, index, err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Key)
			if single := get(t, s, e.Key); !cmp.Equal(single, e) {
				t.Errorf("list %q and get differ: %s", prefix, cmp.Diff(single, e))
			}
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(want)), got); diff != "" {
			t.Errorf("list %q (-want +got):\n%s", prefix, diff)
		}
		if keys, err := s.Keys(ctx, prefix); err != nil || !slices.Equal(keys, got) {
			t.Errorf("keys %q: %q, %v; want %q", prefix, keys, err, got)
		}
	}
}

func testLarge(t *testing.T, s store.Store) {
	ctx := contextFor(t)
	noise := make([]byte, store.MaxValue)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	txn(t, s, store.Set("largest", noise[1:]))
	if !bytes.Equal(get(t, s, "largest").Value, noise[1:]) {
		t.Error("the largest value came back changed")
	}
	wantError(t, s.Txn(ctx, store.Set("small", nil), store.Set("too-large", noise)), store.ErrTooLarge)

	full := make([]store.Op, store.MaxOps)
	left := store.MaxTxnBytes
	for i := range full {
		key := fmt.Sprintf("enc/sets/digest/%03d", i)
		n := left/(len(full)-i) - len(key)
		full[i] = store.Set(key, noise[:n])
		left -= n + len(key)
	}
	if left != 0 {
		t.Fatalf("%d bytes left over: the transaction is not a full one", left)
	}
	txn(t, s, full...)
	entries, _, err := s.List(ctx, "enc/sets/digest/")
	if err != nil || len(entries) != store.MaxOps {
		t.Fatalf("list: %d entries, error %v, want %d", len(entries), err, store.MaxOps)
	}
	full[0].Value = noise[:len(full[0].Value)+1]
	wantError(t, s.Txn(ctx, full...), store.ErrTooLarge)

	many := make([]store.Op, store.MaxOps+1)
	for i := range many {
		many[i] = store.Set(fmt.Sprintf("many/%d", i), nil)
	}
	wantError(t, s.Txn(ctx, many...), store.ErrTooLarge)
	wantAbsent(t, s, "small")
	wantAbsent(t, s, "many/0")
}

func testEndedContext(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Get(ctx, "a")
	wantError(t, err, context.Canceled)
	wantError(t, err, store.ErrUnavailable) // above all not "not found"
	_, _, err = s.List(ctx, "")
	wantError(t, err, context.Canceled)
	wantError(t, err, store.ErrUnavailable)
	err = s.Txn(ctx, store.Set("a", nil))
	wantError(t, err, context.Canceled)
	wantError(t, err, store.ErrUnavailable)
	_, err = s.Identity(ctx)
	wantError(t, err, context.Canceled)
	wantAbsent(t, s, "a")
}
