package daemon

import (
	"encoding/json"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

func (c *change) audit(e gate.Event, before, after string) {
	entry := tree.AuditEntry{At: c.now, Kind: e.Kind, Rollout: e.Rollout, Track: e.Track, Stage: e.Stage, Index: e.Index, By: e.By, Text: e.Text, Before: before, After: after}
	if e.Verdict != nil {
		entry.Result, entry.Evidence = e.Verdict.Result.String(), e.Verdict.Evidence
	}
	c.entries = append(c.entries, entry)
}

// chain seals the entries and moves the head, in the same transaction as what they speak of.
func (c *change) chain(ops *[]store.Op) (tree.AuditHead, error) {
	head := c.snap.Audit
	for i := range c.entries {
		next, err := c.entries[i].Chain(head)
		if err != nil {
			return head, err
		}
		head = next
		line, err := json.Marshal(c.entries[i])
		if err != nil {
			return head, err
		}
		// Set, not CAS: the head is what is checked, and a line that hangs on no head must not block the next one.
		*ops = append(*ops, store.Set(tree.AuditKey(head.Seq), line))
		if head.Seq > tree.AuditKept {
			*ops = append(*ops, store.Delete(tree.AuditKey(head.Seq-tree.AuditKept)))
		}
	}
	if len(c.entries) > 0 {
		*ops = append(*ops, tree.Put(tree.AuditHeadKey, head, c.snap.Versions[tree.AuditHeadKey]))
	}
	return head, nil
}
