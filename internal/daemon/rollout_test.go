package daemon

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// TestGoodChange: one node, then a datacenter, then everyone, and never a node of a stage that has not begun.
func TestGoodChange(t *testing.T) {
	l := newLab(t, 8).lead()
	l.look()
	l.start("ntp", "production_2")
	may := map[int]string{0: "", 1: "n00", 2: "n00 n02 n04 n06", 3: "n00 n01 n02 n03 n04 n05 n06 n07"}
	reached := map[string]string{} // by the end of each tick: phase and stages → who ever ran the candidate
	for range 144 {
		s := l.state("ntp")
		if s.Phase.Ended() {
			break
		}
		stages := len(s.Stages)
		l.tick()
		reached[fmt.Sprint(s.Phase, stages)] = l.ranEver("production_2")
		// The agents of this tick ran before the look: they may have what the stages before it admit.
		if got := l.ranEver("production_2"); len(got) > len(may[stages]) {
			t.Fatalf("with %d stages begun, %s ran the candidate; only %q may", stages, got, may[stages])
		}
	}
	if s := l.state("ntp"); s.Phase != gate.Completed {
		t.Fatalf("%s, %s", s.Phase, l.closed("ntp"))
	}
	want := map[string]string{"waiting0": "", "running1": may[1], "running2": may[2], "running3": may[3]}
	if diff := cmp.Diff(want, reached); diff != "" {
		t.Errorf("who ran the candidate by the end of each stage (-want +got):\n%s", diff)
	}
	kinds := "queued rollout_started stage_started stage_ended stage_started stage_ended stage_started stage_ended settling completed"
	if got := l.kinds("ntp"); got != kinds {
		t.Errorf("audit: %s\nwant   %s", got, kinds)
	}
	if b := l.snapshot().Track("production").Baseline; b != "production_2" {
		t.Errorf("the baseline is %s", b)
	}
	l.tick()
	l.on("production_2", l.nodes...)
	l.auditIsWhole("state")
}

// auditIsWhole: the chain in the store verifies, and the local file has the same entries.
func (l *lab) auditIsWhole(stateDir string) {
	l.Helper()
	chain, local := l.chain(), l.localChain(stateDir)
	if err := tree.VerifyAudit(chain); err != nil {
		l.Error(err)
	}
	if head := l.snapshot().Audit; len(chain) == 0 || chain[len(chain)-1].Hash != head.Hash || chain[len(chain)-1].Seq != head.Seq {
		l.Errorf("the head is %+v, the chain has %d entries", head, len(chain))
	}
	if err := tree.VerifyAudit(local); err != nil {
		l.Errorf("local file: %v", err)
	}
	if len(local) != len(chain) {
		l.Errorf("%d entries in the local file, %d in the store", len(local), len(chain))
	}
	for i := range min(len(local), len(chain)) {
		if local[i] != chain[i] {
			l.Errorf("entry %d: %+v in the local file, %+v in the store", i, local[i], chain[i])
		}
	}
}
