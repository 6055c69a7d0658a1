package tree

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// AuditKept is how many entries stay in the store; the whole chain is in the leader's local file.
const AuditKept = 200

// AuditEntry is one line of the audit. Every entry names the hash of the one before it, so that none can be
// changed or left out unseen.
type AuditEntry struct {
	Seq      uint64    `json:"seq"`
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"`
	Rollout  string    `json:"rollout,omitempty"`
	Track    string    `json:"track,omitempty"`
	Stage    string    `json:"stage,omitempty"`
	Index    int       `json:"index"`
	By       string    `json:"by"`
	Text     string    `json:"text"`
	Before   string    `json:"before,omitempty"`
	After    string    `json:"after,omitempty"`
	Result   string    `json:"result,omitempty"`   // of the verdict it rests on
	Evidence string    `json:"evidence,omitempty"` // digest of the evidence
	Prev     string    `json:"prev"`
	Hash     string    `json:"hash"`
}

// Chain numbers the entry, links it to head and seals it; it returns the new head.
func (e *AuditEntry) Chain(head AuditHead) (AuditHead, error) {
	e.Seq, e.Prev, e.Hash = head.Seq+1, head.Hash, ""
	sum, err := e.sum()
	if err != nil {
		return head, err
	}
	e.Hash = sum
	return AuditHead{Seq: e.Seq, Hash: e.Hash}, nil
}

func (e AuditEntry) sum() (string, error) {
	e.Hash = ""
	data, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:]), nil
}

// VerifyAudit checks a chain of entries in order; the first may follow entries that are not given.
func VerifyAudit(entries []AuditEntry) error {
	for i, e := range entries {
		sum, err := e.sum()
		if err != nil {
			return err
		}
		if sum != e.Hash {
			return fmt.Errorf("audit entry %d was changed", e.Seq)
		}
		if i > 0 && (e.Prev != entries[i-1].Hash || e.Seq != entries[i-1].Seq+1) {
			return fmt.Errorf("audit entry %d does not follow entry %d", e.Seq, entries[i-1].Seq)
		}
	}
	return nil
}
