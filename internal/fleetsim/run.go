package fleetsim

import (
	"math"
	"time"
)

// kind is how a run ended.
type kind uint8

const (
	unchanged kind = iota
	changed
	corrective
	failedRun
	refused // no catalog
	hidden  // no catalog, hidden behind the cached one
	noopRun
)

// record is a report in 40 bytes; all else follows from it.
type record struct {
	produced int64  // ms, the puppetserver's clock
	visible  int64  // ms, when PuppetDB shows it
	length   uint32 // ms
	node     int32
	seq      uint32
	env      uint16 // that the report names
	catalog  uint16 // of the catalog that was applied
	effect   uint8  // 1 + index in the environment's effects, 0 where the failure is the node's own
	flag     uint8  // 1 + index in the sorted parameters, if the effect is a parameter's
	kind     kind
}

func (r record) key() uint64 { return uint64(r.node)<<32 | uint64(r.seq) }

func (s *Sim) chance(share Share, what uint64, i int, seq uint32) bool {
	return share > 0 && unit(s.fleet.sc.Seed, what, uint64(i), uint64(seq)) < float64(share)
}

// run lets a node run once, and says when it runs next.
func (s *Sim) run(i int) {
	sc, n := &s.fleet.sc, &s.nodes[i]
	start, seq := n.next, n.seq
	n.seq++
	interval := time.Duration(sc.RunInterval).Milliseconds()
	if sc.Splay > 0 {
		interval += int64((unit(sc.Seed, forSplay, uint64(i), uint64(seq)) - .5) * float64(time.Duration(sc.Splay).Milliseconds()))
	}
	n.next = start + max(interval, 1)
	s.runs++
	if left := s.fleet.left(i, s.begin); !left.IsZero() && start > left.UnixMilli() {
		n.gone = true
		return
	}
	if n.mute || s.out(i, start) || s.chance(sc.Base.SkippedRuns, forSkip, i, seq) {
		return
	}
	answer := s.classes(i, s.fleet.certname(i), time.UnixMilli(start))
	r := record{node: int32(i), seq: seq, env: n.env, catalog: n.catalog}
	factor := s.takeOver(&r, n, answer)
	if r.kind == unchanged {
		s.own(&r, i, seq)
	}
	if n.mute {
		return
	}
	if r.kind < failedRun || r.kind == failedRun {
		r.catalog = r.env
	}
	n.catalog = r.catalog
	r.length = uint32(s.length(i, seq, start) * factor)
	r.produced = start + int64(r.length) + 50
	r.visible = r.produced + int64(-math.Log(1-unit(sc.Seed, forDelay, uint64(i), uint64(seq)))*float64(time.Duration(sc.Delay).Milliseconds()))
	n.before, n.last = n.last, r
	m := r.produced / minute
	s.minutes[m] = append(s.minutes[m], r)
	if r.kind == failedRun || r.kind == refused || r.kind == hidden {
		s.failed[r.key()] = r
	}
}

// takeOver gives the node what the ENC says, and what that does to it. It returns the factor of the run's length.
func (s *Sim) takeOver(r *record, n *state, a Answer) (factor float64) {
	factor = 1
	switch {
	case a.Failed:
		r.kind = hidden
		return factor
	case !a.Keep && a.Environment != "":
		if id := s.env(a.Environment); id != n.env {
			n.env, n.inEnv = id, 0
		}
	}
	r.env = n.env
	n.inEnv = uint16(min(int(n.inEnv)+1, math.MaxUint16))
	if c := s.changes[s.envs[n.env]]; c != nil {
		factor *= s.suffer(r, n, c)
		if n.inEnv == 1 && (c.Changes == nil || *c.Changes) && r.kind == unchanged {
			r.kind = changed
		}
	}
	for k, name := range s.flagNames {
		if v := a.Parameters[name]; v != nil && v != false {
			before := r.effect
			factor *= s.suffer(r, n, s.flags[name])
			if r.effect != before {
				r.flag = uint8(k + 1)
			}
		}
	}
	return factor
}

// suffer applies the effects of a change that the node has.
func (s *Sim) suffer(r *record, n *state, c *change) (factor float64) {
	factor = 1
	for k, e := range c.Effects {
		if int(n.inEnv) < e.FromRun || !c.hits[k](int(r.node)) {
			continue
		}
		switch e.Kind {
		case Fail:
			r.kind, r.effect = failedRun, uint8(k+1)
		case Refuse:
			r.kind, r.effect = refused, uint8(k+1)
		case Hide:
			// The agent's cached catalog is of the environment before, and so is what the report names.
			r.kind, r.effect = hidden, uint8(k+1)
			r.env = r.catalog
		case Slow:
			factor *= e.Factor
		case Mute:
			n.mute = true
		}
	}
	return factor
}

// own is what happens to a node without any change.
func (s *Sim) own(r *record, i int, seq uint32) {
	b := &s.fleet.sc.Base
	switch {
	case unit(s.fleet.sc.Seed, forNoop, uint64(i)) < float64(b.NoopNodes):
		r.kind = noopRun
	case unit(s.fleet.sc.Seed, forFailing, uint64(i)) < float64(b.FailingNodes), s.chance(b.FailedRuns, forFailed, i, seq):
		r.kind = failedRun
	case s.chance(b.Corrective, forCorrective, i, seq):
		r.kind = corrective
	case s.chance(b.ChangedRuns, forChanged, i, seq):
		r.kind = changed
	}
}

// out says whether the node's rack is down.
func (s *Sim) out(i int, at int64) bool {
	o := s.fleet.sc.Outages
	if o.PerRackDay == 0 {
		return false
	}
	const day = 24 * 60 * minute
	w := s.fleet.nodes[i]
	for d := at/day - 1; d <= at/day; d++ { // one of yesterday may go on
		key := []uint64{s.fleet.sc.Seed, forOutage, uint64(w.dc), uint64(w.rack), uint64(d)}
		if unit(key...) < float64(o.PerRackDay) {
			begin := d*day + int64(unit(append(key, 1)...)*day)
			if at >= begin && at < begin+time.Duration(o.For).Milliseconds() {
				return true
			}
		}
	}
	return false
}

// length of a run, ms.
func (s *Sim) length(i int, seq uint32, at int64) float64 {
	t := s.fleet.sc.RunTime
	log := t.NodeSpread*gauss(s.fleet.sc.Seed, forSpeed, uint64(i)) + t.RunSpread*gauss(s.fleet.sc.Seed, forRun, uint64(i), uint64(seq)) +
		t.DailyDrift*math.Sin(2*math.Pi*float64(at%(24*60*minute))/(24*60*minute))
	longest := .9 * float64(time.Duration(s.fleet.sc.RunInterval).Milliseconds())
	return min(longest, float64(time.Duration(t.Median).Milliseconds())*math.Exp(log))
}
