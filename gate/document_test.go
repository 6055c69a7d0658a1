package gate

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/segments"
)

// TestStagesOverTheSameNodesAreOneLine: the document has a line for each set, by the name of the first stage over it, and admits exactly
// whom the stages together admit. As stages begin and rise, a line keeps its name and its set and never falls, which is what an edge knows it by.
func TestStagesOverTheSameNodesAreOneLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var begun []StageState
		var before []segments.Stage
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			if n := len(begun); n == 0 || rapid.Bool().Draw(t, "begins") {
				skipped := rapid.IntRange(0, 4).Draw(t, "skipped") == 0
				begun = append(begun, StageState{Name: fmt.Sprint("s", n), Set: rapid.SampledFrom([]string{"", "fra1", "ams1"}).Draw(t, "set"), Threshold: segments.None, Skipped: skipped})
			} else if last := &begun[n-1]; !last.Skipped {
				last.Threshold = segments.Higher(last.Threshold, segments.FromShare(rapid.Uint64Range(0, segments.Billion).Draw(t, "share")))
			}
			got := publishedStages(begun)
			sets, reach := map[string]bool{}, map[string]float64{}
			for _, st := range begun {
				sets[st.Set] = true
				reach[st.Set] = max(reach[st.Set], st.Threshold.Share()) // as a text the word all is below b000000000000000
			}
			if len(got) != len(sets) {
				t.Fatalf("%d lines for %d sets", len(got), len(sets))
			}
			for _, line := range got {
				if line.Threshold.Share() != reach[line.Set] {
					t.Fatalf("set %q is admitted below %s, its stages reach %g", line.Set, line.Threshold, reach[line.Set])
				}
			}
			for i, was := range before {
				if now := got[i]; now.Name != was.Name || now.Set != was.Set || now.Threshold.Less(was.Threshold) {
					t.Fatalf("line %+v became %+v", was, now)
				}
			}
			before = got
		}
	})
	linear := []StageState{{Name: "five", Threshold: "0ccc"}, {Name: "fra1", Set: "f", Threshold: segments.All}, {Name: "ten", Threshold: "1999"}}
	want := []segments.Stage{{Name: "five", Threshold: "1999"}, {Name: "fra1", Set: "f", Threshold: segments.All}}
	if diff := cmp.Diff(want, publishedStages(linear)); diff != "" {
		t.Error(diff)
	}
}
