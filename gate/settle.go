package gate

import (
	"fmt"

	"github.com/openinfrastructure/sluice/segments"
)

// settle admits everyone, the holdback included. Where the site limits unproven change the holdback waits for release.
func (s *stepper) settle() {
	i := s.state.Current()
	st := &s.state.Stages[i]
	text := "every stage has passed: everyone is admitted"
	if st.Threshold.Less(segments.All) {
		st.Target = segments.All
		if s.w.Blast == (BlastRule{}) {
			st.Threshold, st.Admitted, st.Full = segments.All, s.r.Current.present(segments.All), s.w.Now
			st.Came.Admitted = 0
			s.state.Admissions = append(s.state.Admissions, Admission{At: s.w.Now, Stage: i, Set: st.Set, Threshold: segments.All})
		} else {
			text = fmt.Sprintf("every stage has passed: %s held back %s within the limit on unproven change", count(s.heldBack(), "node"), agree(s.heldBack(), "comes", "come"))
		}
	}
	s.phase(Settling, "")
	s.event(EventSettling, i, "sluice", text)
}

// withheld says whether a settling rollout has yet to admit everyone.
func (s *stepper) withheld() bool {
	return s.state.Stages[s.state.Current()].Threshold.Less(segments.All)
}

// heldBack counts the nodes above the threshold of the last stage.
func (s *stepper) heldBack() int {
	return s.r.Current.fresh(segments.All) - s.r.Current.fresh(s.state.Stages[s.state.Current()].Threshold)
}

// release admits the holdback, as many nodes at a time as may have an unproven change: what comes after them waits until they
// are past their bake.
func (s *stepper) release() {
	i := s.state.Current()
	st, p := s.state.Stages[i], s.r.Current
	if !s.open(append(s.alwaysGates(), s.windowGate(i), s.holdGate(), s.rampGate(), s.unprovenGate(p, st.Threshold, segments.All), s.blastGate(p, st.Threshold, segments.All))...) {
		return
	}
	next := s.within(p, st.Threshold, segments.All, s.room())
	if s.heldBack() == 0 { // they have left the inventory, or a cap keeps them
		next = segments.All
	}
	if !st.Threshold.Less(next) {
		return
	}
	s.raise(i, p, next)
	s.event(EventGrown, i, "sluice", fmt.Sprintf("holdback: %s more, %d to come", count(p.fresh(next)-p.fresh(st.Threshold), "node"), s.heldBack()))
}
