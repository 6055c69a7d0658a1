package tree

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// chainOf seals n entries, each with something of its own in every field.
func chainOf(t testing.TB, n int) []AuditEntry {
	var out []AuditEntry
	head := AuditHead{}
	for i := range n {
		e := AuditEntry{At: time.Date(2026, 11, 2, 8, i, 0, 0, time.UTC), Kind: "stage_started", Rollout: fmt.Sprint("r", i), Track: "production",
			Stage: "canary", Index: i, By: "sluice", Text: fmt.Sprint("text ", i), Before: "waiting", After: "running", Result: "pass", Evidence: "d1"}
		next, err := e.Chain(head)
		if err != nil {
			t.Fatal(err)
		}
		if next.Seq != head.Seq+1 || next.Hash == head.Hash || e.Prev != head.Hash {
			t.Fatalf("head %+v after %+v, entry %+v", next, head, e)
		}
		head = next
		out = append(out, e)
	}
	return out
}

func TestVerifyAudit(t *testing.T) {
	whole := chainOf(t, 5)
	for n := range whole {
		if err := VerifyAudit(whole[n:]); err != nil {
			t.Errorf("the last %d entries: %v", len(whole)-n, err)
		}
	}
	if err := VerifyAudit(nil); err != nil {
		t.Error(err)
	}
	for name, damage := range map[string]func(c []AuditEntry) []AuditEntry{
		"one left out":     func(c []AuditEntry) []AuditEntry { return append(c[:2], c[3:]...) },
		"two changed over": func(c []AuditEntry) []AuditEntry { c[1], c[2] = c[2], c[1]; return c },
		"one twice":        func(c []AuditEntry) []AuditEntry { return append(c[:2], c[1:]...) },
		"sealed again": func(c []AuditEntry) []AuditEntry {
			c[2].Text = "somebody else's"
			if _, err := c[2].Chain(AuditHead{Seq: 2, Hash: c[1].Hash}); err != nil {
				t.Fatal(err)
			}
			return c
		},
		"of another chain": func(c []AuditEntry) []AuditEntry {
			other := chainOf(t, 3)
			other[2].Text = "fork"
			if _, err := other[2].Chain(AuditHead{Seq: 2, Hash: other[0].Hash}); err != nil {
				t.Fatal(err)
			}
			return append(c[:2], other[2])
		},
	} {
		if err := VerifyAudit(damage(chainOf(t, 5))); err == nil || !strings.Contains(err.Error(), "audit entry") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryFieldIsSealed changes one member of a stored entry at a time: none can be changed unseen.
func TestEveryFieldIsSealed(t *testing.T) {
	stored, err := json.Marshal(chainOf(t, 3)[1])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(stored, &members); err != nil {
		t.Fatal(err)
	}
	if len(members) != 15 {
		t.Errorf("%d members in an entry that says something of everything", len(members))
	}
	for name, was := range members {
		switch v := was.(type) {
		case float64:
			members[name] = v + 1
		case string:
			members[name] = v + "x"
			if name == "at" {
				members[name] = "2026-11-02T08:01:00.000000001Z"
			}
		}
		changed, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		members[name] = was
		var e AuditEntry
		if err := json.Unmarshal(changed, &e); err != nil {
			t.Fatal(err)
		}
		if err := VerifyAudit([]AuditEntry{e}); err == nil {
			t.Errorf("%s can be changed unseen: %s", name, changed)
		}
	}
}

// TestStoredEntriesVerify: what was written and read again verifies, whatever is in it.
func TestStoredEntriesVerify(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String()
		var chain []AuditEntry
		head := AuditHead{}
		for range rapid.IntRange(1, 8).Draw(t, "entries") {
			e := AuditEntry{At: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "at"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC(), Kind: text.Draw(t, "kind"),
				Rollout: text.Draw(t, "rollout"), By: text.Draw(t, "by"), Text: text.Draw(t, "text"), Index: rapid.IntRange(-1, 9).Draw(t, "index")}
			var err error
			if head, err = e.Chain(head); err != nil {
				t.Fatal(err)
			}
			data, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			var back AuditEntry
			if err := json.Unmarshal(data, &back); err != nil {
				t.Fatal(err)
			}
			chain = append(chain, back)
		}
		if err := VerifyAudit(chain); err != nil {
			t.Error(err)
		}
	})
}

func FuzzVerifyAudit(f *testing.F) {
	data, err := json.Marshal(chainOf(f, 2))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var chain []AuditEntry
		if json.Unmarshal(data, &chain) != nil || VerifyAudit(chain) != nil {
			return
		}
		for i := range chain {
			chain[i].Text += "x"
			if VerifyAudit(chain) == nil {
				t.Errorf("entry %d can be changed unseen", i)
			}
			chain[i].Text = strings.TrimSuffix(chain[i].Text, "x")
		}
	})
}
