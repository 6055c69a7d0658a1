package daemon

import (
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// backup copies the whole store.
func (l *lab) backup() map[string]string {
	l.Helper()
	entries, _, err := l.kv.List(l.Context(), "")
	l.must(err)
	out := map[string]string{}
	for _, e := range entries {
		if e.Key != tree.LeaderKey {
			out[e.Key] = string(e.Value)
		}
	}
	return out
}

// restore takes the store back to a backup.
func (l *lab) restore(backup map[string]string) {
	l.Helper()
	entries, _, err := l.kv.List(l.Context(), "")
	l.must(err)
	for _, e := range entries {
		if _, ok := backup[e.Key]; !ok && e.Key != tree.LeaderKey {
			l.must(l.kv.Txn(l.Context(), store.Delete(e.Key)))
		}
	}
	for k, v := range backup {
		l.set(k, v)
	}
}

// answers is what every node would be told now.
func (l *lab) answers() string {
	l.Helper()
	var out []string
	for _, n := range l.nodes {
		out = append(out, n+"="+l.answer(n))
	}
	return strings.Join(out, " ")
}

func (l *lab) confirm() {
	l.Helper()
	l.request("confirm", tree.Request{Kind: tree.RequestConfirmRestore})
}

// TestRestoredStore: the store is put back to an earlier time. Nothing moves until a person confirms, and then all goes on
// from there, except what was stopped in between.
func TestRestoredStore(t *testing.T) {
	for name, how := range map[string]func(l *lab){
		"the leader lives":  func(*lab) {},
		"a leader follows":  func(l *lab) { l.accept(); l.failover() },
		"the edges are off": func(l *lab) { l.edges = nil },
	} {
		t.Run(name, func(t *testing.T) {
			l := running(t)
			edges := l.edges
			old := l.backup()
			l.untilStage("ntp", 2)
			l.tick()
			want, document := l.answers(), l.snapshot().Document.Generation
			l.restore(old)
			how(l)
			if l.edges != nil {
				l.refusing()
			}
			for range 6 {
				l.edges = edges
				l.agents()
				if name != "the edges are off" {
					l.accept()
				} else {
					l.edges = nil
				}
				l.collect(l.l)
				l.look()
			}
			l.edges = edges
			if got := l.answers(); got != want {
				t.Errorf("answers are %s\nwere        %s", got, want)
			}
			if n := len(l.state("ntp").Stages); n != 1 || l.snapshot().Document.Generation >= document {
				t.Errorf("%d stages, generation %d", n, l.snapshot().Document.Generation)
			}
			if why := l.closed("ntp"); !strings.Contains(why, "the store was restored from before") {
				t.Errorf("closed gates: %s", why)
			}
			l.confirm()
			l.tick()
			if g := l.snapshot().Document.Generation; g <= document {
				t.Errorf("generation %d after %d", g, document)
			}
			l.until("ntp", gate.Completed)
			l.tick()
			l.on("production_2", l.nodes...)
			l.everAudited("state")
		})
	}
}

// refusing: every edge says why it does not take what the store has.
func (l *lab) refusing() {
	l.Helper()
	for _, e := range l.edges {
		if s := l.acceptAt(e); !strings.Contains(s.Refused, "older than") {
			l.Errorf("%s refuses with %q", e.Config.Host, s.Refused)
		}
	}
}

// everAudited: whatever the store's audit has is in the local file, once.
func (l *lab) everAudited(stateDir string) {
	l.Helper()
	count := map[string]int{}
	for _, e := range l.localChain(stateDir) {
		count[e.Hash]++
	}
	for _, e := range l.chain() {
		if count[e.Hash] != 1 {
			l.Errorf("audit entry %d, %s, is %d times in the local file", e.Seq, e.Kind, count[e.Hash])
		}
	}
	if err := tree.VerifyAudit(l.chain()); err != nil {
		l.Error(err)
	}
}

// TestRestoreUndoesNoStop: a rollout that was backed out after the backup stays backed out, a pause stays a pause,
// before the restore is confirmed and after.
func TestRestoreUndoesNoStop(t *testing.T) {
	t.Run("backed out by a flag", func(t *testing.T) { l := running(t); restoredAfter(l, l.backup(), byFlag) })
	t.Run("backed out by the judge", func(t *testing.T) {
		l := newLab(t, 6).lead()
		l.breaks = onlyIn("production_2", "break it")
		l.start("ntp", "production_2")
		l.until("ntp", gate.Running)
		restoredAfter(l, l.backup(), func(*lab) {})
	})
	t.Run("backed out by the judge, backup from before it began", func(t *testing.T) {
		l := newLab(t, 6).lead()
		l.breaks = onlyIn("production_2", "break it")
		l.start("ntp", "production_2")
		l.tick()
		if l.state("ntp").Phase != gate.Waiting || l.snapshot().Rollout("ntp") == nil {
			t.Fatal("it does not wait")
		}
		restoredAfter(l, l.backup(), func(*lab) {})
	})
	t.Run("paused", func(t *testing.T) {
		l := running(t)
		old := l.backup()
		l.set("flags/ntp/pause", "true")
		l.tick()
		l.deploy("production_3", "sha-again")
		l.restore(old)
		l.accept()
		l.confirm()
		for range 12 {
			l.tick()
		}
		if got := l.ranEver("production_2"); got != "n00" || len(l.state("ntp").Stages) != 1 {
			t.Errorf("%q ran the candidate, %s", got, l.closed("ntp"))
		}
		l.set("flags/ntp/pause", "false")
		l.until("ntp", gate.Completed)
	})
}

func byFlag(l *lab) { l.set("flags/ntp/backout", "true") }

// restoredAfter takes the rollout back, restores, and looks that it stays taken back for good.
func restoredAfter(l *lab, backup map[string]string, stop func(*lab)) {
	l.Helper()
	stop(l)
	l.until("ntp", gate.BackedOut)
	l.tick()
	l.on("production_1", l.nodes...)
	l.ran = map[string]map[string]bool{}
	l.restore(backup)
	for range 4 {
		l.tick()
	}
	l.confirm()
	for range 12 {
		l.tick()
	}
	if got := l.ranEver("production_2"); got != "" {
		l.Errorf("after the restore %s ran the candidate: %s", got, l.kinds("ntp"))
	}
	if s := l.state("ntp"); s.Phase != gate.BackedOut {
		l.Errorf("%s", s.Phase)
	}
}

// TestConfirmWithoutRestore: there is nothing to confirm where nothing was restored.
func TestConfirmWithoutRestore(t *testing.T) {
	l := running(t)
	l.confirm()
	l.look()
	if r := l.snapshot().Requests["confirm"]; !strings.Contains(r.Refused, "not behind") {
		t.Errorf("%+v", r)
	}
}
