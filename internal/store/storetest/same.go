package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/internal/store"
)

// Same sends the same random transactions to two empty stores and compares what
// they say and what they hold, versions aside. seed makes a failure repeatable.
func Same(t *testing.T, a, b store.Store, seed uint64, transactions int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	for n := range transactions {
		plan := randomPlan(rng)
		errA, errB := a.Txn(contextFor(t), plan.ops(t, a)...), b.Txn(contextFor(t), plan.ops(t, b)...)
		if diff := cmp.Diff(outcome(errA), outcome(errB)); diff != "" {
			t.Fatalf("transaction %d of seed %d, %+v:\n%s", n, seed, plan, diff)
		}
		if diff := cmp.Diff(content(t, a), content(t, b)); diff != "" {
			t.Fatalf("content after transaction %d of seed %d, %+v:\n%s", n, seed, plan, diff)
		}
	}
}

// step is an operation without a version, which differs between stores.
type step struct {
	Kind    store.Kind
	Key     string
	Value   string
	Version string // zero, current or wrong
}

type plan []step

func randomPlan(rng *rand.Rand) plan {
	keys := []string{"a", "a/b", "b", "c/d/e", "ä"}
	rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	var p plan
	for _, key := range keys[:1+rng.IntN(len(keys))] {
		p = append(p, step{
			Kind:    store.KindSet + store.Kind(rng.IntN(int(store.KindCheckNotExists))),
			Key:     key,
			Value:   fmt.Sprint(rng.IntN(3)),
			Version: []string{"zero", "current", "current", "current", "wrong"}[rng.IntN(5)],
		})
	}
	return p
}

func (p plan) ops(t *testing.T, s store.Store) []store.Op {
	t.Helper()
	ops := make([]store.Op, len(p))
	for i, st := range p {
		op := store.Op{Kind: st.Kind, Key: st.Key}
		if st.Kind == store.KindSet || st.Kind == store.KindCAS {
			op.Value = []byte(st.Value)
		}
		e, err := s.Get(contextFor(t), st.Key)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
		switch st.Version {
		case "current":
			op.Version = e.Version
		case "wrong":
			op.Version = e.Version + 1_000_000
		}
		ops[i] = op
	}
	return ops
}

// outcome is what an error says, without the stores' own words.
func outcome(err error) string {
	var conflict *store.ConflictError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &conflict):
		return fmt.Sprintf("conflict of operation %d on %s", conflict.Index, conflict.Key)
	}
	return err.Error()
}

func content(t *testing.T, s store.Store) map[string]string {
	t.Helper()
	entries, _ := list(t, s, "")
	held := map[string]string{}
	for _, e := range entries {
		held[e.Key] = string(e.Value)
	}
	return held
}
