package analyzer

import (
	"slices"
	"strings"
	"time"
)

// lookbackElsewhere is how long before its first event a failure counts as known elsewhere.
const lookbackElsewhere = 24 * time.Hour

// incident is one failure on one admitted node since its admission.
type incident struct {
	signature
	node  string
	stage int
	// first and last are the first and the last run that showed it.
	first, last time.Time
	// repeated: two runs in a row showed it.
	repeated bool
	// cleared: enough clean runs of the candidate followed the last one.
	cleared bool
	// refresh: a restart failed. Puppet does not try it again, so clean runs prove nothing.
	refresh bool
	origin  origin
}

// origin says who else showed the failure.
type origin int

const (
	// isNew: nobody without the change showed it.
	isNew origin = iota
	// shared: another node without the change did, or may have.
	shared
	// own: this very node did before its admission, so it explains itself.
	own
)

// decisive incidents are those that the stop rule counts.
func (i incident) decisive() bool {
	return i.origin == isNew && (i.class == compileClass || i.repeated)
}

// pending incidents keep a stage from a pass.
func (i incident) pending() bool {
	return i.origin != own && !(i.cleared && !(i.refresh && i.origin == isNew))
}

// incidents returns all of them, sorted by node, then first, class and keys.
func (c *cohorts) incidents() []incident {
	var out []incident
	for _, h := range c.canaries {
		out = append(out, h.incidents(c.policy.Runs, c.evidence.Now)...)
	}
	elsewhere := c.elsewhere()
	begin := firstShown(out)
	for i := range out {
		in := &out[i]
		since := in.first
		for _, k := range in.index() {
			since = earliest(since, begin[k])
		}
		since = since.Add(-lookbackElsewhere)
		switch {
		case c.ownBefore(in, since):
			in.origin = own
		case elsewhere.since(in.signature, since):
			in.origin = shared
		}
	}
	return out
}

// incidents of one node, without their origin.
func (h *history) incidents(runs int, now time.Time) []incident {
	var out []incident
	previous := []signature(nil)
	for _, o := range h.after {
		shown := signatures(o)
		for _, s := range shown {
			at := slices.IndexFunc(out, func(i incident) bool { return i.index()[0] == s.index()[0] })
			if at < 0 {
				out = append(out, incident{signature: s, node: h.Certname, stage: int(h.Stage), first: o.at()})
				at = len(out) - 1
			}
			in := &out[at]
			in.last = o.at()
			in.repeated = in.repeated || slices.ContainsFunc(previous, func(p signature) bool { return in.again(p) })
			in.refresh = in.refresh || s.class == resourceClass && o.Detail != nil && o.Detail.Metrics[metricFailedToRestart] > 0
		}
		if o.speaks() || len(shown) > 0 && !o.Noop {
			previous = shown
		}
	}
	clean := h.cleanSince(now)
	for i := range out {
		out[i].cleared = h.state.Exposed && len(clean) >= runs && clean[len(clean)-1].at().After(out[i].last)
	}
	return out
}

// again: the earlier run showed the same. A failure without detail is repeated only by another
// one without: what is not known is not held against the change before it is.
func (i incident) again(p signature) bool {
	return i.known() == p.known() && i.matches(p)
}

// cleanSince returns the clean candidate runs since the last run that was anything else,
// newest first. Runs that enforced no fresh catalog say nothing either way.
func (h *history) cleanSince(now time.Time) []observed {
	var out []observed
	for _, o := range slices.Backward(h.after) {
		switch {
		case o.Outcome == OK && o.surelySince(h.AdmittedAt.Time(), now):
			out = append(out, o)
		case o.Outcome == Noop || o.Outcome == NotExposed && !o.fresh():
		default:
			return out
		}
	}
	return out
}

// ownBefore: the node itself showed it before its admission. Only a failure that both
// times say by name is explained like that.
func (c *cohorts) ownBefore(in *incident, since time.Time) bool {
	at, found := slices.BinarySearchFunc(c.canaries, in.node, func(h *history, name string) int {
		return strings.Compare(h.Certname, name)
	})
	if !found || !in.known() {
		return false
	}
	for _, o := range c.canaries[at].before {
		if o.at().Before(since) || o.Tainted {
			continue
		}
		for _, s := range signatures(o) {
			if s.known() && s.matches(in.signature) {
				return true
			}
		}
	}
	return false
}

// firstShown returns when any admitted node first showed each key.
func firstShown(all []incident) map[string]time.Time {
	out := map[string]time.Time{}
	for _, in := range all {
		for _, k := range in.index() {
			out[k] = earliest(out[k], in.first)
		}
	}
	return out
}

// index returns the keys with their class; a failure without keys has one of its own.
func (s signature) index() []string {
	if !s.known() {
		return []string{s.class.String() + " ?"}
	}
	out := make([]string, len(s.keys))
	for i, k := range s.keys {
		out[i] = s.class.String() + " " + k
	}
	return out
}

// sightings is when nodes without the change last showed a failure, by key.
type sightings struct {
	keys map[string]time.Time
	any  map[class]time.Time
}

// elsewhere gathers what controls, nodes outside the rollout and canaries before their
// admission showed.
func (c *cohorts) elsewhere() sightings {
	s := sightings{keys: map[string]time.Time{}, any: map[class]time.Time{}}
	s.add(c.others)
	for _, h := range c.controls {
		s.add(h.before)
	}
	for _, h := range c.canaries {
		s.add(h.before)
	}
	return s
}

func (s sightings) add(runs []observed) {
	for _, o := range runs {
		if o.Tainted {
			continue
		}
		for _, sig := range signatures(o) {
			s.any[sig.class] = latest(s.any[sig.class], o.at())
			for _, k := range sig.index() {
				s.keys[k] = latest(s.keys[k], o.at())
			}
		}
	}
}

// since: somebody showed it, or may have, at or after t.
func (s sightings) since(sig signature, t time.Time) bool {
	seen := s.keys[signature{class: sig.class}.index()[0]]
	for _, k := range sig.index() {
		seen = latest(seen, s.keys[k])
	}
	if !sig.known() {
		seen = latest(seen, s.any[sig.class])
	}
	return !seen.IsZero() && !seen.Before(t)
}
