package why

import (
	"cmp"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// Cap is what a person's hold, pin or veto does to the node in one rollout.
type Cap struct {
	Source   string    `json:"source"` // kind/name
	Holds    Answer    `json:"holds"`  // it concerns the node
	Effect   string    `json:"effect"`
	By       string    `json:"by,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Selector string    `json:"selector,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Until    time.Time `json:"until,omitzero"` // zero = no end
	Lifted   bool      `json:"lifted,omitempty"`
	Why      string    `json:"why,omitempty"` // it is not known whether it concerns the node
}

// caps lists what concerns the node, and what may.
func (q *question) caps(r *tree.Rollout, position string) []Cap {
	var out []Cap
	seen := map[string]bool{}
	for i := range r.State.Caps {
		c := &r.State.Caps[i]
		seen[c.Source()] = seen[c.Source()] || c.Standing()
		if c.Over() || c.Limit().Admits(position) || c.Set == "" && c.Position != position {
			continue
		}
		holds, why := Yes, ""
		if c.Set != "" {
			holds, why = q.in(c.Set, c.Count)
		}
		if holds == No {
			continue
		}
		out = append(out, q.said(Cap{Source: c.Source(), Holds: holds, Effect: effect(c.Kind()), Since: c.Since, Lifted: !c.Standing(), Why: why}))
	}
	for _, c := range q.wishes(r.Spec.Name, r.Spec.Candidate) {
		if !seen[c.Source] && c.Holds != No {
			out = append(out, c)
		}
	}
	return out
}

func effect(kind string) string {
	switch kind {
	case gate.CapHold:
		return "no further than now"
	case gate.CapAhead:
		return "candidate, before its turn"
	}
	return "baseline"
}

// wishes are what people have said and the rollout's state does not know of: new, or about the whole of it.
func (q *question) wishes(rollout, candidate string) []Cap {
	var out []Cap
	for _, h := range q.snap.Holds {
		if !h.Until.IsZero() && !q.Now.Before(h.Until) && h.Err == "" {
			continue
		}
		holds, why := Yes, h.Err // one that cannot be read holds everything
		if h.Err == "" {
			holds, why = q.selected(h.Selector)
		}
		out = append(out, q.said(Cap{Source: gate.CapHold + "/" + h.ID, Holds: holds, Effect: effect(gate.CapHold), Why: why}))
	}
	for _, v := range q.snap.Vetoes {
		c := Cap{Source: gate.CapCutOut + "/" + v.ID, Holds: Yes, Effect: effect(gate.CapCutOut), Why: v.Err}
		switch {
		case v.Err != "":
		case v.Rollout == rollout:
			c.Holds, c.Why = q.selected(v.Selector)
		case v.Environment == "" || v.Environment != candidate:
			continue
		}
		out = append(out, q.said(c))
	}
	for i := range q.snap.Pins {
		p := &q.snap.Pins[i]
		if p.Certname != q.Certname || p.Err == "" && (!p.Concerns(rollout) || !p.Until.IsZero() && !q.Now.Before(p.Until)) {
			continue
		}
		kind, _, _ := strings.Cut(p.Source(), "/")
		out = append(out, q.said(Cap{Source: p.Source(), Holds: Yes, Effect: effect(kind), Why: p.Err}))
	}
	return out
}

// said adds who said it, why, and until when.
func (q *question) said(c Cap) Cap {
	kind, id, _ := strings.Cut(c.Source, "/")
	switch kind {
	case gate.CapHold:
		for _, h := range q.snap.Holds {
			if h.ID == id {
				c.By, c.Reason, c.Selector, c.Until = h.By, h.Comment, h.Selector, h.Until
			}
		}
	case gate.CapCutOut:
		for _, v := range q.snap.Vetoes {
			if v.ID == id {
				c.By, c.Reason, c.Selector = v.By, v.Comment, cmp.Or(v.Selector, v.Environment)
			}
		}
	default:
		for _, p := range q.snap.Pins {
			if p.Certname == id {
				c.By, c.Reason, c.Until = p.By, p.Comment, p.Until
			}
		}
	}
	return c
}

// keeping is what keeps the node from the change, nil for nothing that is known to.
func keeping(caps []Cap, reason segments.Reason) *Cap {
	if reason == segments.ReasonBackedOut {
		return nil
	}
	for i := range caps {
		if c := &caps[i]; c.Holds == Yes && !c.Lifted && c.Effect != effect(gate.CapAhead) {
			return c
		}
	}
	return nil
}
