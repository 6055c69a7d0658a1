package walk

import (
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments"
)

// blast is the site's limit on unproven change, by its configuration at the time.
func (w *world) blast() (r gate.BlastRule) {
	if n := w.reload % 6; n == 2 || n == 4 {
		r.Limit = &schedule.Amount{Nodes: 3 + w.reload%4}
	} else if n == 5 {
		r.Limit = &schedule.Amount{Percent: schedule.Hundred / 4}
	}
	if n := w.reload % 6; n == 3 || n == 4 {
		r.By, r.DomainLimit = "facts.dc", &schedule.Amount{Nodes: 1 + w.reload%3}
	}
	return r
}

// unproven tells every rollout where its own change and those of others are not past their bake, as internal/daemon does.
func (w *world) unproven(g *gate.World, now time.Time) {
	g.Blast = w.blast()
	if w.mutation == "blast ignored" {
		g.Blast = gate.BlastRule{}
	}
	g.Domains = map[string]int{}
	for _, i := range w.seen {
		g.Domains[w.seenDC[i]]++
	}
	for i := range g.Rollouts {
		r := &g.Rollouts[i]
		if r.State.Phase.Ended() || w.seen == nil {
			continue
		}
		r.Shared, r.Unproven = map[string]gate.Shared{}, map[string]int{}
		for _, p := range []*gate.Population{&r.Current, &r.Next, &r.Back} {
			if g.Blast.DomainLimit != nil {
				p.Domains = w.domains(r.Spec.Salt, p.Positions)
			}
		}
	}
	for k := range g.Rollouts {
		o := &g.Rollouts[k]
		if !o.State.Phase.Active() || w.seen == nil {
			continue
		}
		nodes := w.unbaked(o, now)
		for i := range g.Rollouts {
			r := &g.Rollouts[i]
			if i == k {
				for _, n := range nodes {
					r.Unproven[w.seenDC[n]]++
				}
			} else if r.Shared != nil {
				r.Shared[o.Spec.Name] = w.sharedWith(r.Spec.Salt, nodes)
			}
		}
	}
}

func (w *world) domains(salt string, positions []segments.Point) []string {
	at := map[segments.Point]string{}
	for _, i := range w.seen {
		at[w.points(salt)[i]] = w.seenDC[i]
	}
	out := make([]string, len(positions))
	for k, p := range positions {
		out[k] = at[p]
	}
	return out
}

// unbaked lists the nodes on which the change of a rollout is not past its bake.
func (w *world) unbaked(r *gate.Rollout, now time.Time) (out []int) {
	i := r.State.Current()
	bake, unshown := r.Spec.Schedule.Stages[i].Bake, r.State.Unshown()
	doubt, f := gate.Unresolved(&r.Verdict) != "", w.factsOf(r.Spec.Name)
	e := &entry{spec: r.Spec, state: r.State}
	e.state.Caps = r.Caps // as people wish them now
	for _, n := range w.seen {
		if at, stage := w.state(e, n); unshown.Has(at, stage) && (doubt || now.Sub(at) < time.Duration(bake.Time) || f.runs[n] < bake.Runs) {
			out = append(out, n)
		}
	}
	return out
}

func (w *world) sharedWith(salt string, nodes []int) (s gate.Shared) {
	u := w.u(salt)
	nodes = slices.SortedFunc(slices.Values(nodes), func(a, b int) int {
		if u[a] < u[b] {
			return -1
		}
		return 1
	})
	for _, n := range nodes {
		s.Positions, s.Names = append(s.Positions, w.points(salt)[n]), append(s.Names, w.nodes[n].name)
	}
	return s
}

// young are the nodes that have a rollout's change and have not shown it for as long as it is to bake, by the oracle's own reading: those
// that came since the last stage that was left on a verdict. Where all but one in twenty have, and the stage has baked, it is past that.
func (w *world) young(e *entry, said *said, now time.Time) (m mask) {
	if !e.state.Phase.Active() {
		return 0
	}
	f, i := w.factsOf(e.spec.Name), e.state.Current()
	bake := e.spec.Schedule.Stages[i].Bake
	all, ran := w.admitted(e)&w.listed, 0
	for k := i; k >= 0; k-- {
		if k < i && !said.left[e.spec.Name+"/"+e.state.Stages[k].Name] {
			break
		}
		for n := range w.nodes {
			if !has(all, n) || has(m, n) {
				continue
			}
			_, by := w.reachedAt(e, n)
			at := w.cameAt(e, n)
			if (by >= k || !at.Before(e.state.Stages[k].Since)) && (f.runs[n] < bake.Runs || now.Sub(at) < time.Duration(bake.Time)) {
				m |= 1 << n
			}
		}
	}
	for n := range w.nodes {
		if has(all, n) && f.runs[n] >= bake.Runs {
			ran++
		}
	}
	full := e.state.Stages[i].Full
	if baked := !full.IsZero() && !now.Before(full.Add(time.Duration(bake.Time))); baked && float64(ran) >= .95*float64(bits.OnesCount32(all)) {
		return 0
	}
	return m
}

// cameAt is when a node was given the change: when a threshold passed it, or when the last cap let it come back.
func (w *world) cameAt(e *entry, i int) time.Time {
	at, _ := w.reachedAt(e, i)
	for k := range e.state.Caps {
		c := &e.state.Caps[k]
		if !has(w.ofCap(e, c), i) {
			continue
		}
		for _, s := range c.Steps {
			if has(w.below(e.spec.Salt, s.Limit), i) {
				if s.At.After(at) {
					at = s.At
				}
				break
			}
		}
	}
	return at
}

// checkBlast: whoever is given a change has no other that is young, and with them no more nodes than the site allows have one, of the fleet
// and of each domain.
func (w *world) checkBlast(next *kv, fresh map[string]mask, now time.Time) {
	any, total, by, gained := mask(0), 0, map[string]int{}, map[string]bool{}
	for _, m := range fresh {
		any |= m
	}
	if any == 0 {
		return
	}
	for _, i := range w.seen {
		gained[w.seenDC[i]] = gained[w.seenDC[i]] || has(any, i) // a limit that was lowered takes nothing back
	}
	for i := range next.rollouts {
		e := &next.rollouts[i]
		m := w.young(e, &next.said, now)
		total += bits.OnesCount32(m)
		for n := range w.nodes {
			if has(m, n) {
				by[w.seenDC[n]]++
			}
		}
		for name, gets := range fresh {
			if who := gets & m; name != e.spec.Name && who != 0 {
				w.fail("one unproven change a node", "%v are given %s, and %s is not past its bake on them", w.names(who), name, e.spec.Name)
			}
		}
	}
	rule, sizes := w.blast(), map[string]int{}
	for _, n := range w.seen {
		sizes[w.seenDC[n]]++
	}
	if most := rule.Limit; most != nil {
		if w.did["bounded"]++; total > most.Of(len(w.seen)) {
			w.fail("unproven change is bounded", "%d nodes have an unproven change, %d of %d may", total, most.Of(len(w.seen)), len(w.seen))
		}
	}
	if most := rule.DomainLimit; most != nil {
		for d, n := range by {
			if w.did["bounded by domain"]++; gained[d] && n > most.Of(sizes[d]) {
				w.fail("unproven change is bounded", "%d nodes of %s have an unproven change, %d of %d may: %v", n, d, most.Of(sizes[d]), sizes[d], fmt.Sprint(fresh))
			}
		}
	}
}
