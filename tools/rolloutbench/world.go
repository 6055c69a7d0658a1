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
	// lasting is how many runs a failure lasts; half of these fail in a way of their own, that no other node knows.
	lasting int
	ramp    bool // a stage admits its nodes evenly over an hour
	renamed bool // the first run under the new name takes three times as long, and a node in a hundred always fails
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
	{name: "failures last 16 runs, half unlike any other", base: .0001, lasting: 16, quiet: .00002},
	{name: "ramp of an hour in each stage", base: .001, ramp: true, quiet: .00002},
	{name: "the same code under a new name", base: .001, sick: .01, sickRate: 1, renamed: true, quiet: .00002},
}

// effect is what the change does to a node that runs it.
type effect struct {
	name string
	// fails is the share of nodes whose runs with the change fail; hidden, that they hide it behind a cached catalog; shared,
	// that others fail in the same way, so that only counts can tell.
	fails          float64
	hidden, shared bool
	// late is how many runs with the change go well first.
	late   int32
	silent float64
	slower float64
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
	drawn  time.Duration    // runs before are drawn, since the past began
	down   []time.Duration  // racks, until when
	all    []analyzer.Run
	// hurt are the canaries that have failed since they were admitted, in a run that is drawn.
	hurt int
}

// fate is what a node is like.
type fate struct {
	troubled        bool // it has failed before: all its runs are kept from then on
	sick, hit, gone bool // hit: the change breaks it; gone: it falls silent at the next run with the change
	rate            float64
	dead            time.Time // the last run was before
	noise           float64   // of its run time
	next            int32     // the first run that is not drawn
	until           int32     // it fails up to this run
	first           int32     // run with the change, once it is admitted
	what            string    // fails until then
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
		f.sums[i].Habit = analyzer.Habit{Reports: 8, Usual: analyzer.QuartersOf(interval), Longest: analyzer.QuartersOf(20 * time.Second), Enforced: true}
	}
	f.down = make([]time.Duration, n/20+1)
	f.draw(f.start)
	return f
}

// since is a time since the past began.
func (f *fleet) since(t time.Time) time.Duration { return t.Sub(f.start) + past }

// admit gives a node the change.
func (f *fleet) admit(i, stage int, at time.Time) {
	f.nodes[i].Stage, f.nodes[i].AdmittedAt = int32(stage), analyzer.MomentOf(at)
	f.fate[i].first = int32(f.runsUntil(i, f.since(at)))
}

// runsUntil gives the number of runs that node i began before t, since the past began.
func (f *fleet) runsUntil(i int, t time.Duration) int {
	d := t - f.splay[i]
	if d <= 0 {
		return 0
	}
	return int((d + interval - 1) / interval)
}

func (f *fleet) runAt(i, k int) time.Time {
	return f.start.Add(f.splay[i] + time.Duration(k)*interval - past)
}

// draw decides the runs up to a time.
func (f *fleet) draw(t time.Time) {
	until := f.since(t)
	for f.drawn < until {
		step := until
		if f.world.racks {
			step = min(until, f.drawn+lookEvery)
			for rack := range f.down {
				if f.rng.Float64() < .001*(step-f.drawn).Hours() {
					f.down[rack] = f.drawn + time.Hour
				}
			}
		}
		for i := range f.nodes {
			for at := f.splay[i] + time.Duration(f.fate[i].next)*interval; at < step; at += interval {
				f.run(i, f.world.racks && at < f.down[i/20])
				f.fate[i].next++
			}
		}
		f.drawn = step
	}
}

func (f *fleet) run(i int, outage bool) {
	n, fate := &f.nodes[i], &f.fate[i]
	if !fate.dead.IsZero() {
		return
	}
	candidate := n.Admitted() && fate.next >= fate.first
	if f.rng.Float64() < f.world.quiet || candidate && fate.gone {
		fate.dead = f.runAt(i, int(fate.next))
		return
	}
	rate := fate.rate
	if f.world.drift {
		rate *= 1 + math.Sin(float64(f.runAt(i, int(fate.next)).Hour())/24*2*math.Pi)
	}
	own, broken := f.rng.Float64() < rate, candidate && fate.hit && fate.next >= fate.first+f.change.late
	if own && f.world.lasting > 0 && fate.next >= fate.until {
		fate.until, fate.what = fate.next+int32(f.world.lasting), ""
		if f.rng.Float64() < .5 {
			fate.what = fmt.Sprintf("Service[of node %d since %d]", i, fate.next)
		}
	}
	lasts := fate.next < fate.until
	fails := own || broken || outage || lasts
	if !fails && !fate.troubled {
		return
	}
	fate.troubled = true
	at, took := f.runAt(i, int(fate.next)), 20*time.Second
	if !fails && (!n.Admitted() || at.Before(n.AdmittedAt.Time().Add(-2*time.Second))) {
		return // the judge asks healthy runs only whether a failure after the admission repeats, and whether it is over
	}
	if candidate && fate.next == fate.first && f.world.renamed {
		took *= 3
	}
	if fails && candidate {
		f.hurt++
	}
	r := analyzer.Run{Hash: fmt.Sprintf("%d-%d", i, at.Unix()), Certname: n.Certname, Environment: "base", Status: "failed", CachedCatalog: "not_used", CatalogUUID: "u",
		Start: at, End: at.Add(took), Produced: at.Add(took + time.Second), Received: at.Add(took + 2*time.Second)}
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
	case lasts && fate.what != "":
		what = fate.what
	case fate.sick:
		what = fmt.Sprintf("Mount[of node %d]", i)
	}
	if r.Detail.Failures == nil {
		r.Detail.Failures = []analyzer.Failure{{Kind: analyzer.KindResource, Resource: what}}
	}
	f.kept[i] = append(f.kept[i], r)
}

// see brings the summaries up to a time, as the daemon would from the reports.
func (f *fleet) see(t, stageStarted time.Time) {
	now, began, start := f.since(t), f.since(stageStarted), f.start.UnixMilli()-(past+interval).Milliseconds()
	shown := func(i, k int) time.Duration { return f.splay[i] + time.Duration(k)*interval }
	for i := range f.nodes {
		n, s, fate := &f.nodes[i], &f.sums[i], &f.fate[i]
		last := f.runsUntil(i, now) - 1
		if !fate.dead.IsZero() {
			if dead := f.since(fate.dead); last >= 0 && shown(i, last) >= dead {
				last = int((dead-shown(i, 0))/interval) - 1
			}
		}
		before := int(fate.first)
		if !n.Admitted() {
			before = f.runsUntil(i, began)
		}
		took := 21 * time.Second
		if f.world.renamed && n.Admitted() && last == before {
			took += 40 * time.Second
			if now < shown(i, last)+40*time.Second { // its report has not come yet
				last, took = last-1, 21*time.Second
			}
		}
		s.Seen = start + (shown(i, last) + interval + took).Milliseconds()
		s.Last = start + (shown(i, min(last, before-1)) + interval + 20*time.Second).Milliseconds()
		since := last + 1 - before
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

// runs are those of nodes with trouble that have been received, one node after the other. They are good until the next call.
func (f *fleet) runs(now time.Time) []analyzer.Run {
	f.all = f.all[:0]
	for _, kept := range f.kept {
		f.all = append(f.all, kept...)
		if n := len(f.all); n > 0 && f.world.renamed && f.all[n-1].Received.After(now) {
			f.all = f.all[:n-1]
		}
	}
	return f.all
}
