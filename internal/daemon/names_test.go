package daemon

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestNamesAreAMap: names are numbered in the order in which they come, whatever they are and however much room was made.
func TestNamesAreAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, want := newNames(), map[string]uint32{}
		if more := rapid.IntRange(0, 40).Draw(t, "room"); more > 0 {
			n.room(more)
		}
		for _, k := range rapid.SliceOfN(rapid.IntRange(0, 60), 0, 200).Draw(t, "names") {
			name := fmt.Sprintf("n%d", k)
			if k == 60 {
				name = ""
			}
			id, ok := n.find(name)
			if have, known := want[name]; known != ok || ok && have != id {
				t.Fatalf("%q is %d, %v, want %d, %v", name, id, ok, have, known)
			}
			if !ok {
				want[name] = n.add(name)
			}
		}
		if kept := rapid.IntRange(0, len(want)).Draw(t, "kept"); kept < len(want) {
			n.cut(kept)
			for name, id := range want {
				if _, ok := n.find(name); ok != (int(id) < kept) {
					t.Fatalf("of %d names %d were kept; number %d is there: %t", len(want), kept, id, ok)
				}
				if int(id) >= kept {
					delete(want, name)
				}
			}
		}
		for name, id := range want {
			if int(id) >= len(want) || n.list[id] != name {
				t.Fatalf("number %d is %q, want %q", id, n.list[id], name)
			}
		}
	})
}
