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
	// strata counts the admitted nodes of each.
	strata map[string]int
	// silentIn counts the silent ones among them.
	silentIn map[string]int
	// controlSilent counts controls at risk that are overdue.
	controlSilent int
	// answers are what a certified pass rests on; quiet are the admitted nodes at risk that are silent.
	answers [eventChecks]answer
	quiet   int
	// intakes are the admissions of all stages, by time, and controls those that were never admitted, of the nodes that are compared.
	intakes  []intake
	controls int
	// comparable are the live exposed canaries and the controls at risk of the segment, by certname, if values are compared.
	compares   bool
	comparable []compared
}

// compared is a node whose values are compared.
type compared struct {
	certname, stratum string
	canary            bool
	own               bool // of this stage's cohorts, between which chance decided
}

const mostRuns = 31

// runs is how many runs of the candidate the exposed nodes have, and those of this stage too: all of them, or of many nodes
// the share that coverage asks for, because in a large fleet some node is always behind.
func (t *tally) runs(coverage float64) int {
	if t.stage.exposed == 0 {
		return t.whole.runs(coverage)
	}
	return min(t.whole.runs(coverage), t.stage.runs(coverage))
}

func (s *scope) runs(coverage float64) int {
	need := s.exposed
	if need == 0 {
		return 0
	}
	if need >= manyExposed {
		need = needed(coverage, need)
	}
	r, at := mostRuns, s.withRuns[mostRuns]
	for at < need {
		r--
		at += s.withRuns[r]
	}
	return r
}

func newTally(compares bool) tally {
	return tally{strata: map[string]int{}, silentIn: map[string]int{}, compares: compares, whole: scope{name: "admitted nodes"}, stage: scope{name: "nodes that this stage admitted"}}
}

// add counts a node; nodes come by certname.
func (t *tally) add(h *history, stage, runs int) {
	s, n := &h.state, &t.counts
	if !s.Admitted {
		t.control(h)
		return
	}
	n.Admitted++
	t.strata[h.Stratum]++
	t.first = earliest(t.first, h.AdmittedAt.Time())
	t.whole.add(h)
	if int(h.Stage) == stage {
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
		t.silentIn[h.Stratum]++
		n.SilentNodes = capped(n.SilentNodes, h.Certname)
	}
	if !s.Exposed {
		n.Unexposed = capped(n.Unexposed, h.Certname)
		return
	}
	n.Exposed++
	if s.Runs < runs {
		t.behind++
		t.behindNames = capped(t.behindNames, h.Certname)
	}
	if t.compares {
		t.comparable = append(t.comparable, compared{h.Certname, h.Stratum, true, int(h.Stage) == stage && !h.Outside})
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
	if t.compares && !h.Outside {
		t.comparable = append(t.comparable, compared{h.Certname, h.Stratum, false, true})
	}
}
