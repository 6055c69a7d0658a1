package walk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shrink leaves out steps as long as the same invariant breaks.
func shrink(ops []op, mutation string, peace bool) []op {
	failed, n, _ := play(ops, mutation, peace)
	invariant, _, _ := strings.Cut(failed, ":")
	ops = ops[:min(n, len(ops))] // what broke after that broke in peace
	for size := len(ops) / 2; size > 0; {
		smaller := false
		for at := 0; at+size <= len(ops); {
			without := slices.Concat(ops[:at], ops[at+size:])
			again, n, _ := play(without, mutation, peace)
			if name, _, _ := strings.Cut(again, ":"); again != "" && name == invariant {
				ops, smaller = without[:min(n, len(without))], true
			} else {
				at += size
			}
		}
		if !smaller || size > len(ops) {
			size /= 2
		}
	}
	return ops
}

// show prints the seed and the shortest walk that was found.
func show(t *testing.T, seed uint64, failed, mutation string) {
	t.Helper()
	if !*short {
		t.Errorf("seed %d: %s", seed, failed)
		return
	}
	peace := seed%2 == 0
	ops := shrink(opsOf(seed), mutation, peace)
	again, _, _ := play(ops, mutation, peace)
	var b strings.Builder
	for i, o := range ops {
		fmt.Fprintf(&b, "%4d  %s\n", i+1, o)
	}
	t.Errorf("seed %d: %s\nshortest walk, %d steps (%s):\n%s", seed, failed, len(ops), again, b.String())
}

// A failing walk is made short, and stays a failing one.
func TestShrink(t *testing.T) {
	for s := range uint64(50) {
		ops := opsOf(1000 + s)
		failed, n, _ := play(ops, "edge unlimited", false)
		if failed == "" {
			continue
		}
		short := shrink(ops, "edge unlimited", false)
		again, _, _ := play(short, "edge unlimited", false)
		if again == "" || len(short) > n/4 {
			t.Errorf("%d steps became %d: %q", n, len(short), again)
		}
		return
	}
	t.Error("no episode fails")
}
