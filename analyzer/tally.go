package analyzer

import "time"

// tally is all that is counted over every node, in one pass.
type tally struct {
	counts Counts
	// first is when the first canary got the change: controls are compared from there on.
	first time.Time
	// whole is all stages, stage this one alone.
	whole, stage scope
	// behind are the exposed nodes with too few runs, named up to maxNames.
	behind      int
	behindNames []string
	// controlSilent counts controls at risk that are overdue.
	controlSilent int
	// comparable are the live exposed canaries and the controls at risk, by certname, if values are compared.
	compares                          bool
	comparableCanary, comparableOther []string
}

func newTally(compares bool) tally {
	return tally{compares: compares, whole: scope{name: "admitted nodes"}, stage: scope{name: "nodes that this stage admitted"}}
}

// add counts a node; nodes come by certname.
func (t *tally) add(h *history, stage, runs int) {
	s, n := &h.state, &t.counts
	if !s.Admitted {
		t.control(h)
		return
	}
	n.Admitted++
	t.first = earliest(t.first, h.AdmittedAt)
	t.whole.add(h)
	if h.Stage == stage {
		t.stage.add(h)
	}
	if s.Excluded {
		n.Excluded++
		n.ExcludedNodes = capped(n.ExcludedNodes, h.Certname)
		return
	}
	n.Live++
	if s.Silent {
		n.Silent++
		n.SilentNodes = capped(n.SilentNodes, h.Certname)
	}
	if !s.Exposed {
		n.Unexposed = capped(n.Unexposed, h.Certname)
		return
	}
	if n.Exposed == 0 || s.Runs < n.Runs {
		n.Runs = s.Runs
	}
	n.Exposed++
	if s.Runs < runs {
		t.behind++
		t.behindNames = capped(t.behindNames, h.Certname)
	}
	if t.compares {
		t.comparableCanary = append(t.comparableCanary, h.Certname)
	}
}

func (t *tally) control(h *history) {
	// A control's silence is told whether it is at risk or not; only those at risk are ever overdue.
	t.controlSilent += oneIf(h.state.Silent)
	if h.state.Excluded {
		t.counts.ControlExcluded++
		return
	}
	t.counts.Control++
	if t.compares {
		t.comparableOther = append(t.comparableOther, h.Certname)
	}
}
