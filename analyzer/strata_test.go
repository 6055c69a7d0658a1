package analyzer

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMergeStrata(t *testing.T) {
	key := func(values ...string) string { return StratumKey(values) }
	got := MergeStrata(map[string]int{
		key("web", "debian", "fra1"): 80, key("web", "debian", "lon1"): 30, key("web", "debian", "ams1"): 20,
		key("web", "redhat", "fra1"): 10, key("db", "debian", "fra1"): 45, key("db", "redhat", "fra1"): 4, key("", "debian", "fra1"): 60,
	}, 3, 50)
	want := map[string]string{
		key("web", "debian", "fra1"): "web/debian/fra1",
		key("web", "debian", "lon1"): "web/debian/*", key("web", "debian", "ams1"): "web/debian/*",
		// Too few of their kind by role too: they are left for the last merge, with nobody else.
		key("web", "redhat", "fra1"): "*/*/*", key("db", "debian", "fra1"): "*/*/*", key("db", "redhat", "fra1"): "*/*/*",
		key("", "debian", "fra1"): "-/debian/fra1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := MergeStrata(map[string]int{"": 7}, 0, 50); got[""] != "" {
		t.Errorf("without attributes there is one stratum, %q", got[""])
	}
}
