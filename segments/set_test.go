package segments

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("node%d.example.com", i)
	}
	return out
}

func TestSetRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, ShardLines, ShardLines + 1, 3*ShardLines + 7} {
		s := NewSet(append(names(n), names(n)...)) // repetition does not count
		if s.Count != n || len(s.Data) != n*LineWidth {
			t.Fatalf("%d certnames: count %d, %d bytes", n, s.Count, len(s.Data))
		}
		shards := s.Shards()
		for i, shard := range shards {
			if len(shard) == 0 || len(shard) >= 100_000 {
				t.Fatalf("shard %d of %d has %d bytes", i, n, len(shard))
			}
		}
		got, err := JoinShards(s.Digest, s.Count, shards)
		if err != nil || got.Digest != s.Digest {
			t.Fatalf("join of %d: %v", n, err)
		}
		if n > ShardLines { // a lost shard must not pass for a smaller set
			if _, err := JoinShards(s.Digest, s.Count, shards[1:]); err == nil {
				t.Fatal("a lost shard was not seen")
			}
			shards[0], shards[1] = shards[1], shards[0]
			if _, err := JoinShards(s.Digest, s.Count, shards); err == nil {
				t.Fatal("swapped shards were not seen")
			}
		}
	}
}

func TestContains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 200).Draw(t, "n")
		s := NewSet(names(n))
		r := bytes.NewReader(s.Data)
		for _, c := range []struct {
			name string
			want bool
		}{{"node0.example.com", n > 0}, {fmt.Sprintf("node%d.example.com", n/2), n > 0}, {"other.example.com", false}} {
			got, err := Contains(r, int64(len(s.Data)), Fingerprint(c.name))
			if err != nil || got != c.want {
				t.Fatalf("Contains(%s) in %d = %v, %v", c.name, n, got, err)
			}
		}
	})
	if _, err := Contains(strings.NewReader("short"), 5, Fingerprint("a")); err == nil {
		t.Error("a torn set gave no error")
	}
}

func TestAdded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.IntRange(0, 50).Draw(t, "a"), rapid.IntRange(0, 50).Draw(t, "b")
		if got, want := Added(NewSet(names(a)).Data, NewSet(names(b)).Data), max(0, b-a); got != want {
			t.Fatalf("Added(%d, %d) = %d, want %d", a, b, got, want)
		}
	})
}

func TestGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.IntRange(0, 40).Draw(t, "a"), rapid.IntRange(0, 40).Draw(t, "b")
		if got, want := Grow(NewSet(names(a)).Data, names(b)), NewSet(names(max(a, b))); got.Digest != want.Digest || got.Count != want.Count {
			t.Fatalf("Grow(%d, %d) has %d members", a, b, got.Count)
		}
	})
}

func TestCommon(t *testing.T) {
	a, b := NewSet([]string{"n1", "n2", "n3", "n5"}), NewSet([]string{"n2", "n4", "n5"})
	for _, c := range []struct{ a, b, want Set }{
		{a, b, NewSet([]string{"n2", "n5"})}, {b, a, NewSet([]string{"n2", "n5"})}, {a, a, a}, {a, NewSet(nil), NewSet(nil)}, {NewSet(nil), a, NewSet(nil)},
	} {
		got := Common(c.a.Data, c.b.Data)
		if got.Digest != c.want.Digest || got.Count != c.want.Count || CheckSet(got.Digest, got.Count, got.Data) != nil {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
}
