package pdbserver

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb"
)

var entities = map[string]entity{
	"reports": {"reports", map[string]kind{
		"hash": text, "certname": text, "environment": text, "status": text, "noop": flag, "noop_pending": flag,
		"puppet_version": text, "report_format": text, "configuration_version": text, "transaction_uuid": text,
		"catalog_uuid": text, "code_id": text, "job_id": text, "producer": text, "type": text,
		"cached_catalog_status": text, "corrective_change": flag, "start_time": instant, "end_time": instant,
		"producer_timestamp": instant, "receive_time": instant, "metrics": opaque, "logs": opaque, "resource_events": opaque,
	}},
	"nodes": {"nodes", map[string]kind{
		"certname": text, "deactivated": instant, "expired": instant, "facts_timestamp": instant,
		"report_timestamp": instant, "report_environment": text, "facts_environment": text,
		"cached_catalog_status": text, "latest_report_hash": text, "latest_report_status": text, "latest_report_noop": flag,
	}},
	"inventory": {"inventory", map[string]kind{
		"certname": text, "timestamp": instant, "environment": text, "facts": tree, "trusted": tree,
	}},
}

// data is what a Server stores.
type data struct {
	reports []row
	hashes  map[string]int // index in reports
	nodes   map[string]*node
}

type node struct {
	environment, factsTime any // string or nil, as are all columns
	facts, trusted         any
	deactivated            any
	latest                 row
}

func newData() data { return data{hashes: map[string]int{}, nodes: map[string]*node{}} }

func (d *data) node(certname string) *node {
	n := d.nodes[certname]
	if n == nil {
		n = &node{}
		d.nodes[certname] = n
	}
	return n
}

// addReport stores a row in the form of the query API. A second report with
// the same identity is ignored, as PuppetDB ignores it.
func (d *data) addReport(r row) {
	hash := r["hash"].(string)
	if _, ok := d.hashes[hash]; ok {
		return
	}
	d.hashes[hash] = len(d.reports)
	d.reports = append(d.reports, r)
	n := d.node(r["certname"].(string))
	produced, _ := number(r["producer_timestamp"], instant)
	if latest, ok := number(n.latest["producer_timestamp"], instant); !ok || produced > latest {
		n.latest = r
	}
	if when, ok := number(n.deactivated, instant); ok && produced > when {
		n.deactivated = nil
	}
}

// rows returns an endpoint's rows, as far as it shows them.
func (d *data) rows(name string) []row {
	if name == "reports" {
		return d.reports
	}
	return d.active(name)
}

func (d *data) active(name string) (rows []row) {
	for _, certname := range slices.Sorted(maps.Keys(d.nodes)) {
		n := d.nodes[certname]
		switch {
		case n.deactivated != nil:
		case name == "nodes":
			rows = append(rows, row{
				"certname": certname, "deactivated": nil, "expired": nil, "facts_timestamp": n.factsTime,
				"report_timestamp": n.latest["end_time"], "report_environment": n.latest["environment"],
				"facts_environment": n.environment, "cached_catalog_status": n.latest["cached_catalog_status"],
				"latest_report_hash": n.latest["hash"], "latest_report_status": n.latest["status"],
				"latest_report_noop": n.latest["noop"],
			})
		case n.factsTime != nil:
			rows = append(rows, row{"certname": certname, "timestamp": n.factsTime, "environment": n.environment,
				"facts": n.facts, "trusted": n.trusted})
		}
	}
	return rows
}

// stampMS is how PuppetDB writes times.
const stampMS = "2006-01-02T15:04:05.000Z"

func stampOf(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(stampMS)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Add stores reports, visible from now on. A report without Hash gets the one
// that its other fields give it.
func (s *Server) Add(reports ...puppetdb.Report) {
	for _, r := range reports {
		s.AddDetailed(r, puppetdb.Detail{})
	}
}

// AddDetailed stores a report with its metrics, logs and events, and returns
// its hash.
func (s *Server) AddDetailed(r puppetdb.Report, d puppetdb.Detail) string {
	out := reportRow(r, d)
	if r.Hash == "" {
		out["hash"] = identity(out)
	}
	s.locked(func() { s.data.addReport(out) })
	return out["hash"].(string)
}

// reportRow is a report with all columns.
func reportRow(r puppetdb.Report, d puppetdb.Detail) row {
	return row{
		"hash": r.Hash, "certname": r.Certname, "environment": orNull(r.Environment), "status": orNull(r.Status),
		"noop": r.Noop, "noop_pending": nil, "cached_catalog_status": orNull(r.CachedCatalogStatus),
		"catalog_uuid": orNull(r.CatalogUUID), "code_id": orNull(r.CodeID), "configuration_version": r.ConfigurationVersion,
		"start_time": stampOf(r.StartTime), "end_time": stampOf(r.EndTime),
		"producer_timestamp": stampOf(r.ProducerTimestamp), "receive_time": stampOf(r.ReceiveTime),
		"puppet_version": "7.23.0", "report_format": 12, "transaction_uuid": nil, "job_id": nil, "producer": nil,
		"corrective_change": nil, "type": "agent",
		"metrics": expanded(d.Metrics), "logs": expanded(d.Logs), "resource_events": expanded(d.Events),
	}
}

// expanded writes a sub-entity: null where there is nothing.
func expanded[T any](list []T) any {
	if len(list) == 0 {
		return map[string]any{"data": nil}
	}
	return map[string]any{"data": list}
}

// AddJSON stores reports as the query API gave them, an array, and panics on
// anything else: it is for recorded answers.
func (s *Server) AddJSON(answer []byte) {
	var rows []row
	if err := json.Unmarshal(answer, &rows); err != nil {
		panic(fmt.Sprintf("puppetdbtest: recorded answer: %v", err))
	}
	s.locked(func() {
		for _, r := range rows {
			s.data.addReport(r)
		}
	})
}

// SetNode stores a node's facts, as its last run sent them at the given time.
func (s *Server) SetNode(n puppetdb.Node, at time.Time) {
	s.locked(func() {
		stored := s.data.node(n.Certname)
		stored.environment, stored.factsTime = orNull(n.Environment), stampOf(at)
		stored.facts, stored.trusted = plainTree(n.Facts), plainTree(n.Trusted)
	})
}

// plainTree passes facts through JSON, where the filters expect them from.
func plainTree(m map[string]any) any {
	if m == nil {
		return nil
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("puppetdbtest: facts: %v", err))
	}
	v, err := parse(b)
	if err != nil {
		panic(fmt.Sprintf("puppetdbtest: facts: %v", err))
	}
	return v
}

// identity hashes what makes a report itself in PuppetDB's eyes: its status is
// not part of it.
func identity(r row) string {
	h := sha1.New()
	for _, c := range []string{"certname", "puppet_version", "report_format", "configuration_version",
		"start_time", "end_time", "producer_timestamp", "transaction_uuid"} {
		fmt.Fprintf(h, "%q", fmt.Sprint(r[c]))
	}
	return hex.EncodeToString(h.Sum(nil))
}
