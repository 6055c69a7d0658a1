package puppetdb

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestPrintsAreASet: whenever it is condensed, a fingerprint is known from its first time on, and counted once.
func TestPrintsAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p prints
		want := map[uint64]bool{}
		for _, n := range rapid.SliceOf(rapid.Uint64Range(0, 1<<(8*printSize)-1)).Draw(t, "prints") {
			n := n % 1000 << rapid.SampledFrom([]int{0, 20, 38}).Draw(t, "shift")
			if p.known(n) != want[n] {
				t.Fatalf("%x is known: %v, want %v", n, !want[n], want[n])
			}
			if want[n] = true; rapid.IntRange(0, 4).Draw(t, "settle") == 0 {
				p.settle()
			}
			if p.len() != len(want) || !p.known(n) {
				t.Fatalf("%d are known, want %d", p.len(), len(want))
			}
		}
	})
}

// TestFingerprintsDiffer: also of hashes that differ in their last digits only.
func TestFingerprintsDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	for i := range 200_000 {
		seen[fingerprint(fmt.Sprintf("%040x", i))] = true
	}
	if len(seen) != 200_000 {
		t.Errorf("%d fingerprints of 200000 hashes", len(seen))
	}
}
