package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/internal/intake"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// measured is a node whose reports are read with their metrics.
type measured struct {
	measures *analyzer.Measures
	sum      analyzer.Measured // what the judge sees
	due      time.Time         // reports produced from then on are still to be read; zero: none
}

// draw picks the nodes that are measured in a stage that begins: those that it would admit first, and those that would stay
// controls for longest. The hash order knows nothing of how nodes are, and any leader draws the same ones.
func (c *course) draw(l *ledger, past time.Duration) {
	var in []uint32
	for _, i := range c.roster.order {
		if n := &c.nodes[i]; !n.Outside && (n.Stage < 0 || int(n.Stage) == c.stage) {
			in = append(in, c.ids[i])
		}
	}
	if len(in) > 2*l.measured {
		in = slices.Concat(in[:l.measured], in[len(in)-l.measured:])
	}
	old := c.measured
	c.measured = make(map[uint32]*measured, len(in))
	for _, id := range in {
		m := &measured{measures: analyzer.NewMeasures(c.started, past), due: c.started.Add(-past)}
		if was := old[id]; was != nil {
			m.measures, m.due = was.measures.Again(c.started, past), was.due
		}
		c.measured[id] = m
	}
	c.showMeasured()
}

// showMeasured lets the nodes have what was measured of them.
func (c *course) showMeasured() {
	for i := range c.nodes {
		c.nodes[i].Measured = nil
		c.measure(int32(i))
	}
}

// measure sums up anew what was measured of a node. One of which a run came without metrics is not measured.
func (c *course) measure(i int32) {
	m := c.measured[c.ids[i]]
	if m == nil {
		return
	}
	m.sum = m.measures.Measured(c.reference(i), c.nodes[i].Admitted(), c.candidate, c.parameters)
	if c.nodes[i].Measured = &m.sum; m.measures.Gaps() {
		c.nodes[i].Measured = nil
	}
	c.touch(i)
}

// toMeasure are nodes of one rollout whose reports are to be read from a time on.
type toMeasure struct {
	rollout, salt string
	certnames     []string
	from          time.Time
}

// metered is one report with what its metrics say.
type metered struct {
	run        analyzer.Run
	retrieval  float64 // seconds until the catalog came, 0 where it does not say
	corrective bool
	known      bool // the metrics say whether anything was put back
}

// measureAtOnce bounds how many nodes are asked about from the oldest time of any of them.
const measureAtOnce = 100

// unmeasured lists what is to be read.
func (l *ledger) unmeasured() (out []toMeasure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, c := range l.courses {
		var due []uint32
		for id, m := range c.measured {
			if !m.due.IsZero() && c.place(id) >= 0 {
				due = append(due, id)
			}
		}
		slices.SortFunc(due, func(a, b uint32) int { return c.measured[a].due.Compare(c.measured[b].due) })
		for chunk := range slices.Chunk(due, measureAtOnce) {
			t := toMeasure{rollout: name, salt: c.salt, from: c.measured[chunk[0]].due}
			for _, id := range chunk {
				t.certnames = append(t.certnames, l.names.list[id])
			}
			out = append(out, t)
		}
	}
	return out
}

// tookMeasure takes over what PuppetDB said. Nodes without an answer have not run, or not for PuppetDB yet: the next report asks again.
func (l *ledger) tookMeasure(of toMeasure, reports []metered) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.courses[of.rollout]
	if c == nil || c.salt != of.salt { // another one of that name began meanwhile
		return
	}
	for k := range reports {
		r := &reports[k]
		if id, ok := l.names.find(r.run.Certname); ok && c.measured[id] != nil {
			c.measured[id].measures.Note(&r.run, l.env(r.run.Environment), r.retrieval, r.corrective, r.known)
		}
	}
	for _, certname := range of.certnames {
		if id, ok := l.names.find(certname); ok && c.measured[id] != nil && c.place(id) >= 0 {
			c.measured[id].due = time.Time{}
			c.measure(c.place(id))
		}
	}
}

// measure reads the metrics of the nodes that were drawn, of the runs that they had since the last time. A new leader may have days of
// them to read: after as long as there is between two polls it lets the feed go first, and nothing passes until it has them all.
func (c *collector) measure(ctx context.Context) error {
	until := c.now().Add(time.Duration(c.cfg.PuppetDB.PollInterval))
	all := c.ledger.unmeasured()
	for k, t := range all {
		if c.now().After(until) {
			return fmt.Errorf("metrics of %d nodes have yet to be read", nodesOf(all[k:]))
		}
		var reports []metered
		err := c.metrics(ctx, t.certnames, t.from, c.now().Add(time.Hour), func(r puppetdb.Report, metrics []puppetdb.Metric) error {
			m := metered{run: intake.Run(r)}
			m.retrieval, m.corrective, m.known = intake.Metered(metrics)
			reports = append(reports, m)
			return nil
		})
		if err != nil {
			return fmt.Errorf("metrics of %d nodes of %s: %w", len(t.certnames), t.rollout, err)
		}
		c.ledger.tookMeasure(t, reports)
	}
	return nil
}

func nodesOf(all []toMeasure) (n int) {
	for _, t := range all {
		n += len(t.certnames)
	}
	return n
}
