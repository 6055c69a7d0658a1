package walk

import (
	"fmt"
	"math/bits"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
)

// had are the nodes of a rollout's current stage as the oracle saw them: those that its segment had when it began, and those that its
// threshold had passed when it was last raised.
type had struct {
	stage           string
	began, admitted counted
}

// counted are some nodes, and by whom: another leader, and one that has started since, knows their number and not their names.
type counted struct {
	nodes mask
	who   *leader
	life  int
	lost  bool // somebody else has looked since
}

func (w *world) counted(nodes mask) counted {
	return counted{nodes: nodes, who: w.deciding, life: w.deciding.life}
}

// heard notes that a leader looks.
func (w *world) heard(c counted) counted {
	c.lost = c.lost || c.who != w.deciding || c.life != w.deciding.life
	return c
}

// gone says how many of them have left: by name, and where those are not known at least as many as there are fewer.
func (w *world) gone(c counted, now mask) int {
	if c = w.heard(c); c.lost {
		return bits.OnesCount32(c.nodes) - bits.OnesCount32(now)
	}
	return bits.OnesCount32(c.nodes &^ now)
}

// rebuild lets a node come back under its name, with nothing on it.
func (w *world) rebuild(i int) {
	w.nodes[i].alive = true
	for _, f := range w.facts {
		f.runs[i] = 0
		f.bad &^= 1 << i
	}
}

// leave takes a few nodes out of the fleet.
func (w *world) leave(a, b int) {
	for k := range 2 + b%3 {
		w.nodes[(a+k*(3+b%4))%mostNodes].alive = false
	}
}

// there are the nodes of the current stage's segment that are in the inventory: all of them, and those that its threshold has passed.
func (w *world) there(e *entry, st *gate.StageState) (all, passed mask) {
	m := w.members[st.Set] & w.listed
	return m, m & w.below(e.spec.Salt, st.Threshold)
}

// noteHad writes down how many nodes the stage has, when it begins, when more of them are admitted, and when a person takes those that are
// there for all.
func (w *world) noteHad(was, is *entry, o oracle, said *said) {
	name, i := is.spec.Name, is.state.Current()
	if !is.state.Phase.Active() || w.seen == nil {
		return
	}
	st := &is.state.Stages[i]
	all, passed := w.there(is, st)
	h, known := said.had[name]
	if !known || h.stage != st.Name {
		h = had{stage: st.Name, began: w.counted(all)}
		if st.Set != "" {
			h.began.nodes = w.members[st.Set]
		}
	}
	h.began, h.admitted = w.heard(h.began), w.heard(h.admitted)
	settles := is.state.Phase == gate.Settling && was.state.Phase != gate.Settling
	if last := len(is.spec.Schedule.Stages) - 1; i == last && o.promoted() && (settles || was.state.Phase == gate.Settling && was.state.Promoted == nil) {
		h.began, h.admitted = w.counted(all), w.counted(passed)
	}
	if len(is.state.Admissions) > len(was.state.Admissions) || h.stage != said.had[name].stage {
		h.admitted = w.counted(passed)
	}
	said.had[name] = h
}

// departed says whether more nodes of the current stage have left than may: a tenth, and one always.
func (o oracle) departed() string {
	i := o.e.state.Current()
	if i < 0 || o.e.state.Phase == gate.Settling && o.promoted() { // a person takes those that are there for all
		return ""
	}
	h, st := o.s.said.had[o.e.spec.Name], &o.e.state.Stages[i]
	if h.stage != st.Name {
		return ""
	}
	all, passed := o.w.there(o.e, st)
	for _, k := range []struct {
		then counted
		now  mask
	}{{h.began, all}, {h.admitted, passed}} {
		n := bits.OnesCount32(k.then.nodes)
		if gone := o.w.gone(k.then, k.now); gone > max(1, int(analyzer.DefaultPolicy().MaxDeparted*float64(n)+1e-9)) {
			return fmt.Sprintf("%d of %d nodes of stage %s have left", gone, n, st.Name)
		}
	}
	return ""
}
