package daemon

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// running is a lab whose rollout ntp has its canary and nobody else.
func running(t *testing.T) *lab {
	l := newLab(t, 6).lead()
	l.start("ntp", "production_2")
	l.until("ntp", gate.Running)
	l.tick()
	if got := l.ranEver("production_2"); got != "n00" || len(l.state("ntp").Stages) != 1 {
		t.Fatalf("%q ran the candidate, %d stages", got, len(l.state("ntp").Stages))
	}
	return l
}

// TestDamagedManifest: whatever happens to the manifest, no node gets another answer, and the leader, or one that comes
// after it, writes the same thing again with a higher generation.
func TestDamagedManifest(t *testing.T) {
	raised := func(l *lab) string {
		doc := l.snapshot().Document
		doc.Generation++
		for i := range doc.Rollouts {
			doc.Rollouts[i].Stages = []segments.Stage{{Name: "canary", Threshold: segments.All}}
		}
		data, err := enc.Encode(doc)
		l.must(err)
		return string(data)
	}
	for name, damage := range map[string]func(l *lab){
		"emptied": func(l *lab) { l.set(tree.ManifestKey, "") },
		"torn":    func(l *lab) { l.set(tree.ManifestKey, l.get(tree.ManifestKey)[:100]) },
		"edited": func(l *lab) {
			l.set(tree.ManifestKey, strings.Replace(l.get(tree.ManifestKey), `"threshold":"`, `"threshold":"all`, 1))
		},
		"gone":             func(l *lab) { l.remove(tree.ManifestKey) },
		"of another epoch": func(l *lab) { l.set(tree.ManifestKey, l.otherEpoch()) },
	} {
		for _, other := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", and another leader"}[other], func(t *testing.T) {
				l := running(t)
				before := l.snapshot().Document
				damage(l)
				l.accept()
				for _, n := range l.nodes {
					if want, got := l.gets[n], l.answer(n); got != want {
						t.Errorf("%s is answered %s, had %s", n, got, want)
					}
				}
				if other {
					l.failover()
				}
				l.look()
				after := l.snapshot()
				if len(after.Damaged) > 0 || after.Document.Generation <= before.Generation {
					t.Fatalf("generation %d after %d, damaged: %v", after.Document.Generation, before.Generation, after.Damaged)
				}
				if diff := cmp.Diff(before, after.Document, cmpopts.IgnoreFields(segments.Document{}, "Generation", "Written")); diff != "" {
					t.Errorf("another document:\n%s", diff)
				}
				if got := l.ranEver("production_2"); got != "n00" {
					t.Errorf("%s ran the candidate", got)
				}
				l.until("ntp", gate.Completed)
				l.auditIsWhole("state")
			})
		}
	}
	t.Run("raised by hand", func(t *testing.T) {
		l := running(t)
		want := l.snapshot().Document
		l.set(tree.ManifestKey, raised(l))
		l.look()
		if diff := cmp.Diff(want, l.snapshot().Document, cmpopts.IgnoreFields(segments.Document{}, "Generation", "Written")); diff != "" {
			t.Errorf("what somebody wrote by hand stays:\n%s", diff)
		}
	})
}

func (l *lab) otherEpoch() string {
	doc := l.snapshot().Document
	doc.Epoch = "e2"
	data, err := enc.Encode(doc)
	l.must(err)
	return string(data)
}

// TestDamagedKeys: while a key that decisions rest on cannot be read, nothing goes forward, the error names the key, and a
// person's flag takes the rollout back at the edges all the same. Once it is mended, all goes on.
func TestDamagedKeys(t *testing.T) {
	state, spec, track := tree.StateKey("ntp"), tree.SpecKey("ntp"), tree.TrackKey("production")
	for name, c := range map[string]struct{ key, value string }{
		"state torn":               {state, `{"phase":"run`},
		"state empty":              {state, ""},
		"state without a phase":    {state, "{}"},
		"state null":               {state, "null"},
		"state of another phase":   {state, `{"phase":"runing"}`},
		"state gone":               {state, "-"},
		"spec torn":                {spec, `{"name":"ntp"`},
		"spec of another":          {spec, `{"name":"dns"}`},
		"spec gone":                {spec, "-"},
		"track torn":               {track, `{"name`},
		"track empty":              {track, ""},
		"track without a baseline": {track, `{"name":"production"}`},
		"track of another name":    {track, `{"name":"development","baseline":"development"}`},
		"track gone":               {track, "-"},
		"baseline moved by hand":   {track, `{"name":"production","baseline":"production_3","nodes":6}`},
		"stops torn":               {tree.StopsKey, `{"latched`},
		"audit head torn":          {tree.AuditHeadKey, "7"},
	} {
		t.Run(name, func(t *testing.T) {
			l := running(t)
			whole, manifest := l.get(c.key), l.get(tree.ManifestKey)
			if c.value == "-" {
				l.remove(c.key)
			} else {
				l.set(c.key, c.value)
			}
			for range 6 {
				l.agents()
				l.accept()
				l.collect(l.l)
				if again, err := l.l.look(t.Context()); err == nil || again || !strings.Contains(err.Error(), c.key) {
					t.Fatalf("look: again %v, error %v, which does not name %s", again, err, c.key)
				}
			}
			if got := l.ranEver("production_2") + l.ranEver("production_3"); got != "n00" || l.get(tree.ManifestKey) != manifest {
				t.Errorf("%q ran a candidate; manifest changed: %v", got, l.get(tree.ManifestKey) != manifest)
			}
			l.set("flags/ntp/backout", "true")
			l.accept()
			l.agents()
			l.on("production_1", l.nodes...)
			l.set(c.key, whole)
			l.accept()
			l.collect(l.l)
			l.look()
			if s := l.state("ntp"); s.Phase != gate.BackedOut {
				t.Errorf("mended: %s", s.Phase)
			}
		})
	}
}

// TestStateOfAnEndedRolloutIsGone: without its state a rollout that was backed out must not look like one that waits.
func TestStateOfAnEndedRolloutIsGone(t *testing.T) {
	l := running(t)
	l.set("flags/ntp/backout", "true")
	l.look()
	l.remove("flags/ntp/backout")
	l.look()
	l.tick()
	l.on("production_1", l.nodes...)
	l.remove(tree.StateKey("ntp"))
	for range 6 {
		l.tryTick()
	}
	l.on("production_1", l.nodes...)
}
