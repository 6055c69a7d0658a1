package daemon

import (
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/segments"
)

// TestSetsAreForgotten: what no look asks for and no document names is forgotten, and read again when somebody asks.
func TestSetsAreForgotten(t *testing.T) {
	l := &leader{store: mem.New(), sets: &sets{have: map[string]segments.Set{}}}
	l.sets.store = l.store
	ops := func(s segments.Set) (out []store.Op) {
		for n, shard := range s.Shards() {
			out = append(out, store.Set(edge.SetKey(s.Digest, n), shard))
		}
		return out
	}
	used, named, idle := segments.NewSet([]string{"a"}), segments.NewSet([]string{"b"}), segments.NewSet([]string{"c"})
	for _, s := range []segments.Set{used, named, idle} {
		if err := l.store.Txn(t.Context(), ops(s)...); err != nil {
			t.Fatal(err)
		}
		if _, err := l.sets.get(t.Context(), s.Digest, s.Count); err != nil {
			t.Fatal(err)
		}
	}
	document := map[string]int{named.Digest: 1}
	l.sets.sweep(document)
	if len(l.sets.have) != 3 {
		t.Fatalf("%d sets after a look that asked for three", len(l.sets.have))
	}
	if in := l.sets.member(used.Digest); !in(segments.Fingerprint("a")) || in(segments.Fingerprint("b")) {
		t.Error("a set holds somebody else")
	}
	l.sets.sweep(document)
	if _, ok := l.sets.have[idle.Digest]; ok || len(l.sets.have) != 2 {
		t.Fatalf("%d sets, expected the one in use and the one of the document", len(l.sets.have))
	}
	if set, err := l.sets.get(t.Context(), idle.Digest, 1); err != nil || set.Digest != idle.Digest {
		t.Errorf("a forgotten set was not read again: %v", err)
	}
}

// TestSetThatIsNotAtHand: nobody is in it, and the look that asked fails.
func TestSetThatIsNotAtHand(t *testing.T) {
	s := sets{have: map[string]segments.Set{}}
	if s.member("")(segments.Fingerprint("a")) || s.complete() != nil {
		t.Error("no set is no set that is lost")
	}
	s.member("0123")
	if err := s.complete(); err != nil {
		t.Errorf("nobody was asked for: %v", err)
	}
	s.member("0123")(segments.Fingerprint("a"))
	if err := s.complete(); err == nil || !strings.Contains(err.Error(), "0123") {
		t.Errorf("a set that is not at hand: %v", err)
	}
	if err := s.complete(); err != nil {
		t.Errorf("the next look fails as well: %v", err)
	}
}
