package analyzer

import (
	"slices"
)

// ordinary is all that a node adds to the counts to which nothing happened: alive, at risk, none of its runs kept, no event.
// Most nodes are. The zero value is none of them.
type ordinary struct {
	due     uint32 // quarters: at that time it has to be looked at again
	stratum uint16 // in Watch.strata
	joined  uint16 // in Watch.joins, of an admitted one
	bins    [magnitudes]int16
	runs    uint8 // mostRuns and more together
	is      uint8
}

// Flags of an ordinary node.
const (
	isAdmitted = 1 << iota
	isOwn      // admitted by this stage
	isOutside
	isExposed
	isBehind // with too few runs
	isMeasured
	hasRunTime
	hasRetrieval
)

func (o *ordinary) has(flag uint8) bool { return o.is&flag != 0 }

// ordinary says whether a node without runs in the evidence is ordinary now, and as what it counts.
func (c *cohorts) ordinary(n *Node) (o ordinary, ok bool) {
	if n.Summary == nil || n.Summary.Odd != nil || n.Unproven || n.Measured != nil && n.Measured.Corrective != (Onset{}) {
		return o, false
	}
	h := history{Node: *n}
	s := c.stateOf(&h)
	now := latest(c.evidence.Now, c.evidence.Sources.Through)
	if s.Excluded || s.leftOut || s.Silent || s.Due.IsZero() || !s.Due.After(now) {
		return o, false
	}
	if o.due = quarters(s.Due, false); !fromQuarters(o.due).After(now) {
		return ordinary{}, false
	}
	set := func(is bool, flag uint8) { o.is |= flagIf(is, flag) }
	set(s.Admitted, isAdmitted)
	set(s.Admitted && int(n.Stage) == c.evidence.StageIndex, isOwn)
	set(n.Outside, isOutside)
	set(s.Admitted && s.Exposed, isExposed)
	set(s.Admitted && s.Exposed && s.Runs < c.policy.Runs, isBehind)
	set(n.Measured != nil, isMeasured)
	o.runs = uint8(min(s.Runs, mostRuns))
	h.state = s
	bins, has := c.magnitudes(&h, n.Measured)
	for i, flag := range [magnitudes]uint8{hasRunTime, hasRetrieval} {
		o.bins[i] = int16(bins[i])
		set(has[i], flag)
	}
	return o, true
}

// counted is the sum over ordinary nodes. Each can be added (sign 1) and taken away again (sign -1).
type counted struct {
	counts       Counts
	whole, stage scope
	behind       int
	answers      [eventChecks]answer
	early        int
	joined       []int // admitted nodes by Watch.joins
	inside       []int // those of them that are compared, by Watch.joins
	answered     []int // those that count for a certified pass, by Watch.joins
	controls     int   // that are compared
	planned      []int // those of this stage that are outside its segment, by Watch.joins
	groups       []headcount
}

// headcount is what there is of one stratum.
type headcount struct {
	admitted int // of all stages, those outside too
	controls int // that are compared
	measured [2]int
	own      []int // canaries by Watch.joins
	// measuredOwn are those of them that are measured.
	measuredOwn []int
	values      [magnitudes][2]histogram
	valued      [magnitudes][2]int
}

func at(list *[]int, i uint16) *int {
	if int(i) >= len(*list) {
		*list = append(*list, make([]int, int(i)+1-len(*list))...)
	}
	return &(*list)[i]
}

// add counts a node as tally.add, tally.answered and frame.add would.
func (c *counted) add(o *ordinary, sign int) {
	for int(o.stratum) >= len(c.groups) {
		c.groups = append(c.groups, headcount{})
	}
	g := &c.groups[o.stratum]
	if !o.has(isAdmitted) {
		c.counts.Control += sign
	} else {
		g.admitted += sign
		*at(&c.joined, o.joined) += sign
		c.counts.Admitted += sign
		c.counts.Live += sign
		c.counts.Exposed += sign * oneIf(o.has(isExposed))
		c.behind += sign * oneIf(o.has(isBehind))
		c.whole.count(o, sign)
		if o.has(isOwn) {
			c.stage.count(o, sign)
		}
	}
	c.answer(o, sign)
	switch {
	case o.has(isAdmitted) && !o.has(isOwn):
		c.early += sign
		return
	case o.has(isOutside):
		if o.has(isOwn) {
			*at(&c.planned, o.joined) += sign
		}
		return
	}
	arm := oneIf(o.has(isAdmitted))
	g.measured[arm] += sign * oneIf(o.has(isMeasured))
	if arm == 0 {
		g.controls += sign
	} else {
		*at(&g.own, o.joined) += sign
		*at(&g.measuredOwn, o.joined) += sign * oneIf(o.has(isMeasured))
	}
	for i, flag := range [magnitudes]uint8{hasRunTime, hasRetrieval} {
		if o.has(flag) {
			g.values[i][arm].add(int(o.bins[i]))
			if sign < 0 {
				g.values[i][arm][int(o.bins[i])+mostBins] -= 2
			}
			g.valued[i][arm] += sign
		}
	}
}

func (c *counted) answer(o *ordinary, sign int) {
	if o.has(isOutside) {
		return
	}
	if o.has(isAdmitted) {
		*at(&c.inside, o.joined) += sign
		if !o.has(isExposed) || o.has(isBehind) {
			return
		}
		*at(&c.answered, o.joined) += sign
	} else {
		c.controls += sign
	}
	for check := range c.answers {
		a := &c.answers[check]
		switch {
		case !o.has(isAdmitted):
			a.controls += sign
		case o.has(isOwn):
			a.of += sign
			a.nodes += sign
		default:
			a.nodes += sign
		}
	}
}

func (s *scope) count(o *ordinary, sign int) {
	s.admitted += sign
	s.live += sign
	if o.has(isExposed) {
		s.exposed += sign
		s.withRuns[o.runs] += sign
	}
}

// into makes the beginnings of cohorts of the sum: what newCohorts would have, had it seen the ordinary nodes alone, but for names.
func (c *counted) into(out *cohorts, strata []string, joins []admission) {
	t, f := &out.tally, &out.frame
	t.counts = c.counts
	name := func(s *scope, from scope) { from.name = s.name; *s = from }
	name(&t.whole, c.whole)
	name(&t.stage, c.stage)
	t.behind, t.answers, f.early = c.behind, c.answers, c.early
	t.controls = c.controls
	for i, n := range c.inside {
		if n == 0 {
			continue
		}
		in := t.intake(joins[i])
		in.nodes = n
		if i < len(c.answered) {
			for check := range in.answers {
				in.answers[check] = c.answered[i]
			}
		}
	}
	for i, n := range c.joined {
		if n > 0 {
			t.first = earliest(t.first, joins[i].at.Time())
		}
	}
	for i, n := range c.planned {
		if n > 0 {
			f.started(joins[i].at.Time(), n)
		}
	}
	for i := range c.groups {
		g := &c.groups[i]
		if g.admitted > 0 {
			t.strata[strata[i]] = g.admitted
		}
		own := 0
		for _, n := range g.own {
			own += n
		}
		if g.controls+own > 0 {
			g.into(f.stratum(strata[i]), f, joins)
		}
	}
}

func (g *headcount) into(s *stratum, f *frame, joins []admission) {
	s.measured, s.allControls = g.measured, g.controls
	for check := range s.controls {
		s.controls[check] = g.controls
	}
	s.controls[correctiveEvents] = g.measured[0]
	for k, n := range g.own {
		if n == 0 {
			continue
		}
		j := s.joined(joins[k].at.milli())
		j.all += n
		for check := range j.n {
			if check != correctiveEvents {
				j.n[check] += n
			}
		}
		j.n[correctiveEvents] += g.measuredOwn[k]
		f.started(joins[k].at.Time(), n)
	}
	for i := range g.values {
		for arm := range g.values[i] {
			if g.valued[i][arm] > 0 {
				s.values[i][arm] = slices.Clone(g.values[i][arm])
			}
		}
	}
}
