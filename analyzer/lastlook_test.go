package analyzer

import (
	"slices"
	"testing"
	"time"
)

// TestTheLastLookComes: a node that was dead before, or fewer nodes than planned, must not keep the run time check from its look
// at the whole stage.
func TestTheLastLookComes(t *testing.T) {
	for name, spoil := range map[string]func(*simFleet){
		"as planned": func(*simFleet) {},
		"a dead node": func(f *simFleet) {
			dead := slices.IndexFunc(f.Nodes, Node.Admitted)
			f.Nodes[dead].Summary.Habit = Habit{}
		},
		"fewer than planned": func(f *simFleet) { f.Planned += 100 },
	} {
		f := newSim(9, 20_000, 1_000, 0, 0)
		spoil(f)
		value := func(some bool) {
			for i, n := range f.Nodes {
				slow := 0.
				if n.Admitted() {
					slow = .02 / binWidth
				}
				n.Summary.Slower = Slower{Bins: int16(f.rng.NormFloat64()*.15/binWidth + slow), Runs: uint8(oneIf(!some || i%10 == 0))}
			}
		}
		value(true)
		early := f.at(33 * time.Minute)
		v := Look(DefaultPolicy(), early)
		if len(v.Looks) != 1 || v.Result == Fail {
			t.Fatalf("%s: early %s, looks %+v", name, v.Result, v.Looks)
		}
		if v.Looks[0].T > .6 {
			t.Errorf("%s: with one value in ten, %.2f of the plan is said to be due", name, v.Looks[0].T)
		}
		value(false)
		late := f.at(2 * time.Hour)
		late.Looks = v.Looks
		if v = Look(DefaultPolicy(), late); len(v.Looks) != 2 || checkOf(t, v, magnitudeNames[runTime]).Result != Fail {
			t.Errorf("%s: %s, looks %+v", name, checkOf(t, v, magnitudeNames[runTime]).Reason, v.Looks)
		} else if whole := v.Looks[1].T == 1; whole == (f.Planned > 1_000) {
			t.Errorf("%s: the last look is at %v of the plan", name, v.Looks[1].T)
		}
	}
}
