package gate

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/segments"
)

// TestReachedByEnumeration: how far earlier stages went in a node is the furthest of those whose set holds it, and its peers are the
// largest part of the segment that is not yet past the target.
func TestReachedByEnumeration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := func(label string) segments.Threshold {
			return segments.FromShare(uint64(rapid.IntRange(0, 5).Draw(t, label)) * segments.Billion / 5)
		}
		sets := []string{"", "a", "b", "c"}
		state := &State{}
		for i := range rapid.IntRange(1, 5).Draw(t, "stages") {
			st := StageState{Set: rapid.SampledFrom(sets).Draw(t, "set"), Target: share("target")}
			state.Stages = append(state.Stages, st)
			for range rapid.IntRange(0, 2).Draw(t, "steps") {
				state.Admissions = append(state.Admissions, Admission{Stage: i, Set: st.Set, Threshold: share("step")})
			}
		}
		last := len(state.Stages) - 1
		r := ReachedBefore(state, last)
		sizes, places := map[segments.Threshold]int{}, map[int32]segments.Threshold{}
		for range rapid.IntRange(1, 12).Draw(t, "nodes") {
			held := map[string]bool{"": true}
			for _, set := range sets[1:] {
				held[set] = rapid.Bool().Draw(t, set)
			}
			in := func(set string) bool { return held[set] }
			far := segments.None
			var by []string
			for _, a := range state.Admissions {
				if a.Stage < last && held[a.Set] {
					far, by = segments.Higher(far, a.Threshold), append(by, a.Set)
				}
			}
			place := r.Place("", in)
			if (place == Elsewhere) == held[state.Stages[last].Set] {
				t.Fatalf("a node in %v has the place %d", held, place)
			}
			if place == Elsewhere {
				continue
			}
			for _, admitted := range append(by, "") {
				if got := r.Threshold(r.Place(admitted, in)); got != far {
					t.Fatalf("%s in a node in %v that came with %q, want %s", got, held, admitted, far)
				}
			}
			places[place] = far
			sizes[far]++
		}
		want := segments.Threshold("")
		for fifth := range uint64(5) { // the lower of two as large ones
			at := segments.FromShare(fifth * segments.Billion / 5)
			if at.Less(state.Stages[last].Target) && sizes[at] > sizes[want] {
				want = at
			}
		}
		peers := r.Peers(sizes)
		if peers != want {
			t.Fatalf("peers are at %q of %v, want %q", peers, sizes, want)
		}
		for place, far := range places {
			if r.Compares(place, peers) != (want == "" || far == want) || r.Compares(Elsewhere, peers) {
				t.Fatalf("beside nodes at %q are those at %s compared: %t", want, far, r.Compares(place, peers))
			}
		}
	})
}

// TestPeersOfPartsOfOneSize: the part that earlier stages went less far in, whatever the order of the parts.
func TestPeersOfPartsOfOneSize(t *testing.T) {
	low, high := segments.FromShare(segments.Billion/10), segments.FromShare(segments.Billion/5)
	for range 20 {
		state := &State{Stages: []StageState{{Target: segments.All}}}
		r := ReachedBefore(state, 0)
		if got := r.Peers(map[segments.Threshold]int{high: 7, segments.None: 6, low: 7}); got != low {
			t.Fatalf("peers are at %s, want %s", got, low)
		}
	}
}
