package daemon

import (
	"fmt"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// history is what the feed has delivered, per node and in order.
type history struct {
	runs    map[string][]analyzer.Run
	missing map[string]bool // hashes of failed runs whose detail has not been read yet
}

func newHistory() *history {
	return &history{runs: map[string][]analyzer.Run{}, missing: map[string]bool{}}
}

// add takes new reports; a batch is sorted, a late report finds its place.
func (h *history) add(reports []puppetdb.Report) {
	for _, r := range reports {
		run := toRun(r)
		list := append(h.runs[run.Certname], run)
		for i := len(list) - 1; i > 0 && before(list[i], list[i-1]); i-- {
			list[i], list[i-1] = list[i-1], list[i]
		}
		h.runs[run.Certname] = list
		if failed(run) {
			h.missing[run.Hash] = true
		}
	}
}

func before(a, b analyzer.Run) bool {
	if !a.Produced.Equal(b.Produced) {
		return a.Produced.Before(b.Produced)
	}
	return a.Hash < b.Hash
}

// failed says whether a run's detail is needed to tell how it failed and at what.
func failed(r analyzer.Run) bool { return r.Status == "failed" || r.CachedCatalog == "on_failure" }

// detail puts details where they belong. A hash that PuppetDB does not have stays without one.
func (h *history) detail(asked []string, found map[string]puppetdb.Detail) {
	wanted := map[string]bool{}
	for _, hash := range asked {
		wanted[hash] = true
		delete(h.missing, hash)
	}
	for certname, list := range h.runs {
		for i := range list {
			if d, ok := found[list[i].Hash]; ok && wanted[list[i].Hash] {
				list[i].Detail = toDetail(d)
			}
		}
		h.runs[certname] = list
	}
}

// forget drops what is older than the horizon.
func (h *history) forget(horizon time.Time) {
	for certname, list := range h.runs {
		i := 0
		for i < len(list) && list[i].Produced.Before(horizon) {
			delete(h.missing, list[i].Hash)
			i++
		}
		switch {
		case i == len(list):
			delete(h.runs, certname)
		case i > 0:
			h.runs[certname] = list[i:]
		}
	}
}

func toRun(r puppetdb.Report) analyzer.Run {
	return analyzer.Run{
		Hash: r.Hash, Certname: r.Certname, Environment: r.Environment, Status: r.Status, Noop: r.Noop,
		CachedCatalog: r.CachedCatalogStatus, CatalogUUID: r.CatalogUUID, CodeID: r.CodeID, ConfigurationVersion: r.ConfigurationVersion,
		Start: r.StartTime, End: r.EndTime, Produced: r.ProducerTimestamp, Received: r.ReceiveTime,
	}
}

// toDetail keeps what tells how a run failed: metrics, failed resources, and for runs without a catalog the error that
// the agent logged.
func toDetail(d puppetdb.Detail) *analyzer.Detail {
	out := &analyzer.Detail{Metrics: map[string]float64{}}
	for _, m := range d.Metrics {
		out.Metrics[m.Category+"/"+m.Name] = m.Value
	}
	seen := map[string]bool{}
	for _, e := range d.Events {
		name := fmt.Sprintf("%s[%s]", e.ResourceType, e.ResourceTitle)
		if e.Status == "failure" && !seen[name] {
			seen[name] = true
			out.Failures = append(out.Failures, analyzer.Failure{Kind: "resource", Resource: name, File: e.File, Line: e.Line, Message: e.Message})
		}
	}
	if len(out.Failures) == 0 {
		for _, l := range d.Logs {
			if l.Level == "err" && l.Source == "Puppet" {
				file, line := placeIn(l)
				out.Failures = append(out.Failures, analyzer.Failure{Kind: "compile", File: file, Line: line, Message: l.Message})
				break
			}
		}
	}
	return out
}

// placeIn finds the place that a compile error names, for people: "(file: /path/site.pp, line: 11, column: 17)".
func placeIn(l puppetdb.Log) (file string, line int) {
	if l.File != "" {
		return l.File, l.Line
	}
	_, rest, ok := strings.Cut(l.Message, "(file: ")
	if !ok {
		return "", 0
	}
	file, rest, ok = strings.Cut(rest, ", line: ")
	if !ok {
		file, _, _ = strings.Cut(file, ")")
		return file, 0
	}
	_, _ = fmt.Sscanf(rest, "%d", &line)
	return file, line
}
