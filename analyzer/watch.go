package analyzer

import (
	"reflect"
	"slices"
	"strings"
	"time"
)

// Watch judges one stage again and again, and of nodes to which nothing happened it looks only at those that changed in between.
// Its verdicts are Look's. Whoever has one must Touch every node whose entry in the evidence, summary or measures changed.
//
// It keeps the evidence's list of nodes in mind, which must be the same slice each time: another one makes it begin anew. The zero
// value is ready. It is not safe for use from several goroutines at once.
type Watch struct {
	policy Policy
	frame  Evidence // what all counts rest on, without lists
	nodes  []Node
	plain  []ordinary // beside nodes
	sum    counted

	strata  []string
	stratum map[string]uint16
	joins   []admission
	join    map[admission]uint16

	touched []int32
	dirty   []bool // beside nodes: it is in touched
	runs    []int32
	kept    []bool // beside nodes: it has runs in this evidence
}

// Touch says that a node of the evidence changed, by its place.
func (w *Watch) Touch(i int) {
	if i < len(w.dirty) && !w.dirty[i] {
		w.dirty[i] = true
		w.touched = append(w.touched, int32(i))
	}
}

// Look is Look(p, e).
func (w *Watch) Look(p Policy, e Evidence) Verdict {
	nodes := e.Nodes
	e.Nodes = nil
	e = e.normalized()
	e.Nodes = nodes
	if !w.follows(p, &e) && !w.begin(p, e) {
		w.nodes = nil
		return Look(p, e)
	}
	w.frame.Now, w.frame.Sources.Through = e.Now, e.Sources.Through
	c := &cohorts{policy: p, evidence: e, tally: newTally(len(p.SLIs) > 0), room: make([]observed, 0, len(e.Runs))}
	if !w.update(c) {
		w.nodes = nil
		return Look(p, e)
	}
	w.gather(c)
	return c.verdict()
}

// follows says whether the evidence is of the same stage and nodes as at the last look.
func (w *Watch) follows(p Policy, e *Evidence) bool {
	return w.nodes != nil && len(w.nodes) == len(e.Nodes) && &w.nodes[0] == &e.Nodes[0] && reflect.DeepEqual(w.frame, frameOf(e, w.frame.Now, w.frame.Sources.Through)) && reflect.DeepEqual(w.policy, p)
}

func frameOf(e *Evidence, now, through time.Time) Evidence {
	return Evidence{Kind: e.Kind, Candidate: e.Candidate, Baseline: e.Baseline, StageIndex: e.StageIndex, StageStarted: e.StageStarted,
		Sources: Sources{Lag: e.Sources.Lag, Through: through}, Now: now}
}

// begin forgets everything. It fails on evidence that Look must see: what cannot be judged, or is not in order.
func (w *Watch) begin(p Policy, e Evidence) bool {
	if len(e.Nodes) == 0 || len(e.problems()) > 0 || p.Validate() != nil || &normalNodes(e.Nodes)[0] != &e.Nodes[0] {
		return false
	}
	*w = Watch{policy: p, frame: frameOf(&e, e.Now, e.Sources.Through), nodes: e.Nodes, plain: make([]ordinary, len(e.Nodes)), stratum: map[string]uint16{}, join: map[admission]uint16{},
		dirty: make([]bool, len(e.Nodes)), kept: make([]bool, len(e.Nodes))}
	for i := range e.Nodes {
		w.Touch(i)
	}
	return true
}

// update brings the sum up to date with what changed, and with the time. It fails where Look must say why.
func (w *Watch) update(c *cohorts) bool {
	e := &c.evidence
	if len(e.generalProblems()) > 0 {
		return false
	}
	w.place(e.Runs)
	for _, i := range w.touched {
		n := &e.Nodes[i]
		w.dirty[i] = false
		w.drop(i)
		if n.Admitted() != (n.Stage >= 0) || int(n.Stage) > e.StageIndex {
			return false
		}
		if !w.kept[i] && !w.count(c, i) {
			return false
		}
	}
	w.touched = w.touched[:0]
	return true
}

// place finds the nodes that have runs in the evidence: they are looked at as a whole.
func (w *Watch) place(runs []Run) {
	for _, i := range w.runs {
		w.kept[i] = false
	}
	w.runs = w.runs[:0]
	from := 0
	for k := range runs {
		if k > 0 && runs[k].Certname == runs[k-1].Certname {
			continue
		}
		i, found := slices.BinarySearchFunc(w.nodes[from:], runs[k].Certname, func(n Node, name string) int { return strings.Compare(n.Certname, name) })
		if from += i; found {
			w.kept[from] = true
			w.runs = append(w.runs, int32(from))
			w.drop(int32(from))
		}
	}
}

// drop takes a node out of the sum.
func (w *Watch) drop(i int32) {
	if o := &w.plain[i]; *o != (ordinary{}) {
		w.sum.add(o, -1)
		*o = ordinary{}
	}
}

// count takes an ordinary node into it. It fails where there are more strata or admissions than can be numbered.
func (w *Watch) count(c *cohorts, i int32) bool {
	n := &w.nodes[i]
	o, ok := c.ordinary(n)
	if !ok {
		return true
	}
	var known bool
	if o.stratum, known = number(w.stratum, n.Stratum); !known {
		w.strata = append(w.strata, n.Stratum)
	}
	if n.Admitted() {
		if o.joined, known = number(w.join, n.admission()); !known {
			w.joins = append(w.joins, n.admission())
		}
	}
	if len(w.strata) >= 1<<16 || len(w.joins) >= 1<<16 {
		return false
	}
	w.plain[i] = o
	w.sum.add(&o, 1)
	return true
}

func number[K comparable](numbers map[K]uint16, key K) (n uint16, known bool) {
	if n, known = numbers[key]; !known {
		n = uint16(len(numbers))
		numbers[key] = n
	}
	return n, known
}

// gather makes the cohorts: the sum, and all nodes that are not ordinary, each as a whole.
func (w *Watch) gather(c *cohorts) {
	now := quarters(latest(c.evidence.Now, c.evidence.Sources.Through), true)
	for i := range w.plain {
		if o := &w.plain[i]; o.due != 0 && o.due <= now {
			w.drop(int32(i)) // it should have run by now
		}
	}
	w.sum.into(c, w.strata, w.joins)
	t := &c.tally
	rest := c.evidence.Runs
	var scratch history
	for i := range w.plain {
		o := &w.plain[i]
		if o.due != 0 {
			if o.is&(isAdmitted|isExposed) == isAdmitted || o.has(isBehind) || t.compares {
				t.named(o, &w.nodes[i])
			}
			continue
		}
		n := &w.nodes[i]
		of := 0
		if w.kept[i] {
			for rest[0].Certname < n.Certname {
				c.others = append(c.others, observed{rest[0], c.evidence.classify(rest[0])})
				rest = rest[1:]
			}
			for of < len(rest) && rest[of].Certname == n.Certname {
				of++
			}
		}
		c.join(n, rest[:of], &scratch)
		rest = rest[of:]
	}
	for _, r := range rest {
		c.others = append(c.others, observed{r, c.evidence.classify(r)})
	}
}

// named lists an ordinary node where tally.add would.
func (t *tally) named(o *ordinary, n *Node) {
	certname := n.Certname
	switch {
	case !o.has(isAdmitted):
		if t.compares && !o.has(isOutside) {
			t.comparable = append(t.comparable, compared{certname, n.Stratum, false, true})
		}
		return
	case !o.has(isExposed):
		t.counts.Unexposed = capped(t.counts.Unexposed, certname)
		t.whole.unexposed = capped(t.whole.unexposed, certname)
		if o.has(isOwn) {
			t.stage.unexposed = capped(t.stage.unexposed, certname)
		}
		return
	case o.has(isBehind):
		t.behindNames = capped(t.behindNames, certname)
	}
	if t.compares {
		t.comparable = append(t.comparable, compared{certname, n.Stratum, true, o.has(isOwn) && !o.has(isOutside)})
	}
}
