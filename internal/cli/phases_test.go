package cli

import (
	"slices"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// TestEveryVerbInEveryPhase: each pair of the table that docs/verbs.md is made of, run: done where the table says what it does, and
// refused in its words, with nothing written, where it says that.
func TestEveryVerbInEveryPhase(t *testing.T) {
	words := map[string][]string{
		"pause": {"pause", "ntp"}, "resume": {"resume", "ntp"}, "delay": {"delay", "ntp", "2h"}, "backout": {"backout", "ntp"},
		"backout --where": {"backout", "ntp", "--where", fra1}, "approve": {"approve", "ntp", "rest"}, "deny": {"deny", "ntp", "rest"},
		"promote --now": {"promote", "ntp", "--now", "--wait", "0"}, "skip": {"skip", "ntp", "quarter", "--wait", "0"},
		"unveto --where": {"unveto", "ntp", "--where", "fra1", "--wait", "0"}, "unveto": {"unveto", "ntp", "--wait", "0"},
		"revert": {"revert", "ntp", "--schedule", "careful", "--wait", "0"}, "freeze": {"freeze"},
		"hold add": {"hold", "add", "h", fra1, "--for", "1h"}, "pin": {"pin", "db1", "--to", "baseline", "--for", "1h"},
	}
	if len(gate.Verbs) != len(words) {
		t.Fatalf("%d verbs in the table, %d here", len(gate.Verbs), len(words))
	}
	for _, verb := range gate.Verbs {
		for i, phase := range gate.Phases {
			t.Run(verb.Name+" "+phase.String(), func(t *testing.T) {
				s := newSite(t)
				s.publish(func(d *segments.Document) { d.Tracks[0].Baseline = "production_8f3c2d1a" })
				s.put(tree.TrackKey("production"), tree.Track{Name: "production", Baseline: "production_8f3c2d1a"})
				s.rollout("ntp", func(r *tree.Rollout) { inPhase(r, phase) })
				before := s.all()
				args, effect := slices.Concat(words[verb.Name], []string{"--reason", "drill"}), verb.Effects[i]
				switch {
				case (effect.Does == "") == (effect.Refused == ""):
					t.Errorf("the table says %+v", effect)
				case effect.Does != "":
					if code, _, errOut := s.run(args...); code != ExitOK || s.all() == before {
						t.Errorf("exit %d, %q; the table says that it does: %s", code, errOut, effect.Does)
					}
				default:
					s.fails(ExitConflict, strings.ReplaceAll(effect.Refused, "NAME", "ntp"), args...)
					if s.all() != before {
						t.Error("refused, and something was written")
					}
				}
			})
		}
	}
}

// inPhase puts a rollout into a phase, with nodes that are cut out of it.
func inPhase(r *tree.Rollout, p gate.Phase) {
	r.State.Phase, r.State.FormerBaseline = p, "production_a"
	r.State.Caps = []gate.Cap{{ID: "veto/fra1", Set: "s", Count: 2, Since: t0}}
	switch p {
	case gate.Waiting, gate.Superseded:
		r.State.Stages = nil
	case gate.Running:
		r.State.Stages = r.State.Stages[:1]
	case gate.Settling, gate.Completed:
		r.State.Stages = append(r.State.Stages, gate.StageState{Name: "rest", Target: segments.All, Threshold: segments.All, Since: t0})
	}
}
