package daemon

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/storetest"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// story is what can be told afterwards of a good rollout and of a bad one after it.
type story struct {
	Ran    []string // who had run each candidate, by tick
	States map[string]gate.State
	Audit  []tree.AuditEntry
}

// play rolls out one good change and one that fails. kill says whether the leader dies at a transaction, and how.
func play(t *testing.T, kill func(l *lab, ops []store.Op) storetest.Fault) (s story, deaths int) {
	l := newLab(t, 6).lead()
	l.breaks = onlyIn("production_3", "break it")
	s.States = map[string]gate.State{}
	seen := map[string]bool{}
	var arm func()
	arm = func() {
		dead, of := false, l.l
		of.faults.Plan(func(c storetest.Call) storetest.Fault {
			if dead {
				return storetest.Fault{Before: errDead}
			}
			if key := contentOf(c.Ops); c.Method == "Txn" && kill != nil && !seen[key] {
				seen[key], dead = true, true
				deaths++
				return kill(l, c.Ops)
			}
			return storetest.Fault{}
		})
		look := func() bool {
			again, err := of.look(t.Context())
			if !dead && err != nil {
				t.Fatalf("at %s: %v", l.now, err)
			}
			return again || dead
		}
		for look() {
			if dead {
				l.failover()
				arm()
				return
			}
			l.accept()
		}
		of.faults.Plan(nil)
		l.accept()
	}
	l.start("good", "production_2")
	for tick := range 40 {
		if tick == 20 {
			l.start("bad", "production_3")
		}
		l.agents()
		l.accept()
		l.collect(l.l)
		arm()
		s.Ran = append(s.Ran, l.ranEver("production_2")+" / "+l.ranEver("production_3"))
	}
	for _, name := range []string{"good", "bad"} {
		s.States[name] = l.state(name)
	}
	s.Audit = l.chain()
	l.auditIsWhole("state")
	l.replays("good")
	l.replays("bad")
	return s, deaths
}

var errDead = fmt.Errorf("the process is dead: %w", store.ErrUnavailable)

// contentOf tells transactions apart by what they write, whoever holds the lease.
func contentOf(ops []store.Op) string {
	h := sha256.New()
	for _, op := range ops {
		if op.Kind != store.KindCheckLease {
			fmt.Fprintf(h, "%d %s %q %d\n", op.Kind, op.Key, op.Value, op.Version)
		}
	}
	return string(h.Sum(nil))
}

// TestFailover: the leader dies at every transaction that it ever makes, before, after, or because its lease is gone, and
// another one goes on. Nobody can tell afterwards: the same cohorts at the same time, the same states, and the same audit
// to the byte.
func TestFailover(t *testing.T) {
	want, _ := play(t, nil)
	if want.States["good"].Phase != gate.Completed || want.States["bad"].Phase != gate.BackedOut {
		t.Fatalf("undisturbed: good is %s, bad is %s", want.States["good"].Phase, want.States["bad"].Phase)
	}
	for name, kill := range map[string]func(*lab, []store.Op) storetest.Fault{
		"before it is written": func(*lab, []store.Op) storetest.Fault { return storetest.Fault{Before: errDead} },
		"after it was written": func(*lab, []store.Op) storetest.Fault { return storetest.Fault{After: errDead} },
		"the lease is lost": func(l *lab, _ []store.Op) storetest.Fault {
			l.must(l.kv.Txn(l.Context(), store.Delete(tree.LeaderKey)))
			return storetest.Fault{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, deaths := play(t, kill)
			if deaths < 20 {
				t.Errorf("only %d leaders died", deaths)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("another story (-undisturbed +with %d deaths):\n%s", deaths, diff)
			}
			t.Logf("%d leaders died", deaths)
		})
	}
}

// TestOnlyTheLeaderWrites: a leader that lost the lease and has not noticed it writes nothing any more.
func TestOnlyTheLeaderWrites(t *testing.T) {
	l := newLab(t, 4).lead()
	l.look()
	old := l.l
	l.must(l.kv.Txn(t.Context(), store.Delete(tree.LeaderKey)))
	l.l = l.newLeader("other")
	l.start("ntp", "production_2")
	l.set("flags/freeze", "true")
	before := l.snapshot()
	for range 3 {
		again, err := old.look(t.Context())
		if err == nil || again || !errors.Is(err, store.ErrConflict) {
			t.Errorf("a leader without the lease: again %v, error %v", again, err)
		}
	}
	if diff := cmp.Diff(before, l.snapshot()); diff != "" {
		t.Errorf("it wrote:\n%s", diff)
	}
	if _, err := old.putSetOf(l, "n00"); err == nil {
		t.Error("it wrote a set")
	}
	l.set("flags/freeze", "false")
	l.until("ntp", gate.Completed)
}

// TestReadsThatFail: whichever read of the store fails, that look is an error that names it, and nothing is written.
func TestReadsThatFail(t *testing.T) {
	l := newLab(t, 4).lead()
	l.look()
	keys := []string{tree.InitKey, tree.ManifestKey, tree.StopsKey, tree.AuditHeadKey, tree.NotifiedKey, "tracks/", "rollouts/", "requests/", "flags/", "holds/", "edges/"}
	for n, key := range keys {
		l.set("flags/freeze", fmt.Sprint("false ", n)) // there is something to write
		before := l.snapshot()
		l.l.faults.Plan(func(c storetest.Call) storetest.Fault {
			if (c.Method == "Get" || c.Method == "List") && c.Key == key {
				return storetest.Fault{Before: errDead}
			}
			return storetest.Fault{}
		})
		if _, err := l.l.look(t.Context()); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s cannot be read: error %v, which does not name it", key, err)
		}
		l.l.faults.Plan(nil)
		if diff := cmp.Diff(before, l.snapshot()); diff != "" {
			t.Errorf("%s cannot be read, and still something was written:\n%s", key, diff)
		}
	}
	before := l.snapshot()
	l.look()
	if l.snapshot().Audit == before.Audit {
		t.Error("nothing was written in the end either")
	}
}

// TestConflictThatStays: a key that never gives way is an error after a few tries, not a look that is taken for ever.
func TestConflictThatStays(t *testing.T) {
	l := newLab(t, 4).lead()
	l.look()
	l.set("flags/freeze", "false again")
	l.l.faults.Plan(func(c storetest.Call) storetest.Fault {
		if c.Method == "Txn" && len(c.Ops) > 2 {
			return storetest.Fault{Before: &store.ConflictError{Index: 1, Key: "flags/freeze", Reason: "always"}}
		}
		return storetest.Fault{}
	})
	for n := range 100 {
		again, err := l.l.look(t.Context())
		if err != nil {
			return
		}
		if !again {
			t.Fatalf("look %d went through", n)
		}
	}
	t.Error("it looks and looks")
}

// TestTroubleOfAPredecessor: what a leader that died left of its troubles goes when the next one has none.
func TestTroubleOfAPredecessor(t *testing.T) {
	l := newLab(t, 4).lead()
	l.look()
	l.set(tree.StopsKey, "{")
	_, err := l.l.look(t.Context())
	l.l.complain(t.Context(), err)
	if trouble := l.snapshot().Trouble.String(); !strings.Contains(trouble, tree.StopsKey) {
		t.Fatalf("trouble: %q", trouble)
	}
	l.set(tree.StopsKey, "{}")
	l.failover()
	_, err = l.l.look(t.Context())
	l.l.complain(t.Context(), err)
	if trouble := l.snapshot().Trouble.String(); trouble != "" {
		t.Errorf("trouble: %q", trouble)
	}
}
