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
	// canaries and controls with runs in the evidence, by certname. A node whose summary says it all is only counted.
	canaries []*history
	controls []*history
	tally    tally
	frame    frame
	// room is where the histories have their runs, so that a node costs no memory of its own.
	room []observed
	// others are runs of certnames that the evidence does not list as nodes.
	others []observed
}

// newCohorts expects normalised evidence: nodes by certname, runs by certname and time.
func newCohorts(p Policy, e Evidence) *cohorts {
	c := &cohorts{policy: p, evidence: e, tally: newTally(len(p.SLIs) > 0), room: make([]observed, 0, len(e.Runs))}
	rest := e.Runs
	var scratch history
	for i := range e.Nodes {
		n := &e.Nodes[i]
		for len(rest) > 0 && rest[0].Certname < n.Certname {
			c.others = append(c.others, observed{rest[0], e.classify(rest[0])})
			rest = rest[1:]
		}
		of := 0
		for of < len(rest) && rest[of].Certname == n.Certname {
			of++
		}
		c.join(n, rest[:of], &scratch)
		rest = rest[of:]
	}
	for _, r := range rest {
		c.others = append(c.others, observed{r, e.classify(r)})
	}
	return c
}

// join takes a node in with its runs. Nodes come by certname. scratch is used for one whose summary says it all.
func (c *cohorts) join(n *Node, runs []Run, scratch *history) {
	h := scratch
	if kept := n.Summary == nil || len(runs) > 0; kept {
		h = &history{}
		if n.Admitted() {
			c.canaries = append(c.canaries, h)
		} else {
			c.controls = append(c.controls, h)
		}
	}
	h.Node = *n
	c.take(h, runs)
	h.state = c.stateOf(h)
	c.tally.add(h, c.evidence.StageIndex, c.policy.Runs)
	c.tally.answered(c, h)
	c.frame.add(c, h)
}

// take gives a node its runs: those before its admission first, then the rest, each oldest first.
func (c *cohorts) take(h *history, runs []Run) {
	from := len(c.room)
	for i := range runs {
		if !h.since(&runs[i]) {
			c.room = append(c.room, observed{runs[i], c.evidence.classify(runs[i])})
		}
	}
	cut := len(c.room)
	if cut-from < len(runs) {
		for i := range runs {
			if h.since(&runs[i]) {
				c.room = append(c.room, observed{runs[i], c.evidence.classify(runs[i])})
			}
		}
	}
	h.before, h.after = c.room[from:cut:cut], c.room[cut:len(c.room):len(c.room)]
}

// since: the run may have begun with the change.
func (n *Node) since(r *Run) bool { return n.Admitted() && r.maybeSince(n.AdmittedAt.Time()) }

func (h *history) add(o observed) {
	if h.since(&o.Run) {
		h.after = append(h.after, o)
		return
	}
	h.before = append(h.before, o)
}

// maxNames caps the lists of names in a verdict; counts are never capped.
const maxNames = 20

func (c *cohorts) counts() Counts {
	n := c.tally.counts
	n.Runs = c.tally.runs(c.policy.Coverage)
	for _, h := range c.canaries {
		n.countOutcomes(h.after)
	}
	for _, h := range c.controls {
		n.ControlFailed += oneIf(!h.state.Excluded && failedSince(h.before, c.tally.first))
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
