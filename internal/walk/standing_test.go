package walk

import (
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// matching are the listed nodes that a selector means.
func (w *world) matching(text string) (m mask) {
	for _, s := range selectors {
		if s.text != text {
			continue
		}
		for _, i := range w.seen {
			if s.is(w.nodes[i].name, w.seenDC[i]) {
				m |= 1 << i
			}
		}
	}
	return m
}

// held are the nodes that a hold matches now.
func (o oracle) held() (m mask) {
	for _, h := range o.s.holds {
		if h.Err == "" && (h.Until.IsZero() || o.now.Before(h.Until)) {
			m |= o.w.matching(h.Selector)
		}
	}
	return m
}

// pinned are the nodes that a person keeps on one side of the rollout.
func (o oracle) pinned(to string) (m mask) {
	for _, p := range o.s.pins {
		if p.To == to && (p.Until.IsZero() || o.now.Before(p.Until)) && (p.Rollout == "" || p.Rollout == o.e.spec.Name) {
			m |= o.w.named(p.Certname)
		}
	}
	return m
}

func (w *world) named(certname string) mask {
	for i, n := range w.nodes {
		if n.name == certname {
			return 1 << i
		}
	}
	return 0
}

// cut are the nodes that somebody took the change of a rollout from, and nobody has given it back to.
func (s *said) cutOf(rollout string) (m mask) {
	for key, nodes := range s.cut {
		if strings.HasPrefix(key, rollout+"/") {
			m |= nodes
		}
	}
	return m
}

// late says whether a look had to put a rollout off.
func late(d gate.Decision, rollout string) bool {
	gates := d.Gates[rollout]
	return len(gates) == 1 && gates[0].Name == gate.GateTurn
}

// noteCut writes down whom people cut out, and whom they let come back. A look that had to put a rollout off has not heard of it,
// nor one that may publish nothing.
func (w *world) noteCut(snap, s *kv, a asked, d gate.Decision, said *said) {
	if a.halted {
		return
	}
	for key, now := range a.lifts {
		if !now {
			continue
		}
		rollout, id, _ := strings.Cut(key, "/"+gate.CapCutOut+"/")
		if _, changed := d.States[rollout]; changed {
			delete(said.cut, rollout+"/"+id)
		}
	}
	for _, v := range s.vetoes {
		key, e, was := v.Rollout+"/"+v.ID, s.rollout(v.Rollout), snap.rollout(v.Rollout)
		if e == nil || e.state.Phase.Ended() || w.seen == nil || late(d, v.Rollout) {
			continue
		}
		if was == nil || was.state.Phase == gate.Waiting { // nobody has the change yet: it is as the key has it
			said.cut[key] = 0
		}
		said.cut[key] |= w.matching(v.Selector)
	}
}

// checkPeople: whoever is held gains nothing, who is cut out or pinned to baseline has nothing. was and now are the nodes that have the
// change by the document before and by this one.
func (w *world) checkPeople(o oracle, r *segments.Rollout, next *said, was, now mask) {
	if who := now &^ was & o.held(); who != 0 {
		w.fail("a held node never gains", "%s goes to %v", r.Name, w.names(who))
	}
	if who := now & next.cutOf(r.Name); who != 0 {
		w.fail("a cut-out stays", "%s goes to %v", r.Name, w.names(who))
	}
	if who := now & o.pinned(segments.ToBaseline); who != 0 {
		w.fail("a pin stays", "%s goes to %v", r.Name, w.names(who))
	}
}

// kept: a rollout that completes gives its change to everybody, so nobody may be kept from it.
func (o oracle) kept(after gate.State) string {
	w := o.w
	ahead := w.gives(&segments.Document{Pins: o.s.doc.Pins}, &segments.Rollout{Name: o.e.spec.Name})
	rest := w.listed &^ w.uncapped(&entry{spec: o.e.spec, state: after}, false) &^ ahead
	for _, m := range []struct {
		by   string
		them mask
	}{{"held", o.held() & rest}, {"cut out", o.s.said.cutOf(o.e.spec.Name)}, {"pinned to baseline", o.pinned(segments.ToBaseline)}} {
		if m.them != 0 {
			return w.names(m.them)[0] + " is " + m.by
		}
	}
	return ""
}

// then is the rollout as it was, with the caps that people wish now: those are stops, and wait for nothing.
func (w *world) then(was *entry, after gate.State) *entry {
	e := *was
	e.state.Caps = nil
	for _, c := range after.Caps {
		if c.Kind() != gate.CapAhead {
			c.Steps = nil
			for _, old := range was.state.Caps {
				if old.ID == c.ID {
					c.Steps = old.Steps
				}
			}
		}
		e.state.Caps = append(e.state.Caps, c)
	}
	return &e
}

// passed are the nodes that a threshold has passed, worked out from what the state has on record without asking it.
func (w *world) passed(e *entry) (m mask) {
	for _, a := range e.state.Admissions {
		m |= w.below(e.spec.Salt, a.Threshold) & w.members[a.Set]
	}
	return m
}

// admitted are those of them that no cap keeps. A node that is pinned to the candidate counts as kept: nobody chose it by chance.
func (w *world) admitted(e *entry) mask { return w.uncapped(e, true) }

func (w *world) uncapped(e *entry, ahead bool) mask {
	m := w.passed(e)
	for i := range e.state.Caps {
		c := &e.state.Caps[i]
		if c.Kind() == gate.CapAhead && !ahead {
			continue
		}
		back := mask(0)
		if n := len(c.Steps); n > 0 {
			back = w.below(e.spec.Salt, c.Steps[n-1].Limit)
		}
		m &^= w.ofCap(e, c) &^ back
	}
	return m
}

func (w *world) ofCap(e *entry, c *gate.Cap) (m mask) {
	if c.Set != "" {
		return w.members[c.Set]
	}
	for i, u := range w.u(e.spec.Salt) {
		if u == c.Position {
			m |= 1 << i
		}
	}
	return m
}

// reachedAt is when a threshold passed a node, and by which stage.
func (w *world) reachedAt(e *entry, i int) (time.Time, int) {
	for _, a := range e.state.Admissions {
		if has(w.below(e.spec.Salt, a.Threshold), i) && w.in(a.Set, i) {
			return a.At, a.Stage
		}
	}
	return time.Time{}, -1
}
