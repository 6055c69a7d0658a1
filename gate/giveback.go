package gate

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/segments"
)

// noteCaps takes over what people wish. A cap is a stop: it waits for no gate, but for a document that says it: while none may be published,
// edges still give the change to whoever it is to keep from it.
func (s *stepper) noteCaps() {
	if s.w.Halt != "" || s.r.Caps == nil || len(s.r.Caps) == 0 && len(s.state.Caps) == 0 || reflect.DeepEqual(s.r.Caps, s.state.Caps) {
		return
	}
	var news []string
	for i := range s.r.Caps {
		c := &s.r.Caps[i]
		switch k := slices.IndexFunc(s.state.Caps, func(o Cap) bool { return o.ID == c.ID }); {
		case k < 0:
			news = append(news, fmt.Sprintf("%s keeps %s: %s", c.Source(), c.many(), s.said(c.Source())))
		case s.state.Caps[k].Standing() && !c.Standing():
			news = append(news, fmt.Sprintf("%s has ended: %s come back as every gate allows", c.Source(), c.many()))
		case s.state.Caps[k].Set != c.Set:
			news = append(news, fmt.Sprintf("%s keeps %s now", c.Source(), c.many()))
		}
	}
	if more := len(news) - mostNews; more > 0 {
		news = append(news[:mostNews], fmt.Sprintf("and %d more", more))
	}
	if len(news) > 0 { // one event for all: they fit into one transaction
		s.event(EventCaps, -1, "sluice", strings.Join(news, "; "))
	}
	s.state.Caps, s.changed = slices.Clone(s.r.Caps), true
}

// mostNews is how many caps one event names.
const mostNews = 10

func (c *Cap) many() string {
	if c.Set == "" {
		return "one node"
	}
	return count(c.Count, "node")
}

// said is what the person said.
func (s *stepper) said(source string) string {
	for _, k := range s.r.Kept {
		if k.Source == source {
			return k.What
		}
	}
	return "no more is known of it"
}

// keptText names everything that keeps nodes from this rollout, or says none.
func (s *stepper) keptText(none string) string {
	if len(s.r.Kept) == 0 {
		return none
	}
	var out []string
	for _, k := range s.r.Kept {
		out = append(out, k.String())
	}
	return strings.Join(out, "; ")
}

// String is the sentence for people.
func (k Kept) String() string {
	if k.Nodes == 0 {
		return fmt.Sprintf("%s matches no node that it could keep (%s)", k.Source, k.What)
	}
	text := fmt.Sprintf("%s keeps %d nodes", k.Source, k.Nodes)
	if k.Nodes == 1 {
		text = k.Source + " keeps one node"
	}
	if len(k.Some) > 0 {
		text += " (" + strings.Join(k.Some, ", ")
		if k.Nodes > len(k.Some) {
			text += ", …"
		}
		text += ")"
	}
	id, isHold := strings.CutPrefix(k.Source, CapHold+"/")
	switch {
	case !k.Until.IsZero():
		text += " until " + k.Until.UTC().Format(time.RFC3339)
	case isHold:
		text += " with no end (sluice hold expire " + id + ")"
	}
	return text + ", the others go on: " + k.What
}

// capsGate keeps a rollout from completing, which would give everybody its change, while somebody is kept from it.
func (s *stepper) capsGate() Gate {
	for i := range s.state.Caps {
		if c := &s.state.Caps[i]; !c.Over() && c.Kind() != CapAhead {
			return closed(GateHold, c.Source(), "%s", s.keptText(c.Source()+" keeps "+c.many())).is(max(1, c.Count), 0)
		}
	}
	return opened(GateHold, "nobody is kept from the change").is(0, 0)
}

// returning says whether a lifted cap has nodes to give back.
func (s *stepper) returning() bool {
	return slices.ContainsFunc(s.state.Caps, func(c Cap) bool { return !c.Standing() && !c.Over() })
}

// returned is when nodes of lifted caps came back last: they bake as others do. The zero time stands for never.
func (s *State) returned() (last time.Time) {
	for i := range s.Caps {
		if c := &s.Caps[i]; c.Kind() != CapAhead && len(c.Steps) > 0 && c.Steps[len(c.Steps)-1].At.After(last) {
			last = c.Steps[len(c.Steps)-1].At
		}
	}
	return last
}

// giveBack lets nodes of lifted caps come back, as many as may be in flight, when every gate is open.
func (s *stepper) giveBack(gates ...Gate) {
	if s.r.Back.Err != "" {
		gates = append(gates, closed(GateHold, "caps", "who comes back is not known: %s", s.r.Back.Err))
	}
	var names []string
	from := segments.All
	for i := range s.state.Caps {
		if c := &s.state.Caps[i]; !c.Standing() && !c.Over() {
			names, from = append(names, c.Source()), segments.Lower(from, c.Limit())
		}
	}
	gates = append(gates, s.unprovenGate(s.r.Back, from, segments.All), s.blastGate(s.r.Back, from, segments.All))
	if !s.open(append(append(s.alwaysGates(), s.holdGate()), gates...)...) {
		return
	}
	next := s.within(s.r.Back, from, segments.All, s.room())
	for i := range s.state.Caps {
		c := &s.state.Caps[i]
		if !c.Standing() && !c.Over() && c.Limit().Less(next) {
			c.Steps = append(slices.Clone(c.Steps), CapStep{At: s.w.Now, Limit: next})
		}
	}
	s.changed = true
	s.event(EventReturned, -1, "sluice", fmt.Sprintf("%d of %s of %s came back", below(s.r.Back.Positions, next)-below(s.r.Back.Positions, from), count(len(s.r.Back.Positions)-below(s.r.Back.Positions, from), "node"), strings.Join(names, ", ")))
}

// passOver ends the current stage where caps have left it nobody: what is judged then is the stage before it. The first stage is
// not passed over: nothing would have been shown by anybody.
func (s *stepper) passOver() bool {
	i := s.state.Current()
	st, p := &s.state.Stages[i], s.r.Current
	if i == 0 || st.Skipped || p.Err != "" || len(p.Kept) == 0 || p.fresh(st.Target) > 0 {
		return false
	}
	st.Target, st.Skipped, s.changed = st.Threshold, true, true
	s.state.Accounts = analyzer.JudgedAgain(s.state.FormerAccounts, s.left())
	if st.Full.IsZero() {
		st.Full = s.w.Now
	}
	s.event(EventSkipped, i, "sluice", fmt.Sprintf("stage %s is passed over: %s that it added or would add %s held, cut out or pinned", st.Name, all(len(p.Kept), "node"), agree(len(p.Kept), "is", "are")))
	return true
}
