package analyzer

import "time"

// NodeState is what the evidence says of one node.
type NodeState struct {
	Admitted   bool      `json:"admitted"`
	AdmittedAt time.Time `json:"admitted_at"`
	// Stage is the index of the stage that admitted the node, -1 for a control.
	Stage int `json:"stage"`
	// Exposed: the node applied the candidate since its admission and has not left it again.
	Exposed bool `json:"exposed"`
	// Runs counts the runs of the candidate since then.
	Runs         int       `json:"runs"`
	FirstExposed time.Time `json:"first_exposed"`
	// LastRun is when the last run came in, Outcome how it ended; empty without any run.
	// For an admitted node Outcome is of the runs since its admission only.
	LastRun time.Time `json:"last_run"`
	Outcome Outcome   `json:"outcome"`
	// Due is when the node is overdue unless it reports before; zero if it never reported.
	Due time.Time `json:"due"`
	// Silent: Due has passed, and the node was alive before. SilentSince is Due then.
	Silent      bool      `json:"silent"`
	SilentSince time.Time `json:"silent_since"`
	// Excluded: not at risk, for the reason in Why; the node is in no denominator.
	Excluded bool   `json:"excluded"`
	Why      string `json:"why,omitempty"`

	usual, patience time.Duration
	// leftOut: not at risk when the stage began, see frame.
	leftOut bool
}

// Exposure returns the state of every node under the default policy.
func Exposure(e Evidence) map[string]NodeState { return DefaultPolicy().Exposure(e) }

// Exposure returns the state of every node of the evidence by certname, as Judge sees it.
func (p Policy) Exposure(e Evidence) map[string]NodeState {
	out := make(map[string]NodeState, len(e.Nodes))
	p.States(e, func(certname string, s NodeState) { out[certname] = s })
	return out
}

// States gives the state of one node after the other, by certname, as Judge sees it.
func (p Policy) States(e Evidence, yield func(certname string, s NodeState)) {
	c := cohorts{policy: p, evidence: e.normalized()}
	rest := c.evidence.Runs
	for i := range c.evidence.Nodes {
		h := history{Node: c.evidence.Nodes[i]}
		for len(rest) > 0 && rest[0].Certname <= h.Certname {
			if rest[0].Certname == h.Certname {
				h.add(observed{rest[0], c.evidence.classify(rest[0])})
			}
			rest = rest[1:]
		}
		yield(h.Certname, c.stateOf(&h))
	}
}

func (c *cohorts) stateOf(h *history) NodeState {
	s := NodeState{Admitted: h.Admitted(), AdmittedAt: h.AdmittedAt.Time(), Stage: int(h.Stage)}
	if sum := h.Summary; sum != nil {
		s.Runs, s.Exposed = int(sum.Runs), sum.Runs > 0
		c.silence(&s, h)
		return s
	}
	c.expose(&s, h)
	said := h.after
	if !h.Admitted() {
		said = h.before
	}
	if len(said) > 0 {
		s.Outcome = said[len(said)-1].Outcome
	}
	c.silence(&s, h)
	return s
}

// expose counts candidate runs. A later catalog of something else takes the node out again, however its run ended: it does
// not run the candidate now, whatever it did before. A run without a catalog of its own says nothing of that.
func (c *cohorts) expose(s *NodeState, h *history) {
	if h.Unproven {
		return
	}
	for _, o := range h.after {
		switch {
		case o.Exposed && o.surelySince(h.AdmittedAt.Time(), c.evidence.Now):
			if s.Runs == 0 {
				s.FirstExposed = o.at()
			}
			s.Runs++
		case !o.Exposed && o.fresh():
			s.Runs, s.FirstExposed = 0, time.Time{}
		}
	}
	s.Exposed = s.Runs > 0
}
