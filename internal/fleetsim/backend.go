package fleetsim

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/puppetdb/pdbserver"
)

var _ pdbserver.Backend = (*Sim)(nil)

// hash of a report, 40 hex digits: node and run, so that it can be found again, and noise.
func (s *Sim) hash(r record) string {
	var b [20]byte
	binary.BigEndian.PutUint32(b[0:], uint32(r.node))
	binary.BigEndian.PutUint32(b[4:], r.seq)
	binary.BigEndian.PutUint64(b[8:], mix(s.fleet.sc.Seed, uint64(r.node), uint64(r.seq)))
	return hex.EncodeToString(b[:])
}

// uuid of the catalog that a run applied, "" without one.
func (s *Sim) uuid(r record) string {
	if r.kind == refused {
		return ""
	}
	a, b := mix(s.fleet.sc.Seed, forUUID, uint64(r.node), uint64(r.catalog)), mix(s.fleet.sc.Seed, forUUID, uint64(r.node), uint64(r.seq))
	if r.kind == hidden { // the cached catalog's, again and again
		b = 0
	}
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", a>>32, a>>16&0xffff, a>>4&0xfff, b>>52, b&0xffffffffffff)
}

func ms(t int64) time.Time { return time.UnixMilli(t).UTC() }

// report writes a record out in full.
func (s *Sim) report(r record) puppetdb.Report {
	skew := int64(0)
	if d := time.Duration(s.fleet.sc.ClockSkew); d > 0 {
		skew = int64(gauss(s.fleet.sc.Seed, forSkew, uint64(r.node)) * float64(d.Milliseconds()))
	}
	out := puppetdb.Report{
		Hash: s.hash(r), Certname: s.fleet.certname(int(r.node)), Environment: s.envs[r.env], Status: "unchanged", CachedCatalogStatus: "not_used",
		CatalogUUID: s.uuid(r), ConfigurationVersion: s.envs[r.env], StartTime: ms(r.produced - 50 - int64(r.length) + skew), EndTime: ms(r.produced - 50 + skew),
		ProducerTimestamp: ms(r.produced), ReceiveTime: ms(r.produced + 20),
	}
	switch r.kind {
	case changed, corrective:
		out.Status = "changed"
	case failedRun:
		out.Status = "failed"
	case refused:
		out.Status, out.ConfigurationVersion = "failed", ""
	case hidden:
		out.CachedCatalogStatus, out.Environment, out.ConfigurationVersion = "on_failure", s.envs[r.catalog], s.envs[r.catalog]
	case noopRun:
		out.Noop = true
	}
	return out
}

// Reports implements pdbserver.Backend.
func (s *Sim) Reports(from, to time.Time, yield func(puppetdb.Report) bool) {
	for _, r := range s.between(from, to) {
		if !yield(s.report(r)) {
			return
		}
	}
}

// ReportsOf implements pdbserver.Backend.
func (s *Sim) ReportsOf(certnames []string, from, to time.Time, yield func(puppetdb.Report, puppetdb.Detail) bool) {
	wanted := map[int32]bool{}
	for _, name := range certnames {
		if i, ok := s.fleet.index(name); ok {
			wanted[int32(i)] = true
		}
	}
	for _, r := range s.chosen(from, to, func(r *record) bool { return wanted[r.node] }) {
		if !yield(s.report(r), s.detail(r)) {
			return
		}
	}
}

// between copies the visible records of a range, so that nobody waits for a slow reader.
func (s *Sim) between(from, to time.Time) (out []record) {
	return s.chosen(from, to, func(*record) bool { return true })
}

func (s *Sim) chosen(from, to time.Time, wanted func(*record) bool) (out []record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, b := s.oldest*minute, int64(math.MaxInt64)
	if !from.IsZero() {
		a = max(a, from.UnixMilli())
	}
	if !to.IsZero() {
		b = to.UnixMilli()
	}
	for m := a / minute; m <= min(b, s.now+10*minute)/minute; m++ {
		for i := range s.minutes[m] {
			if r := &s.minutes[m][i]; r.produced >= a && r.produced < b && r.visible <= s.now && wanted(r) {
				out = append(out, *r)
			}
		}
	}
	return out
}

// Report implements pdbserver.Backend, for runs that failed: nobody asks for others.
func (s *Sim) Report(hash string) (puppetdb.Report, bool) {
	r, ok := s.find(hash)
	if !ok {
		return puppetdb.Report{}, false
	}
	return s.report(r), true
}

func (s *Sim) find(hash string) (record, bool) {
	b, err := hex.DecodeString(hash)
	if err != nil || len(b) != 20 {
		return record{}, false
	}
	s.mu.Lock()
	r, ok := s.failed[binary.BigEndian.Uint64(b)]
	s.mu.Unlock()
	return r, ok && s.hash(r) == hash
}

// Detail implements pdbserver.Backend.
func (s *Sim) Detail(hash string) puppetdb.Detail {
	r, ok := s.find(hash)
	if !ok {
		return puppetdb.Detail{}
	}
	return s.detail(r)
}

// cause is the effect behind a failure; where there is none it is the node's own.
func (s *Sim) cause(r record) Effect {
	own := Effect{Resource: fmt.Sprintf("Exec[nightly-job-%d]", mix(s.fleet.sc.Seed, uint64(r.node))%20), File: "/etc/puppetlabs/code/environments/" + s.envs[r.env] + "/modules/job/manifests/init.pp",
		Line: 12, Message: "'/usr/local/bin/job' returned 1 instead of one of [0]"}
	if r.effect == 0 {
		return own
	}
	c := s.changes[s.envs[r.env]]
	if r.kind == hidden {
		c = s.changes[s.envs[s.envOf(int(r.node))]]
	}
	if r.flag > 0 {
		c = s.flags[s.flagNames[r.flag-1]]
	}
	if c == nil || int(r.effect) > len(c.Effects) {
		return own
	}
	e := c.Effects[r.effect-1]
	if e.Message == "" {
		e.Message = "change from 'stopped' to 'running' failed: it did not start"
	}
	return e
}

func (s *Sim) envOf(node int) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nodes[node].env
}

// detail is what the agent wrote down, in the shapes that real agents leave (testdata/puppetdb).
func (s *Sim) detail(r record) puppetdb.Detail {
	e := s.cause(r)
	end := ms(r.produced - 50)
	var d puppetdb.Detail
	failures := 0.0
	switch r.kind {
	case refused, hidden:
		where := ""
		if e.File != "" {
			where = fmt.Sprintf(" (file: %s, line: %d, column: 3)", e.File, e.Line)
		}
		d.Logs = append(d.Logs, puppetdb.Log{Level: "err", Source: "Puppet", Tags: []string{"err"}, Time: end,
			Message: fmt.Sprintf("Could not retrieve catalog from remote server: Error 500 on SERVER: Server Error: Evaluation Error: %s%s on node %s", e.Message, where, s.fleet.certname(int(r.node)))})
	case failedRun:
		failures = 1
		kind, title, _ := strings.Cut(strings.TrimSuffix(e.Resource, "]"), "[")
		d.Events = append(d.Events, puppetdb.Event{Status: "failure", ResourceType: kind, ResourceTitle: title, Property: "ensure", Message: e.Message, File: e.File, Line: e.Line, Timestamp: end})
		d.Logs = append(d.Logs, puppetdb.Log{Level: "err", Source: "/Stage[main]/" + e.Resource, Message: e.Message, File: e.File, Line: e.Line, Tags: []string{"err"}, Time: end})
	}
	d.Metrics = s.metrics(r, failures)
	return d
}

// metrics are the figures of a run, as many as a real report has.
func (s *Sim) metrics(r record, failures float64) []puppetdb.Metric {
	total := float64(r.length) / 1000
	changes, back := 0.0, 0.0
	if r.kind == changed || r.kind == corrective {
		changes = 1
	}
	if r.kind == corrective {
		back = 1
	}
	resources := 300.0
	if r.kind == refused {
		resources = 0
	}
	out := []puppetdb.Metric{
		{Category: "resources", Name: "changed", Value: changes}, {Category: "resources", Name: "corrective_change", Value: back},
		{Category: "resources", Name: "failed", Value: failures}, {Category: "resources", Name: "failed_to_restart"},
		{Category: "resources", Name: "out_of_sync", Value: changes + failures}, {Category: "resources", Name: "restarted"},
		{Category: "resources", Name: "scheduled"}, {Category: "resources", Name: "skipped"}, {Category: "resources", Name: "total", Value: resources},
		{Category: "time", Name: "fact_generation", Value: .1 * total}, {Category: "time", Name: "plugin_sync", Value: .05 * total},
		{Category: "time", Name: "startup_time", Value: .05 * total}, {Category: "time", Name: "total", Value: total},
		{Category: "changes", Name: "total", Value: changes}, {Category: "events", Name: "failure", Value: failures},
		{Category: "events", Name: "success", Value: changes}, {Category: "events", Name: "total", Value: changes + failures},
	}
	if r.kind != refused {
		out = append(out, puppetdb.Metric{Category: "time", Name: "config_retrieval", Value: .2 * total}, puppetdb.Metric{Category: "time", Name: "convert_catalog", Value: .02 * total},
			puppetdb.Metric{Category: "time", Name: "catalog_application", Value: .4 * total}, puppetdb.Metric{Category: "time", Name: "transaction_evaluation", Value: .38 * total})
	}
	return out
}

// here says whether a node is in the fleet now.
func (s *Sim) here(i int, at time.Time) bool {
	joined, left := s.fleet.joined(i, s.begin), s.fleet.left(i, s.begin)
	return (joined.IsZero() || !joined.After(at)) && (left.IsZero() || left.After(at))
}

// snapshot is a node's last report as everybody sees it.
func (s *Sim) snapshot(i int) (last record, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &s.nodes[i]
	if n.last.visible > s.now {
		return n.before, ms(s.now)
	}
	return n.last, ms(s.now)
}

// Nodes implements pdbserver.Backend.
func (s *Sim) Nodes(yield func(puppetdb.NodeStatus) bool) {
	for i := range s.nodes {
		last, now := s.snapshot(i)
		if !s.here(i, now) {
			continue
		}
		n := puppetdb.NodeStatus{Certname: s.fleet.certname(i)}
		if last.produced > 0 {
			r := s.report(last)
			n.FactsTimestamp, n.ReportTimestamp, n.ReportEnvironment = r.StartTime, r.EndTime, r.Environment
			n.CachedCatalogStatus, n.LatestReportHash, n.LatestReportStatus, n.LatestReportNoop = r.CachedCatalogStatus, r.Hash, r.Status, r.Noop
		}
		if !yield(n) {
			return
		}
	}
}

// Inventory implements pdbserver.Backend.
func (s *Sim) Inventory(yield func(n puppetdb.Node, at time.Time) bool) {
	for i := range s.nodes {
		last, now := s.snapshot(i)
		if !s.here(i, now) || last.produced == 0 {
			continue
		}
		if !yield(puppetdb.Node{Certname: s.fleet.certname(i), Environment: s.envs[last.env], Facts: s.fleet.facts(i), Trusted: s.fleet.trusted(i)}, ms(last.produced)) {
			return
		}
	}
}
