package walk

import (
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

const everyone = "{}"

func inDC(dc string) string { return `{facts.dc="` + dc + `"}` }

// selectors that people write, and what each means, told without package selector.
var selectors = []struct {
	text string
	is   func(name, dc string) bool
}{
	{inDC(sites[0]), func(_, dc string) bool { return dc == sites[0] }},
	{inDC(sites[1]), func(_, dc string) bool { return dc == sites[1] }},
	{inDC(sites[2]), func(_, dc string) bool { return dc == sites[2] }},
	{`{facts.dc!="` + sites[0] + `"}`, func(_, dc string) bool { return dc != sites[0] }},
	{`{certname=~"n0[0-4].*"}`, func(name, _ string) bool { return name < "n05" }},
	{`{certname="n07.example.com"}`, func(name, _ string) bool { return name == "n07.example.com" }},
	{`{certname!~"n1.*", facts.dc="` + sites[1] + `"}`, func(name, dc string) bool { return name[1] != '1' && dc == sites[1] }},
	{`{facts.role="db"}`, func(_, _ string) bool { return false }},
	{everyone, func(_, _ string) bool { return true }},
}

var parsed = func() map[string]selector.Selector {
	out := map[string]selector.Selector{}
	for _, s := range selectors {
		sel, err := selector.Parse(s.text)
		if err != nil {
			panic(err)
		}
		out[s.text] = sel
	}
	return out
}()

// caps finds out whom people keep from a rollout, or cut out of it, as internal/daemon does.
func (w *world) caps(s *kv, a asked, e *entry, now time.Time, out *gate.Rollout) {
	var wishes []gate.Wish
	for _, h := range s.holds {
		source := gate.CapHold + "/" + h.ID
		if w.mutation == "hold ignored" || h.Err == "" && !h.Until.IsZero() && !now.Before(h.Until) {
			continue
		}
		if h.Err != "" {
			out.Held, wishes = append(out.Held, h), append(wishes, gate.Wish{Source: source, Unknown: true})
			continue
		}
		kept, all := w.keeps(s, e, source, h.Selector)
		if all {
			out.Held = append(out.Held, h)
			continue
		}
		wishes = append(wishes, w.wish(source, kept))
		out.Kept = append(out.Kept, gate.Kept{Source: source, What: h.By, Until: h.Until})
	}
	asked := map[string]bool{}
	for _, v := range s.vetoes {
		if v.Rollout != e.spec.Name {
			continue
		}
		source := gate.CapCutOut + "/" + v.ID
		kept, _ := w.keeps(s, e, source, v.Selector)
		wishes, asked[source] = append(wishes, w.wish(source, kept)), true
		out.Kept = append(out.Kept, gate.Kept{Source: source, What: v.By})
	}
	for _, p := range standing(s.pins, now) {
		if p.Concerns(e.spec.Name) {
			wishes = append(wishes, gate.Wish{Source: p.Source(), Position: segments.Position(e.spec.Salt, p.Certname)})
			out.Kept = append(out.Kept, gate.Kept{Source: p.Source(), Nodes: 1, What: p.By})
		}
	}
	lifted := func(source string) bool {
		return a.lifts[e.spec.Name+"/"+source] || w.mutation == "cut-out ends with its key" && !asked[source]
	}
	out.Caps = gate.Caps(&e.state, wishes, lifted, now)
	for i := range out.Caps {
		if c := &out.Caps[i]; w.mutation == "held come back at once" && !c.Standing() && !c.Over() {
			c.Steps = []gate.CapStep{{At: now, Limit: segments.All}}
		}
	}
}

// standing are the pins that have not ended.
func standing(pins []gate.Pin, now time.Time) (out []gate.Pin) {
	for _, p := range pins {
		if p.Until.IsZero() || now.Before(p.Until) {
			out = append(out, p)
		}
	}
	return out
}

// keeps gives the nodes that a hold or cut-out keeps, those that it kept before included, and whether it leaves nobody to go
// on with.
func (w *world) keeps(s *kv, e *entry, source, text string) (kept mask, all bool) {
	cutOut, own := strings.HasPrefix(source, gate.CapCutOut), ""
	for i := range e.state.Caps {
		if c := &e.state.Caps[i]; e.state.Phase.Active() && c.Standing() && c.Source() == source {
			own = c.Set
		}
	}
	if own != "" {
		kept = w.members[own]
	}
	reached, ahead := *e, w.gives(&segments.Document{Pins: s.doc.Pins}, &segments.Rollout{Name: e.spec.Name})
	behind := w.toBaseline(&s.doc, e.spec.Name)
	reached.state.Caps = without(e.state.Caps, func(c gate.Cap) bool { return c.Kind() == gate.CapAhead })
	rest, some := false, false
	for _, i := range w.seen {
		yet := has(kept, i) || cutOut || w.mutation == "hold takes the change"
		if !yet {
			at, _ := w.state(&reached, i)
			yet = at.IsZero() && !(has(ahead, i) && w.capped(reached.state.Caps, e.spec.Salt, i) == nil) || has(behind, i)
		}
		switch {
		case !yet:
		case has(kept, i) || parsed[text].Matches(w.attributes(i)):
			kept, some = kept|1<<i, true
		case w.capped(e.state.Caps, e.spec.Salt, i) == nil:
			rest = true
		}
	}
	return kept, own == "" && some && !rest
}

func (w *world) wish(source string, kept mask) gate.Wish {
	if kept == 0 {
		return gate.Wish{Source: source}
	}
	set := w.setOf(kept)
	return gate.Wish{Source: source, Set: set.Digest, Count: set.Count}
}

// state is what the state says of a node.
func (w *world) state(e *entry, i int) (time.Time, int) {
	return e.state.AdmittedAt(w.u(e.spec.Salt)[i], func(set string) bool { return w.in(set, i) })
}

func (w *world) capped(caps []gate.Cap, salt string, i int) *gate.Cap {
	return gate.Capped(caps, w.u(salt)[i], func(set string) bool { return w.in(set, i) })
}

// back gives the nodes that lifted caps have to give back.
func (w *world) back(e *entry) (p gate.Population) {
	var standing []gate.Cap
	for _, c := range e.state.Caps {
		if c.Standing() {
			standing = append(standing, c)
		}
	}
	for _, i := range w.seen {
		u := w.u(e.spec.Salt)[i]
		in := func(set string) bool { return w.in(set, i) }
		if w.capped(e.state.Caps, e.spec.Salt, i) == nil || w.capped(standing, e.spec.Salt, i) != nil {
			continue
		}
		if at, _ := e.state.ReachedAt(u, in); !at.IsZero() {
			p.Positions = append(p.Positions, w.points(e.spec.Salt)[i])
		}
	}
	slices.Sort(p.Positions)
	return p
}
