package daemon

import (
	"testing"
	"time"
)

// TestSettling: only a heap that has stayed as it is for a minute is taken for settled, and one that grows bit by bit never is.
func TestSettling(t *testing.T) {
	var heap settling
	second := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	for _, c := range []struct {
		at   int
		live uint64
		want bool
	}{
		{0, 100 * mebibyte, false}, {30, 102 * mebibyte, false}, {59, 98 * mebibyte, false}, {60, 100 * mebibyte, true},
		{61, 104 * mebibyte, false}, {62, 104 * mebibyte, false}, {121, 104 * mebibyte, true},
		{122, 90 * mebibyte, false}, {182, 90 * mebibyte, true},
	} {
		if got := heap.at(second(c.at), c.live); got != c.want {
			t.Errorf("after %d s with %d MiB: settled %t, want %t", c.at, c.live/mebibyte, got, c.want)
		}
	}
	grows := settling{}
	for s := range 600 {
		if grows.at(second(s), uint64(100+s/8)*mebibyte) {
			t.Fatalf("settled after %d s while it grows", s)
		}
	}
	if limitFor(400*mebibyte, true) >= limitFor(400*mebibyte, false) {
		t.Error("a settled heap is given no less")
	}
}
