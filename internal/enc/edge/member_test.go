package edge

import (
	"fmt"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/segments"
)

func published(t testing.TB, n int) (store.Store, segments.Set) {
	t.Helper()
	kv := mem.New()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("node%d.example.com", i)
	}
	set := segments.NewSet(names)
	for i, shard := range set.Shards() {
		if err := kv.Txn(t.Context(), store.Set(SetKey(set.Digest, i), shard)); err != nil {
			t.Fatal(err)
		}
	}
	return kv, set
}

func TestFetchMember(t *testing.T) {
	for _, n := range []int{0, 1, segments.ShardLines, segments.ShardLines + 1, 40_000} {
		kv, set := published(t, n)
		for i := range 400 {
			k := i * max(1, n/300) // three of four are members
			got, err := FetchMember(t.Context(), kv, set.Digest, set.Count, segments.Fingerprint(fmt.Sprintf("node%d.example.com", k)))
			if err != nil || got != (k < n) {
				t.Fatalf("node%d in a set of %d: %t, %v", k, n, got, err)
			}
		}
	}
}

func TestFetchMemberRefuses(t *testing.T) {
	kv, set := published(t, 40_000)
	print := segments.Fingerprint("node7.example.com")
	for want, do := range map[string]func() (bool, error){
		"is not a fingerprint": func() (bool, error) { return FetchMember(t.Context(), kv, set.Digest, set.Count, "web1") },
		"members":              func() (bool, error) { return FetchMember(t.Context(), kv, set.Digest, 100, print) },
		"not found": func() (bool, error) {
			return FetchMember(t.Context(), kv, strings.Repeat("0", 32), set.Count, print)
		},
		"is not in order": func() (bool, error) {
			for i := range set.Shards() {
				torn := []byte(strings.Repeat(print+"\n", len(set.Shards()[i])/segments.LineWidth))
				if err := kv.Txn(t.Context(), store.Set(SetKey(set.Digest, i), torn)); err != nil {
					return false, err
				}
			}
			return FetchMember(t.Context(), kv, set.Digest, set.Count, print)
		},
	} {
		if got, err := do(); got || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %t, %v", want, got, err)
		}
	}
}

// BenchmarkFetchMember is what `sluice why` asks of a set of a million nodes.
func BenchmarkFetchMember(b *testing.B) {
	kv, set := published(b, 1_000_000)
	for i := 0; b.Loop(); i++ {
		if _, err := FetchMember(b.Context(), kv, set.Digest, set.Count, segments.Fingerprint(fmt.Sprintf("node%d.example.com", i*7919))); err != nil {
			b.Fatal(err)
		}
	}
}
