package daemon

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// takeRequests reads what people asked for.
func (c *change) takeRequests() {
	taken := 0
	for _, id := range enc.SortedKeys(c.snap.Requests) {
		r := c.snap.Requests[id]
		if r.Refused != "" || taken == mostNoted {
			continue
		}
		taken++
		if why := c.take(id, r); why != "" {
			r.Refused = why
			if r.Start != nil {
				r.Start.Parameters = nil // a refused request may have been too large to be kept
			}
			data, err := json.Marshal(r)
			if err != nil {
				continue
			}
			c.requests = append(c.requests, store.CAS(tree.RequestKey(id), data, c.snap.Versions[tree.RequestKey(id)]))
			c.audit(gate.Event{Kind: "refused", Rollout: r.Rollout, Text: why, By: r.By, Index: -1}, "", "")
		}
	}
}

// take carries a request out, or says why not.
func (c *change) take(id string, r tree.Request) string {
	done := func() {
		c.requests = append(c.requests, store.DeleteCAS(tree.RequestKey(id), c.snap.Versions[tree.RequestKey(id)]))
	}
	switch r.Kind {
	case tree.RequestStart:
		return c.start(r, done)
	case tree.RequestUnveto:
		if r.Veto != "" {
			return c.lift(r, done)
		}
		target := c.snap.Rollout(r.Rollout)
		if target == nil || target.State.Phase != gate.BackedOut {
			return "there is no backed-out rollout " + r.Rollout
		}
		target.State.Unvetoed = true
		c.unvetoed[r.Rollout] = true
		c.audit(gate.Event{Kind: "unvetoed", Rollout: r.Rollout, Text: r.Reason, By: r.By, Index: -1}, "", "")
		done()
	case tree.RequestPromote, tree.RequestSkip:
		return c.order(r, done)
	case tree.RequestConfirmRestore:
		if c.halt == "" {
			return "the store is not behind any edge"
		}
		c.halt, c.repair = "", true
		c.audit(gate.Event{Kind: "restore_confirmed", Text: r.Reason, By: r.By, Index: -1}, "", "")
		done()
	default:
		return fmt.Sprintf("unknown kind %q", r.Kind)
	}
	return ""
}

// order hands a person's order to the decision. The request stays until the rollout's state says so.
func (c *change) order(r tree.Request, done func()) string {
	target := c.snap.Rollout(r.Rollout)
	if target == nil {
		return "there is no rollout " + r.Rollout
	}
	o := gate.Order{Skip: r.Stage, By: r.By, Reason: r.Reason}
	if r.Kind == tree.RequestPromote {
		o = gate.Order{Promote: &gate.Promotion{Stage: r.Stage, By: r.By, Reason: r.Reason, At: r.At}, By: r.By, Reason: r.Reason}
	}
	if why := target.State.Refuse(o, &target.Spec.Schedule); why != "" {
		return why
	}
	if _, another := c.orders[r.Rollout]; another {
		return "" // one at a look
	}
	c.orders[r.Rollout] = []gate.Order{o}
	c.lifts[r.Rollout+"/order"] = done
	return ""
}

// lift takes a cut-out back. The request stays until the rollout's state says so.
func (c *change) lift(r tree.Request, done func()) string {
	target, source := c.snap.Rollout(r.Rollout), gate.CapCutOut+"/"+r.Veto
	switch {
	case target == nil || target.State.Phase.Ended():
		return "there is no rollout " + r.Rollout + " under way"
	case slices.ContainsFunc(c.snap.Vetoes, func(v gate.Veto) bool { return v.ID == r.Veto }):
		return tree.VetoKey(r.Veto) + " still cuts the nodes out: delete it first (sluice unveto does)"
	case !slices.ContainsFunc(target.State.Caps, func(k gate.Cap) bool { return k.Standing() && k.Source() == source }):
		return fmt.Sprintf("no nodes are cut out of %s by %s", r.Rollout, r.Veto)
	case c.halt != "":
		return "" // no cap begins or ends now: it is for a later look
	}
	c.lifts[r.Rollout+"/"+source] = func() {
		c.audit(gate.Event{Kind: "unvetoed", Rollout: r.Rollout, Text: source + ": " + r.Reason, By: r.By, Index: -1}, "", "")
		done()
	}
	return ""
}

func (c *change) start(r tree.Request, done func()) string {
	if c.snap.Rollout(r.Rollout) != nil {
		return "a rollout of that name exists; names are never used twice"
	}
	if g, gone := c.snap.Gone[r.Rollout]; gone {
		return "there was a rollout of that name, and names are never used twice: " + g.String()
	}
	if c.halt != "" {
		return c.halt
	}
	if r.Start == nil {
		return "the request says nothing to start"
	}
	track := c.snap.Track(r.Start.Track)
	if track == nil {
		return fmt.Sprintf("track %q is not in the store (sluice init makes tracks)", r.Start.Track)
	}
	if why := c.irreversible(r.Start); why != "" {
		return why
	}
	for _, v := range c.snap.Vetoes {
		if v.Environment != "" && v.Environment == r.Start.Environment {
			return fmt.Sprintf("%s is vetoed by %s (%s): sluice unveto %s", v.Environment, v.By, v.Comment, v.Environment)
		}
	}
	for _, o := range c.snap.Rollouts {
		same := o.Spec.Track == track.Name && o.Spec.Candidate == r.Start.Environment && reflect.DeepEqual(o.Spec.Parameters, r.Start.Parameters)
		if same && o.State.Phase == gate.BackedOut && !o.State.Unvetoed {
			return fmt.Sprintf("%s was backed out by rollout %s (%s) and is vetoed: sluice unveto %s", named(r.Start), o.Spec.Name, o.State.Reason, o.Spec.Name)
		}
		if same && !o.State.Phase.Ended() {
			return fmt.Sprintf("rollout %s is under way with the same change", o.Spec.Name)
		}
	}
	spec, err := freeze(c.leader.site.cfg, r.Rollout, r, track.Baseline, c.now)
	if err != nil {
		return err.Error()
	}
	if why := c.tooLarge(spec); why != "" {
		return why
	}
	c.specs = append(c.specs, spec)
	c.snap.Rollouts = append(c.snap.Rollouts, tree.Rollout{Spec: spec})
	c.audit(gate.Event{Kind: "queued", Rollout: spec.Name, Track: spec.Track, Text: spec.Reason, By: spec.By, Index: -1}, "", "")
	done()
	return ""
}

// irreversible says why a rollout in reverse does not undo any more what it was asked to: something else has come meanwhile.
func (c *change) irreversible(s *tree.Start) string {
	if s.Reverts == "" {
		return ""
	}
	target := c.snap.Rollout(s.Reverts)
	if target == nil {
		return "there is no rollout " + s.Reverts
	}
	asked := gate.Spec{Reverts: s.Reverts, Candidate: s.Environment, Parameters: s.Parameters}
	return asked.Outdated(c.snap.Reverse(target))
}

// named is a change in words.
func named(s *tree.Start) string {
	if s.Environment != "" {
		return s.Environment
	}
	return "parameters " + strings.Join(enc.SortedKeys(s.Parameters), ", ")
}

// Sizes that a start request may have, so that no key outgrows the store: its parameters go to every edge.
const (
	mostSpec       = 48_000
	mostParameters = 4_000
	mostManifest   = 80_000
)

// tooLarge refuses a rollout that would not fit into the store, or would leave no room in the document for others.
func (c *change) tooLarge(spec gate.Spec) string {
	whole, err := json.Marshal(spec)
	if err != nil {
		return err.Error()
	}
	params, err := json.Marshal(spec.Parameters)
	if err != nil {
		return err.Error()
	}
	doc, err := json.Marshal(c.snap.Document)
	if err != nil {
		return err.Error()
	}
	switch {
	case len(params) > mostParameters:
		return fmt.Sprintf("its parameters have %d bytes, at most %d can go to every edge", len(params), mostParameters)
	case len(whole) > mostSpec:
		return fmt.Sprintf("with its schedule, segments and policy it has %d bytes, at most %d fit into the store: keep lists of certnames in PQL or selectors", len(whole), mostSpec)
	case len(doc)+len(params) > mostManifest:
		return fmt.Sprintf("the document has %d bytes already, at most %d fit: let other rollouts end first", len(doc), mostManifest)
	}
	return ""
}
