package daemon

import (
	"bytes"
	"os"
	"testing"

	"github.com/openinfrastructure/sluice/internal/tree"
)

// TestTornAuditFile: a line that a crash has torn does not take the next one with it, and what it would have said is
// written again.
func TestTornAuditFile(t *testing.T) {
	l := newLab(t, 4).lead()
	l.look()
	path := l.path("state", "audit.jsonl")
	whole, err := os.ReadFile(path)
	l.must(err)
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	last := lines[len(lines)-1]
	l.must(os.WriteFile(path, whole[:len(whole)-len(last)/2], 0o640))
	l.failover()
	l.start("ntp", "production_2")
	l.look()
	count := map[string]int{}
	data, err := os.ReadFile(path)
	l.must(err)
	for line := range bytes.Lines(data) {
		count[string(bytes.TrimSpace(line))]++
	}
	for _, e := range l.chain() {
		line := l.get(tree.AuditKey(e.Seq))
		if count[line] != 1 {
			t.Errorf("entry %d is %d times in the file", e.Seq, count[line])
		}
	}
}
