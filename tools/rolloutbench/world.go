package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
)

// world is how a fleet behaves whatever is rolled out.
type world struct {
	name string
	// base is the probability that a node fails a run; sick is the share of nodes that fail sickRate of theirs, day in, day out.
	base, sick, sickRate float64
	drift                bool // the rate follows the time of day
	racks                bool // twenty nodes fail together for an hour, one rack in a thousand per hour
	roles                bool // one role in four fails five times as often, and strata know it
	quiet                float64
	uneven               bool // splay is not even: half of the nodes run in the same five minutes
}

var worlds = []world{
	{name: "calm", base: .0001, quiet: .00002},
	{name: "iid failures, 0.1 % of runs", base: .001, quiet: .00002},
	{name: "iid failures, 1 % of runs", base: .01, quiet: .00002},
	{name: "2 % of nodes fail most of their runs", base: .0005, sick: .02, sickRate: .8, quiet: .00002},
	{name: "daily drift", base: .003, drift: true, quiet: .00002},
	{name: "rack outages", base: .0005, racks: true, quiet: .00002},
	{name: "role mix", base: .001, roles: true, quiet: .00002},
	{name: "nodes that fall silent", base: .0005, quiet: .0005},
	{name: "splay of 5 minutes for half", base: .002, uneven: true, quiet: .00002},
}

// effect is what the change does to a node that runs it.
type effect struct {
	name string
	// fails is the share of nodes whose runs with the change fail; hidden, that they hide it behind a cached catalog; shared,
	// that others fail in the same way, so that only counts can tell.
	fails          float64
	hidden, shared bool
	silent         float64
	slower         float64
	bad            bool // a judge that certifies it errs: it is worse than rule_out
}

var none = effect{name: "none"}

const (
	interval = 30 * time.Minute
	past     = 24 * time.Hour
)

// fleet is one simulated fleet, with all that will go wrong on it for as long as it is looked at.
type fleet struct {
	world  world
	change effect
	rng    *rand.Rand
	start  time.Time
	nodes  []analyzer.Node
	sums   []analyzer.Summary
	splay  []time.Duration // of the first run since the start of the past
	fate   []fate
	kept   [][]analyzer.Run // of nodes that failed, from then on, by node
	drawn  time.Time        // runs before are drawn
}

// fate is what a node is like.
type fate struct {
	troubled        bool // it has failed before: all its runs are kept from then on
	sick, hit, gone bool // hit: the change breaks it; gone: it falls silent at the next run with the change
	rate            float64
	dead            time.Time // the last run was before
	noise           float64   // of its run time
}

func newFleet(w world, e effect, n int, seed uint64) *fleet {
	f := &fleet{world: w, change: e, rng: rand.New(rand.NewPCG(seed, 11)), start: time.Date(2026, 3, 10, 8, 0, 0, 0, time.UTC)}
	f.nodes, f.sums = make([]analyzer.Node, n), make([]analyzer.Summary, n)
	f.splay, f.fate, f.kept = make([]time.Duration, n), make([]fate, n), make([][]analyzer.Run, n)
	for i := range n {
		role := i % 4
		f.nodes[i] = analyzer.Node{Certname: fmt.Sprintf("n%06d", i), Stage: -1, Summary: &f.sums[i]}
		if w.roles {
			f.nodes[i].Stratum = fmt.Sprintf("role%d", role)
		}
		f.splay[i] = time.Duration(f.rng.Float64() * float64(interval))
		if w.uneven && i%2 == 0 {
			f.splay[i] /= 6
		}
		fate := &f.fate[i]
		fate.sick = f.rng.Float64() < w.sick
		fate.hit, fate.gone = f.rng.Float64() < e.fails, f.rng.Float64() < e.silent
		fate.noise = f.rng.NormFloat64() * .15
		if fate.rate = w.base; w.roles && role == 0 {
			fate.rate *= 5
		}
		if fate.sick {
			fate.rate = w.sickRate
		}
		f.sums[i].Habit = analyzer.Habit{Reports: 8, Usual: interval, Longest: 20 * time.Second, Enforced: true}
	}
	f.drawn = f.start.Add(-past)
	f.draw(f.start)
	return f
}

// runsUntil gives the number of runs that node i began before t, since the past began.
func (f *fleet) runsUntil(i int, t time.Time) int {
	d := t.Sub(f.start.Add(-past)) - f.splay[i]
	if d <= 0 {
		return 0
	}
	return int((d + interval - 1) / interval)
}

func (f *fleet) runAt(i, k int) time.Time {
	return f.start.Add(-past).Add(f.splay[i] + time.Duration(k)*interval)
}

// draw decides the runs up to a time.
func (f *fleet) draw(until time.Time) {
	outages := map[int]bool{}
	if f.world.racks {
		for rack := range len(f.nodes) / 20 {
			if f.rng.Float64() < .001*until.Sub(f.drawn).Hours() {
				outages[rack] = true
			}
		}
	}
	for i := range f.nodes {
		for k := f.runsUntil(i, f.drawn); k < f.runsUntil(i, until); k++ {
			f.run(i, f.runAt(i, k), outages[i/20])
		}
	}
	f.drawn = until
}

func (f *fleet) run(i int, at time.Time, outage bool) {
	n, fate := &f.nodes[i], &f.fate[i]
	if !fate.dead.IsZero() {
		return
	}
	candidate := n.Admitted() && !at.Before(n.AdmittedAt)
	if f.rng.Float64() < f.world.quiet || candidate && fate.gone {
		fate.dead = at
		return
	}
	rate := fate.rate
	if f.world.drift {
		rate *= 1 + math.Sin(float64(at.Hour())/24*2*math.Pi)
	}
	own, broken := f.rng.Float64() < rate, candidate && fate.hit
	fails := own || broken || outage
	if !fails && !fate.troubled {
		return
	}
	fate.troubled = true
	r := analyzer.Run{Hash: fmt.Sprintf("%d-%d", i, at.Unix()), Certname: n.Certname, Environment: "base", Status: "failed", CachedCatalog: "not_used", CatalogUUID: "u",
		Start: at, End: at.Add(20 * time.Second), Produced: at.Add(21 * time.Second), Received: at.Add(22 * time.Second)}
	if candidate {
		r.Environment = "cand"
	}
	if !fails {
		r.Status = "unchanged"
		f.kept[i] = append(f.kept[i], r)
		return
	}
	r.Detail = &analyzer.Detail{Metrics: map[string]float64{"time/convert_catalog": .1}}
	what := fmt.Sprintf("Exec[%d]", f.rng.IntN(40))
	switch {
	case broken && f.change.hidden:
		r.CachedCatalog, r.Status, r.Environment = "on_failure", "unchanged", "base"
		r.Detail.Failures = []analyzer.Failure{{Kind: analyzer.KindCompile, Message: "Unknown function: 'halt'"}}
	case broken && !f.change.shared:
		what = "File[of the change]"
	case outage:
		what = "Yumrepo[internal]"
	case fate.sick:
		what = fmt.Sprintf("Mount[of node %d]", i)
	}
	if r.Detail.Failures == nil {
		r.Detail.Failures = []analyzer.Failure{{Kind: analyzer.KindResource, Resource: what}}
	}
	f.kept[i] = append(f.kept[i], r)
}

// see brings the summaries up to a time, as the daemon would from the reports.
func (f *fleet) see(now, stageStarted time.Time) {
	for i := range f.nodes {
		n, s, fate := &f.nodes[i], &f.sums[i], &f.fate[i]
		last := f.runsUntil(i, now) - 1
		alive := func(k int) bool { return fate.dead.IsZero() || f.runAt(i, k).Before(fate.dead) }
		for last >= 0 && !alive(last) {
			last = int(fate.dead.Sub(f.runAt(i, 0))/interval) - 1
		}
		s.Seen = f.runAt(i, last).Add(21 * time.Second).UnixMilli()
		reference := stageStarted
		if n.Admitted() {
			reference = n.AdmittedAt
		}
		since := last + 1 - f.runsUntil(i, reference)
		s.Last = f.runAt(i, min(last, f.runsUntil(i, reference)-1)).Add(20 * time.Second).UnixMilli()
		s.Runs, s.Slower = 0, analyzer.Slower{}
		if n.Admitted() && since > 0 && !(fate.hit && f.change.hidden) {
			s.Runs = int32(since)
		}
		if since > 1 {
			x := fate.noise
			if n.Admitted() {
				x += f.change.slower
			}
			s.Slower = analyzer.Slower{Bins: int16(math.Round(x / .005)), Runs: uint8(min(since-1, 3))}
		}
	}
}
