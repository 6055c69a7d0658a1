package daemon

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// TestRiseSaysTheSame: following thresholds as they rise, step by step, gives what looking at every node anew gives, and so do
// the populations of stages.
func TestRiseSaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 120
		inv := &inventory{}
		for i := range n {
			inv.nodes = append(inv.nodes, &node{certname: fmt.Sprintf("n%03d.example.test", i)})
		}
		prints := map[string]int{}
		for i, n := range inv.nodes {
			prints[n.fingerprint()] = i
		}
		member := func(set, print string) bool {
			return set == "even" && prints[print]%2 == 0 || set == "third" && prints[print]%3 == 0
		}
		now := func() time.Time { return t0.Add(24 * time.Hour) }
		spec := &gate.Spec{Name: "ntp", Candidate: "production_2", Salt: "ntp"}
		r := newRoster(&tracked{nodes: inv.nodes}, spec.Salt, inv)
		stepwise := newLedger(now)
		stepwise.expect(inv)
		state := &gate.State{Phase: gate.Running}
		if rapid.Bool().Draw(t, "cap") {
			state.Caps = []gate.Cap{{ID: "hold/h", Set: "third", Count: 40, Since: t0}}
		}
		at := t0
		for stage := range rapid.IntRange(1, 4).Draw(t, "stages") {
			set := rapid.SampledFrom([]string{"", "even", "third"}).Draw(t, "set")
			state.Stages = append(state.Stages, gate.StageState{Name: fmt.Sprint(stage), Set: set, Since: at})
			reached := segments.None
			for range rapid.IntRange(1, 4).Draw(t, "steps") {
				at = at.Add(time.Minute)
				reached = segments.Higher(reached, segments.FromShare(rapid.Uint64Range(1, segments.Billion).Draw(t, "share")))
				state.Admissions = append(state.Admissions, gate.Admission{At: at, Stage: stage, Set: set, Threshold: reached})
				got := stepwise.follow(spec, state, r, 24*time.Hour, member)

				anew := newLedger(now)
				anew.expect(inv)
				fresh := newRoster(&tracked{nodes: inv.nodes}, spec.Salt, inv)
				want := anew.follow(spec, state, fresh, 24*time.Hour, member)
				for i := range want.nodes {
					if g, w := got.nodes[i], want.nodes[i]; g.AdmittedAt != w.AdmittedAt || g.Stage != w.Stage {
						t.Fatalf("%s: step by step %s by %d, anew %s by %d", w.Certname, g.AdmittedAt.Time(), g.Stage, w.AdmittedAt.Time(), w.Stage)
					}
				}
				for _, of := range []string{"", "even", "third"} {
					for before := range stage + 2 {
						p := r.in(of, state, before, member)
						if d := earlierByHand(r, of, state, before, member); !slices.Equal(d, p.Earlier) {
							t.Fatalf("earlier than %d in %q: %v, expected %v", before, of, p.Earlier, d)
						}
					}
				}
			}
		}
	})
}

func earlierByHand(r *roster, set string, state *gate.State, before int, member func(set, print string) bool) (out []segments.Point) {
	for k, i := range r.order {
		in := func(set string) bool { return member(set, r.nodes[i].fingerprint()) }
		if at, stage := state.AdmittedAt(r.positions[k].String(), in); !at.IsZero() && stage < before && (set == "" || in(set)) {
			out = append(out, r.positions[k])
		}
	}
	return out
}
