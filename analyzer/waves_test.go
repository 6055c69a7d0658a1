package analyzer

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawStaged is a small rollout of two or three stages with ramps, in which nodes fail now and then. Stages may begin at the very same
// moment, or in the same millisecond, and nodes fail then, too.
func drawStaged(t *rapid.T) *staged {
	apart := rapid.SampledFrom([]time.Duration{5 * time.Hour, 5 * time.Hour, 0, 300 * time.Microsecond, time.Millisecond}).Draw(t, "apart")
	f := newStaged(rapid.IntRange(0, 6).Draw(t, "early"), rapid.IntRange(1, 6).Draw(t, "own"), rapid.IntRange(0, 6).Draw(t, "controls"), apart)
	f.StageIndex = rapid.IntRange(1, 2).Draw(t, "stage")
	for i := range f.Nodes {
		n := &f.Nodes[i]
		n.Outside = rapid.IntRange(0, 9).Draw(t, "outside") == 0
		if n.Admitted() {
			n.Stage = min(n.Stage*int32(rapid.IntRange(1, 2).Draw(t, "later")), int32(f.StageIndex))
			n.AdmittedAt = MomentOf(n.AdmittedAt.Time().Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "ramp")) * 20 * time.Minute))
			n.Summary.Habit.Last = n.AdmittedAt.milli()
		}
		for range rapid.IntRange(0, 3).Draw(t, "failures") {
			at := f.began.Add(time.Duration(rapid.IntRange(-30, 84).Draw(t, "at")) * 5 * time.Minute)
			if rapid.Bool().Draw(t, "as a stage begins") { // f.fail has runs begin a second later
				at = rapid.SampledFrom([]time.Time{f.began, f.StageStarted}).Draw(t, "which").Add(time.Duration(rapid.IntRange(-6, 6).Draw(t, "tenths"))*100*time.Microsecond - time.Second)
			}
			f.fail(i, at)
		}
	}
	return f
}

// TestWavesCountEveryNode: against asking every node about every wave.
func TestWavesCountEveryNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawStaged(t)
		c := newCohorts(DefaultPolicy(), f.normalized())
		admitted := 0
		for _, w := range c.waves() {
			last, until := w.from, w.from+(70*time.Minute).Milliseconds()
			for _, n := range f.Nodes {
				if at := n.AdmittedAt.milli(); n.Admitted() && !n.Outside && at >= w.from && at <= w.from+(35*time.Minute).Milliseconds() {
					last = max(last, at)
					admitted++
				}
			}
			until = min(until, w.from+f.Now.UnixMilli()-last) // what its last node had by now
			controls, failing, events := 0, 0, 0
			for _, n := range f.Nodes {
				if n.Outside || n.Admitted() && n.AdmittedAt.milli() <= until {
					continue
				}
				before, since := false, false
				for _, r := range f.Runs {
					at := r.Start.Add(time.Second).UnixMilli()
					if r.Certname == n.Certname && at >= w.from-(2*time.Hour).Milliseconds() && at <= until {
						before, since = before || at < w.from, since || at >= w.from
					}
				}
				controls++
				failing += oneIf(before)
				events += oneIf(since && !before)
			}
			if w.controls != controls || w.failing[failureEvents] != failing || w.events[failureEvents] != events || w.failing[compileEvents]+w.events[compileEvents] != 0 {
				t.Fatalf("%+v, want %d controls, %d failing, %d events until %d", w, controls, failing, events, until)
			}
		}
		for _, n := range f.Nodes {
			admitted -= oneIf(n.Admitted() && !n.Outside)
		}
		if admitted != 0 {
			t.Fatalf("%d nodes too many in all waves", admitted)
		}
	})
}

// TestWavesWeighByAnswers: a wave of three times the answers says three times as much about what is to be expected.
func TestWavesWeighByAnswers(t *testing.T) {
	waves := []wave{{controls: 110, failing: [eventChecks]int{failureEvents: 10}, events: [eventChecks]int{failureEvents: 8}, answers: [eventChecks]int{failureEvents: 30}},
		{controls: 50, answers: [eventChecks]int{failureEvents: 10}}, {}}
	if got := without(waves, failureEvents); got != .06 {
		t.Errorf("%v, want three quarters of 8 of 100", got)
	}
	if got := without(waves, compileEvents); got != 0 {
		t.Errorf("%v without an answer", got)
	}
}

// TestAWatchHasTheSameIntakes: whoever is summed up is in them as if looked at.
func TestAWatchHasTheSameIntakes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawStaged(t)
		p, e := DefaultPolicy(), f.normalized()
		want := newCohorts(p, e)
		var w Watch
		got := &cohorts{policy: p, evidence: e, tally: newTally(false)}
		if !w.begin(p, e) || !w.update(got) {
			t.Fatal("it does not watch")
		}
		w.gather(got)
		if diff := cmp.Diff(want.tally.intakes, got.tally.intakes, cmp.AllowUnexported(intake{}, admission{})); diff != "" || got.tally.controls != want.tally.controls {
			t.Fatalf("%d controls, want %d; %s", got.tally.controls, want.tally.controls, diff)
		}
	})
}

// TestControlsHaveNoLongerThanTheirWave: while a wave is young, what a control shows after its last node had as much time does not count.
func TestControlsHaveNoLongerThanTheirWave(t *testing.T) {
	for minutes, want := range map[time.Duration]int{105: 1, 115: 0} {
		f := newStaged(0, 2, 5, 5*time.Hour)
		for i, at := range []time.Duration{80, 100} {
			f.Nodes[i].AdmittedAt = MomentOf(f.StageStarted.Add(at * time.Minute)) // 40 and 20 minutes ago
			f.Nodes[i].Summary.Habit.Last = f.Nodes[i].AdmittedAt.milli()
		}
		f.fail(3, f.StageStarted.Add((minutes-10)*time.Minute))
		waves := newCohorts(DefaultPolicy(), f.normalized()).waves()
		if len(waves) != 1 || waves[0].events[failureEvents] != want {
			t.Errorf("%d minutes: %+v, want %d", minutes, waves, want)
		}
	}
}
