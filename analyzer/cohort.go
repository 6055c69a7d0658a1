package analyzer

import "time"

// observed is a run with what it says.
type observed struct {
	Run
	Classification
}

// history is one node of the evidence with its runs, oldest first.
type history struct {
	Node
	// before began before the admission on every clock; all runs of a control are here.
	before []observed
	// after is the rest: what counts as an event if it failed.
	after []observed
	state NodeState
}

// cohorts is the evidence sorted by node: the frame in which all checks work.
type cohorts struct {
	policy   Policy
	evidence Evidence
	canaries []*history
	controls []*history
	// others are runs of certnames that the evidence does not list as nodes.
	others []observed
}

// newCohorts expects normalised evidence: nodes by certname, runs by certname and time.
func newCohorts(p Policy, e Evidence) *cohorts {
	c := &cohorts{policy: p, evidence: e}
	rest := e.Runs
	for _, n := range e.Nodes {
		h := &history{Node: n}
		for len(rest) > 0 && rest[0].Certname < n.Certname {
			c.others = append(c.others, observed{rest[0], e.classify(rest[0])})
			rest = rest[1:]
		}
		for len(rest) > 0 && rest[0].Certname == n.Certname {
			h.add(observed{rest[0], e.classify(rest[0])})
			rest = rest[1:]
		}
		h.state = c.stateOf(h)
		if n.Admitted() {
			c.canaries = append(c.canaries, h)
		} else {
			c.controls = append(c.controls, h)
		}
	}
	for _, r := range rest {
		c.others = append(c.others, observed{r, e.classify(r)})
	}
	return c
}

func (h *history) add(o observed) {
	if h.Admitted() && o.maybeSince(h.AdmittedAt) {
		h.after = append(h.after, o)
		return
	}
	h.before = append(h.before, o)
}

// firstAdmission is when the first canary got the change: controls are compared from there on.
func (c *cohorts) firstAdmission() (t time.Time) {
	for _, h := range c.canaries {
		t = earliest(t, h.AdmittedAt)
	}
	return t
}

// maxNames caps the lists of names in a verdict; counts are never capped.
const maxNames = 20

func (c *cohorts) counts() Counts {
	n := Counts{Admitted: len(c.canaries)}
	covered := false
	for _, h := range c.canaries {
		s := h.state
		n.countOutcomes(h.after)
		if s.Excluded {
			n.Excluded++
			n.ExcludedNodes = capped(n.ExcludedNodes, h.Certname)
			continue
		}
		n.Live++
		if s.Silent {
			n.Silent++
			n.SilentNodes = capped(n.SilentNodes, h.Certname)
		}
		if !s.Exposed {
			n.Unexposed = capped(n.Unexposed, h.Certname)
			continue
		}
		n.Exposed++
		if !covered || s.Runs < n.Runs {
			n.Runs, covered = s.Runs, true
		}
	}
	since := c.firstAdmission()
	for _, h := range c.controls {
		if h.state.Excluded {
			n.ControlExcluded++
			continue
		}
		n.Control++
		if failedSince(h.before, since) {
			n.ControlFailed++
		}
	}
	return n
}

// countOutcomes counts one node under each kind of failure that it had.
func (n *Counts) countOutcomes(runs []observed) {
	n.Failed += oneIf(hasOutcome(runs, Failed))
	n.CompileFailed += oneIf(hasOutcome(runs, CompileFailed))
	n.Hidden += oneIf(hasOutcome(runs, HiddenCompileFailure))
}

func hasOutcome(runs []observed, want Outcome) bool {
	for _, o := range runs {
		if o.Outcome == want {
			return true
		}
	}
	return false
}

func failedSince(runs []observed, since time.Time) bool {
	for _, o := range runs {
		if o.Outcome.Failure() && !o.at().Before(since) {
			return true
		}
	}
	return false
}

func oneIf(b bool) int {
	if b {
		return 1
	}
	return 0
}

func capped(names []string, name string) []string {
	if len(names) >= maxNames {
		return names
	}
	return append(names, name)
}
