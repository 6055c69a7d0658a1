// Package intake says in the judge's words what PuppetDB says in its own. The daemon reads
// reports as they come, a replay those of the past: both must read them alike.
package intake

import (
	"fmt"
	"strings"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// Run is a report.
func Run(r puppetdb.Report) analyzer.Run {
	return analyzer.Run{
		Hash: r.Hash, Certname: r.Certname, Environment: r.Environment, Status: r.Status, Noop: r.Noop,
		CachedCatalog: r.CachedCatalogStatus, CatalogUUID: r.CatalogUUID, CodeID: r.CodeID, ConfigurationVersion: r.ConfigurationVersion,
		Start: r.StartTime, End: r.EndTime, Produced: r.ProducerTimestamp, Received: r.ReceiveTime,
	}
}

// Detail keeps what tells how a run failed: metrics, failed resources, and for runs without a catalog the error that
// the agent logged.
func Detail(d puppetdb.Detail) *analyzer.Detail {
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

// Metered picks what the judge compares from the metrics of a report: the seconds until the catalog came, 0 where they do not say, and
// whether anything was put back, which is known only where they say so: a report may have no metrics at all.
func Metered(metrics []puppetdb.Metric) (retrieval float64, corrective, known bool) {
	for _, m := range metrics {
		switch {
		case m.Category == "time" && m.Name == "config_retrieval":
			retrieval = m.Value
		case m.Category == "resources" && m.Name == "corrective_change":
			corrective, known = m.Value > 0, true
		}
	}
	return retrieval, corrective, known
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
