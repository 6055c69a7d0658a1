package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
)

// TestFailingResource: the canary fails twice, the rollout is taken back, the culprit named; nobody else ever ran it, and
// the evidence that is stored gives the same verdict again.
func TestFailingResource(t *testing.T) {
	l := newLab(t, 8).lead()
	l.breaks = onlyIn("production_2", "break it")
	l.start("ntp", "production_2")
	l.until("ntp", gate.BackedOut)
	if got := l.ranEver("production_2"); got != "n00" {
		t.Errorf("%s ran the candidate", got)
	}
	l.tick()
	l.on("production_1", l.nodes...)
	s := l.state("ntp")
	if s.Verdict == nil || s.Verdict.Culprit == nil || s.Verdict.Culprit.Resource != "Exec[break it]" || s.Verdict.Culprit.Line != 7 {
		t.Fatalf("verdict %+v", s.Verdict)
	}
	l.replays("ntp")
	for range 12 { // and it stays where it is
		l.tick()
	}
	if got := l.ranEver("production_2"); got != "n00" {
		t.Errorf("%s ran the candidate", got)
	}
	l.auditIsWhole("state")
}

// onlyIn breaks every run in one environment.
func onlyIn(environment, resource string) func(string, string) string {
	return func(_, env string) string {
		if env == environment {
			return resource
		}
		return ""
	}
}

// replays judges the evidence of every audit entry of a rollout again: what is stored under a digest must have it, and
// give the result that the entry names.
func (l *lab) replays(name string) {
	l.Helper()
	entries := 0
	policy := l.snapshot().Rollout(name).Spec.Policy
	for _, a := range l.chain() {
		if a.Rollout != name || a.Evidence == "" {
			continue
		}
		entries++
		data, err := os.ReadFile(l.path("state", "evidence", a.Evidence+".json"))
		if err != nil {
			l.Errorf("%s of %s: %v", a.Kind, a.Stage, err)
			continue
		}
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != a.Evidence {
			l.Errorf("%s of %s: what is stored as evidence %s is something else", a.Kind, a.Stage, a.Evidence)
		}
		var e analyzer.Evidence
		l.must(json.Unmarshal(data, &e))
		if v := analyzer.Judge(policy, e); v.Result.String() != a.Result || v.Evidence != a.Evidence {
			l.Errorf("%s of %s: judged again it is %s on %s, the audit says %s on %s", a.Kind, a.Stage, v.Result, v.Evidence, a.Result, a.Evidence)
		}
	}
	if entries == 0 {
		l.Errorf("no audit entry of %s names evidence", name)
	}
}

// TestEvidenceOfEveryDecision: whatever moved a rollout can be judged again afterwards, also where a person took it back
// in a later stage, or it came to its end.
func TestEvidenceOfEveryDecision(t *testing.T) {
	t.Run("completed", func(t *testing.T) {
		l := newLab(t, 4).lead()
		l.start("ntp", "production_2")
		l.until("ntp", gate.Completed)
		l.replays("ntp")
	})
	t.Run("taken back by a person", func(t *testing.T) {
		l := newLab(t, 4).lead()
		l.start("ntp", "production_2")
		l.untilStage("ntp", 2)
		l.tick()
		l.set("flags/ntp/backout", "true the latency doubled")
		l.look()
		if s := l.state("ntp"); s.Phase != gate.BackedOut || !strings.Contains(s.Reason, "the latency doubled") {
			t.Errorf("%s: %s", s.Phase, s.Reason)
		}
		l.replays("ntp")
	})
}

// TestStateDirUnwritable: without a place for evidence and audit nothing goes forward, a rollout is not even begun, and
// one that has to be taken back is.
func TestStateDirUnwritable(t *testing.T) {
	spoil := func(l *lab) {
		l.Helper()
		l.must(os.Rename(l.path("state"), l.path("away")))
		l.must(os.WriteFile(l.path("state"), nil, 0o600)) // a file where the directory was: so for root, too
	}
	t.Run("nothing begins", func(t *testing.T) {
		l := newLab(t, 4).lead()
		l.look()
		spoil(l)
		l.start("ntp", "production_2")
		for range 6 {
			l.tryTick()
		}
		if got := l.ranEver("production_2"); got != "" || len(l.state("ntp").Stages) != 0 {
			t.Errorf("%q ran the candidate, %d stages", got, len(l.state("ntp").Stages))
		}
	})
	t.Run("no stage is left", func(t *testing.T) {
		l := newLab(t, 4).lead()
		l.start("ntp", "production_2")
		l.until("ntp", gate.Running)
		l.agents() // the canary has it
		spoil(l)
		for range 12 {
			l.tryTick()
		}
		if got := l.ranEver("production_2"); got != "n00" || len(l.state("ntp").Stages) != 1 {
			t.Errorf("%q ran the candidate, %d stages", got, len(l.state("ntp").Stages))
		}
		if why := l.closed("ntp"); !strings.Contains(why, l.path("state")) {
			t.Errorf("the place is not named: %s", why)
		}
		l.must(os.Remove(l.path("state")))
		l.must(os.Rename(l.path("away"), l.path("state")))
		l.until("ntp", gate.Completed) // it mends itself
		l.auditIsWhole("state")
	})
	t.Run("a failing one is taken back", func(t *testing.T) {
		l := newLab(t, 4).lead()
		l.breaks = onlyIn("production_2", "break it")
		l.start("ntp", "production_2")
		l.until("ntp", gate.Running)
		l.agents() // the canary has it
		spoil(l)
		for range 6 {
			l.tryTick()
		}
		if s := l.state("ntp"); s.Phase != gate.BackedOut {
			t.Errorf("%s: %s", s.Phase, l.closed("ntp"))
		}
		l.on("production_1", l.nodes...)
	})
	t.Run("one that wants to go on keeps none that has to be taken back", func(t *testing.T) {
		l := newLab(t, 4).lead()
		l.start("good", "production_2")
		l.until("good", gate.Running)
		l.must(os.WriteFile(l.path("state", "evidence"), nil, 0o600)) // the audit can be written, evidence cannot
		for range 6 {
			l.tryTick()
		}
		if n := len(l.state("good").Stages); n != 1 {
			t.Fatalf("%d stages", n)
		}
		l.set("flags/good/backout", "true")
		l.tryTick()
		if s := l.state("good"); s.Phase != gate.BackedOut {
			t.Errorf("%s", s.Phase)
		}
	})
}

// tryTick is tick where looks may fail.
func (l *lab) tryTick() {
	l.Helper()
	l.agents()
	l.accept()
	l.collect(l.l)
	for range 10 {
		again, err := l.l.look(l.Context())
		l.accept()
		if err != nil || !again {
			return
		}
	}
}

// TestGatesStayShutWithoutNews: a leader that looks and looks without a new report writes nothing: no transaction.
func TestIdleLooksWriteNothing(t *testing.T) {
	l := newLab(t, 4).lead()
	l.breaks = onlyIn("production_2", "break it")
	l.start("ntp", "production_2")
	l.until("ntp", gate.BackedOut)
	l.request("unveto", requestUnveto("ntp"))
	l.look()
	if !l.state("ntp").Unvetoed {
		t.Fatal("not unvetoed")
	}
	before := l.snapshot()
	writes := l.countWrites()
	l.look()
	l.look()
	if *writes != 0 {
		t.Errorf("%d transactions without anything new", *writes)
	}
	if diff := cmp.Diff(before.Versions, l.snapshot().Versions); strings.Contains(diff, "rollouts/") {
		t.Errorf("keys changed:\n%s", diff)
	}
}
