package gate

import (
	"fmt"

	"github.com/openinfrastructure/sluice/segments"
)

// recount takes the nodes that are there for all that there were, by a person's order. It is asked of the last stage,
// which is for everyone and has no set: Validate lets no other schedule begin.
func (s *stepper) recount() {
	st, p := &s.state.Stages[s.state.Current()], s.r.Current
	st.Count, st.Admitted, st.Came, st.Recounted = p.size(), p.present(st.Threshold), Came{}, s.w.Now
}

// noteCame keeps on record how many nodes are new: the next leader does not know whose names they are.
func (s *stepper) noteCame() {
	if i := s.state.Current(); i >= 0 && s.state.Phase.Active() && s.r.Current.Err == "" && s.state.Stages[i].Came != s.r.Came {
		s.state.Stages[i].Came, s.changed = s.r.Came, true
	}
}

// departed says why too many nodes of the current stage have left the inventory: deactivated or expired, which is their right, or lost
// by PuppetDB, or broken by the change and replaced. They are in no count any more, so without a limit a stage could pass on the rest.
// A set has the names of its members; of everyone there is a count, and who came since makes up for nobody.
func (s *stepper) departed() string {
	i := s.state.Current()
	st, p := s.state.Stages[i], s.r.Current
	if p.Err != "" {
		return "who is in the stage is not known: " + p.Err
	}
	share := s.r.Spec.PolicyOf(i).MaxDeparted
	for _, of := range []struct {
		then, now int
		who       string
	}{
		{st.Admitted, p.present(st.Threshold) - st.Came.Admitted, "nodes that it had when it last admitted some"},
		{st.Count, p.present(segments.All) - st.Came.Segment, "nodes that its segment had when it began"},
	} {
		gone, most := of.then-of.now, max(1, int(share*float64(of.then)+1e-9))
		if gone > most {
			return fmt.Sprintf("%d of the %d %s have left PuppetDB's inventory, at most %d may (max_departed %.4g %%): find out why; promote --now goes on all the same",
				gone, of.then, of.who, most, 100*share)
		}
	}
	return ""
}
