package daemon

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// someNames is how many certnames a cap's sentence gives.
const someNames = 5

// caps finds out whom people keep from a rollout, or cut out of it, and puts that into out: the caps as they are from now on,
// and the holds that stop the whole of it.
func (l *leader) caps(ctx context.Context, c *change, r *tree.Rollout, f *roster, member func(set, print string) bool, out *gate.Rollout) error {
	var wishes []gate.Wish
	pins := pinsOf(c.snap.Document.Pins, r.Spec.Name)
	for _, h := range c.snap.Holds {
		if !h.Until.IsZero() && !c.now.Before(h.Until) && h.Err == "" {
			continue
		}
		source := gate.CapHold + "/" + h.ID
		match, err := matcherOf(h.Selector, h.Err)
		if err != nil {
			h.Err = err.Error()
			out.Held = append(out.Held, h)
			wishes = append(wishes, gate.Wish{Source: source, Unknown: true})
			continue
		}
		k := l.keeps(r, f, member, source, h.Selector, match, pins)
		if k.all {
			out.Held = append(out.Held, h)
			continue
		}
		wish, err := l.publishKept(ctx, source, k)
		if err != nil {
			return err
		}
		wishes = append(wishes, wish)
		out.Kept = append(out.Kept, gate.Kept{Source: source, What: ownedBy(h.By, h.Selector, h.Comment), Nodes: k.nodes, Some: k.some, Until: h.Until})
	}
	cutOuts, err := l.cutOuts(ctx, c, r, f, member, out)
	if err != nil {
		return err
	}
	wishes = append(append(wishes, cutOuts...), pinned(c, r, out)...)
	lifted := func(source string) bool { return c.lifts[r.Spec.Name+"/"+source] != nil }
	out.Caps = gate.Caps(&r.State, wishes, lifted, c.now)
	return nil
}

// cutOuts gives the nodes that people took a rollout's change from. A cut-out latches: where its key is gone, it stands.
func (l *leader) cutOuts(ctx context.Context, c *change, r *tree.Rollout, f *roster, member func(set, print string) bool, out *gate.Rollout) ([]gate.Wish, error) {
	var wishes []gate.Wish
	asked := map[string]bool{}
	for _, v := range c.snap.Vetoes {
		source := gate.CapCutOut + "/" + v.ID
		match, err := matcherOf(v.Selector, v.Err)
		switch {
		case v.Environment != "" || v.Err == "" && v.Rollout != r.Spec.Name:
			continue
		case err != nil:
			out.Held = append(out.Held, gate.Hold{ID: v.ID, Key: tree.VetoKey(v.ID), Err: err.Error()})
			continue
		}
		k := l.keeps(r, f, member, source, v.Selector, match, nil)
		wish, err := l.publishKept(ctx, source, k)
		if err != nil {
			return nil, err
		}
		asked[source] = true
		wishes = append(wishes, wish)
		out.Kept = append(out.Kept, gate.Kept{Source: source, What: ownedBy(v.By, v.Selector, v.Comment), Nodes: k.nodes, Some: k.some})
	}
	for i := range r.State.Caps {
		if k := &r.State.Caps[i]; k.Kind() == gate.CapCutOut && k.Standing() && !asked[k.Source()] {
			out.Kept = append(out.Kept, gate.Kept{Source: k.Source(), Nodes: k.Count, What: "its key is gone, which ends nothing: sluice unveto " + r.Spec.Name + " --where " + strings.TrimPrefix(k.Source(), gate.CapCutOut+"/")})
		}
	}
	return wishes, nil
}

// mostPins is how many pins stand at once: each is in the document, and in the state of every rollout.
const mostPins = 200

// standingPins gives the pins that count, and what is wrong with the others.
func (c *change) standingPins() (pins []gate.Pin, wrong []gate.Hold) {
	for _, p := range c.snap.Pins {
		switch {
		case p.Err != "":
			wrong = append(wrong, gate.Hold{ID: p.Certname, Key: tree.PinKey(p.Certname), Err: p.Err})
		case !p.Until.IsZero() && !c.now.Before(p.Until):
		case len(pins) == mostPins:
			wrong = append(wrong, gate.Hold{ID: p.Certname, Key: tree.PinKey(p.Certname), Err: fmt.Sprintf("at most %d pins fit into the document", mostPins)})
			return pins, wrong
		default:
			pins = append(pins, p)
		}
	}
	return pins, wrong
}

func pinned(c *change, r *tree.Rollout, out *gate.Rollout) (wishes []gate.Wish) {
	pins, wrong := c.standingPins()
	out.Held = append(out.Held, wrong...)
	for _, h := range wrong {
		wishes = append(wishes, gate.Wish{Source: gate.CapPin + "/" + h.ID, Unknown: true}, gate.Wish{Source: gate.CapAhead + "/" + h.ID, Unknown: true})
	}
	for i := range pins {
		p := &pins[i]
		if !p.Concerns(r.Spec.Name) {
			continue
		}
		wishes = append(wishes, gate.Wish{Source: p.Source(), Position: segments.Position(r.Spec.Salt, p.Certname)})
		out.Kept = append(out.Kept, gate.Kept{Source: p.Source(), Nodes: 1, Some: []string{p.Certname}, What: ownedBy(p.By, p.To, p.Comment), Until: p.Until})
	}
	return wishes
}

func ownedBy(by, selector, comment string) string {
	if by == "" {
		by = "nobody named"
	}
	return strings.TrimSuffix(fmt.Sprintf("of %s on %s: %s", by, selector, comment), ": ")
}

// keeper is whom a selector keeps from a rollout, as it was worked out last.
type keeper struct {
	roster   *roster
	inv      *inventory
	selector string
	steps    int    // of the state's admissions
	caps     string // capsKey
	pins     []segments.Pin

	set   segments.Set
	fresh bool // set is not published yet
	nodes int
	some  []string
	all   bool // nobody who is yet to come is left, so there is nothing to go on with
}

// pinsOf gives the pins of the document in force that are for a rollout.
func pinsOf(pins []segments.Pin, rollout string) (out []segments.Pin) {
	for _, p := range pins {
		if p.Rollout == "" || p.Rollout == rollout {
			out = append(out, segments.Pin{Certname: p.Certname, To: p.To})
		}
	}
	return out
}

// keeps gives the nodes that a hold keeps: those that match and do not have the change, and those that it kept before. Whoever
// has the change keeps it, by a pin of the document in force, too; whom such a pin keeps on baseline has it not, whether or not the state knows.
func (l *leader) keeps(r *tree.Rollout, f *roster, member func(set, print string) bool, source, selector string, match func(*node) bool, pins []segments.Pin) *keeper {
	key, steps, caps := r.Spec.Name+"/"+source, len(r.State.Admissions), capsKey(r.State.Caps)
	if k := l.keepers[key]; k != nil && k.roster == f && k.inv == f.inv && k.selector == selector && k.steps == steps && k.caps == caps && slices.Equal(k.pins, pins) {
		return k
	}
	k := &keeper{roster: f, inv: f.inv, selector: selector, steps: steps, caps: caps, pins: pins}
	own, cutOut := "", strings.HasPrefix(source, gate.CapCutOut+"/") // who is cut out had the change or not
	for i := range r.State.Caps {
		if c := &r.State.Caps[i]; r.State.Phase.Active() && c.Standing() && c.Source() == source {
			own = c.Set
		}
	}
	reached := r.State // a pin to the candidate hides that the node's turn has come
	reached.Caps = slices.DeleteFunc(slices.Clone(reached.Caps), func(c gate.Cap) bool { return c.Kind() == gate.CapAhead })
	pinned := map[string]string{}
	for _, p := range pins {
		if pinned[p.Certname] != segments.ToBaseline {
			pinned[p.Certname] = p.To
		}
	}
	var fresh []string
	rest := false
	for at, i := range f.order {
		n := f.nodes[i]
		print := ""
		in := func(set string) bool {
			if print == "" {
				print = n.fingerprint()
			}
			return member(set, print)
		}
		kept := own != "" && in(own)
		yet := kept || cutOut
		if !yet {
			admitted, _ := reached.AdmittedAt(f.positions[at].String(), in)
			yet = admitted.IsZero()
			switch pinned[n.certname] {
			case segments.ToBaseline:
				yet = true
			case segments.ToCandidate: // a cap wins over it
				yet = yet && gate.Capped(reached.Caps, f.positions[at].String(), in) != nil
			}
		}
		switch {
		case !yet:
		case kept || match(n):
			if !kept {
				fresh = append(fresh, n.certname)
			}
			if k.nodes++; len(k.some) < someNames {
				k.some = append(k.some, n.certname)
			}
		case gate.Capped(r.State.Caps, f.positions[at].String(), in) == nil:
			rest = true
		}
	}
	k.all = !rest && own == "" && k.nodes > 0
	k.set = l.sets.have[own] // the zero value, an empty set, for none
	if len(fresh) > 0 {
		k.set, k.fresh = segments.Grow(k.set.Data, fresh), true
	}
	l.keepers[key] = k
	return k
}

// publishKept publishes the set of a cap, so that a document can name it.
func (l *leader) publishKept(ctx context.Context, source string, k *keeper) (gate.Wish, error) {
	if k.set.Count == 0 {
		return gate.Wish{Source: source}, nil
	}
	if k.fresh {
		if err := l.putSet(ctx, k.set); err != nil {
			return gate.Wish{}, err
		}
	}
	return gate.Wish{Source: source, Set: k.set.Digest, Count: k.set.Count}, nil
}

// capsKey stands for everything about caps that tells who is kept by them.
func capsKey(caps []gate.Cap) string {
	var b strings.Builder
	for i := range caps {
		c := &caps[i]
		fmt.Fprintf(&b, "%s %s%s %d\n", c.ID, c.Set, c.Position, len(c.Steps))
	}
	return b.String()
}

// back gives the nodes that lifted caps have to give back: those whose stage was reached, and that nothing else keeps.
func (r *roster) back(state *gate.State, member func(set, print string) bool) gate.Population {
	var p gate.Population
	var standing []gate.Cap
	lifted := false
	for _, c := range state.Caps {
		if c.Standing() {
			standing = append(standing, c)
		} else {
			lifted = lifted || !c.Over()
		}
	}
	if !lifted {
		return p
	}
	for k, i := range r.order {
		in := func(set string) bool { return member(set, r.nodes[i].fingerprint()) }
		u := r.positions[k].String()
		if gate.Capped(state.Caps, u, in) == nil || gate.Capped(standing, u, in) != nil {
			continue
		}
		if at, _ := state.ReachedAt(u, in); !at.IsZero() {
			p.Positions = append(p.Positions, r.positions[k])
		}
	}
	return p
}

// capSets reads the sets of a rollout's caps.
func (l *leader) capSets(ctx context.Context, caps []gate.Cap, w *gate.World) error {
	for i := range caps {
		c := &caps[i]
		if c.Set == "" {
			continue
		}
		set, err := l.sets.get(ctx, c.Set, c.Count)
		if err != nil {
			return err
		}
		w.Sets[c.Set] = set.Count
	}
	return nil
}

// unchosen leaves out the nodes that a cap keeps: they are no canaries, and no controls, because a person chose them.
func (c *course) unchosen(state *gate.State, r *roster, member func(set, print string) bool) {
	c.chosen, c.seat = nil, nil
	if len(state.Caps) == 0 {
		return
	}
	out := make([]bool, len(c.nodes))
	for k, i := range r.order {
		in := func(set string) bool { return member(set, segments.Fingerprint(c.nodes[i].Certname)) }
		out[i] = gate.Capped(state.Caps, r.positions[k].String(), in) != nil
	}
	c.chosen, c.seat = make([]analyzer.Node, 0, len(c.nodes)), make([]int32, len(c.nodes))
	for i, gone := range out {
		c.seat[i] = -1
		if !gone {
			c.seat[i] = int32(len(c.chosen))
			c.chosen = append(c.chosen, c.nodes[i])
		}
	}
}

// taintKept marks the failed runs that nodes made with the change before a cap took it from them: they count neither for the
// change nor, as runs of others, to excuse what fails under it.
func taintKept(runs []analyzer.Run, candidate, salt string, state *gate.State, member func(set, print string) bool) {
	if len(state.Caps) == 0 {
		return
	}
	for k := range runs {
		r := &runs[k]
		if !failed(*r) || r.Tainted {
			continue
		}
		position := segments.Position(salt, r.Certname)
		in := func(set string) bool { return member(set, segments.Fingerprint(r.Certname)) }
		for i := range state.Caps {
			c := &state.Caps[i]
			if !c.Holds(position, in) {
				continue
			}
			reached, _ := state.ReachedAt(position, in)
			under := candidate != "" && r.Environment == candidate
			since := !reached.IsZero() && !r.Produced.Before(reached) || c.Kind() == gate.CapAhead && !r.Produced.Before(c.Since)
			admitted, _ := state.AdmittedAt(position, in)
			if (under || candidate == "" && since) && (admitted.IsZero() || r.Produced.Before(admitted)) {
				r.Tainted = true
			}
		}
	}
}
