package pdbserver

import (
	"bufio"
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/openinfrastructure/sluice/puppetdb"
)

// Backend is where a Server finds its rows if they are too many to be kept: each is made when a query wants it. The
// functions call yield until it returns false, and may be called by several requests at once.
type Backend interface {
	// Reports gives the visible reports with from <= producer_timestamp < to; zero times are open ends.
	Reports(from, to time.Time, yield func(puppetdb.Report) bool)
	// ReportsOf gives those of some nodes, with what they say beyond that.
	ReportsOf(certnames []string, from, to time.Time, yield func(puppetdb.Report, puppetdb.Detail) bool)
	// Report finds a report by its hash.
	Report(hash string) (puppetdb.Report, bool)
	// Detail gives what a report says beyond that.
	Detail(hash string) puppetdb.Detail
	// Nodes gives the active nodes by certname.
	Nodes(yield func(puppetdb.NodeStatus) bool)
	// Inventory gives the facts of the active nodes by certname, and when they came.
	Inventory(yield func(n puppetdb.Node, at time.Time) bool)
}

// Over returns a Server that answers from b. Commands are accepted and change nothing.
func Over(b Backend) *Server {
	s := New()
	s.backend = b
	return s
}

// answer is a query that was understood: what it is about, which rows and columns.
type answer struct {
	entity  entity
	ast     any
	query   query
	reports bounds
}

// bounds is what a filter says about a report's time, hash or node, as far as it can be read off. alone says that it says
// nothing else.
type bounds struct {
	from, to  time.Time
	hashes    []string
	certnames []string
	alone     bool
}

func boundsOf(ast any) bounds {
	list, ok := ast.([]any)
	if ok && len(list) == 3 && list[0] == "extract" {
		list, ok = list[2].([]any)
	}
	if !ok {
		return bounds{}
	}
	terms := []any{list}
	if len(list) > 0 && list[0] == "and" {
		terms = list[1:]
	}
	b := bounds{alone: true}
	for _, t := range terms {
		b.alone = b.take(t) && b.alone
	}
	return b
}

func (b *bounds) take(term any) bool {
	t, ok := term.([]any)
	if !ok || len(t) != 3 {
		return false
	}
	switch field, arg := t[1], t[2]; {
	case field == "producer_timestamp" && (t[0] == ">=" || t[0] == "<"):
		text, _ := arg.(string)
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return false
		}
		if t[0] == "<" {
			b.to = at
		} else {
			b.from = at
		}
		return true
	case field == "hash" && t[0] == "in":
		b.hashes = listed(arg)
	case field == "certname" && t[0] == "in":
		b.certnames = listed(arg)
	}
	return false
}

// listed reads the argument of an in; nil where it is none.
func listed(arg any) []string {
	array, _ := arg.([]any)
	if len(array) != 2 || array[0] != "array" {
		return nil
	}
	all, _ := array[1].([]any)
	out := []string{}
	for _, v := range all {
		if s, ok := v.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// write sends the rows of a query as they are made.
func (a answer) write(w io.Writer, from Backend) error {
	out := bufio.NewWriterSize(w, 1<<16)
	if err := out.WriteByte('['); err != nil {
		return err
	}
	sep := ""
	count := 0
	line := make([]byte, 0, 1024)
	emit := func(r row) bool {
		if !a.query.match(r) {
			return true
		}
		if a.query.count {
			count++
			return true
		}
		b, err := json.Marshal(a.query.project(r))
		if err != nil {
			return false
		}
		_, err = out.WriteString(sep)
		sep = ","
		if err == nil {
			_, err = out.Write(b)
		}
		return err == nil
	}
	switch a.entity.name {
	case "reports":
		if a.query.count && a.reports.alone {
			from.Reports(a.reports.from, a.reports.to, func(puppetdb.Report) bool { count++; return true })
			break
		}
		if lean := a.query.columns; a.reports.alone && len(lean) > 0 && !slices.ContainsFunc(lean, heavy) {
			from.Reports(a.reports.from, a.reports.to, func(r puppetdb.Report) bool {
				line = appendLean(append(line[:0], sep...), r, lean)
				sep = ","
				_, err := out.Write(line)
				return err == nil
			})
			break
		}
		detailed := a.query.columns == nil && !a.query.count || slices.ContainsFunc(a.query.columns, heavy)
		yield := func(r puppetdb.Report) bool {
			d := puppetdb.Detail{}
			if detailed {
				d = from.Detail(r.Hash)
			}
			return emit(reportRow(r, d))
		}
		if a.reports.hashes != nil {
			for _, h := range a.reports.hashes {
				if r, ok := from.Report(h); ok && !yield(r) {
					break
				}
			}
			break
		}
		if a.reports.certnames != nil {
			from.ReportsOf(a.reports.certnames, a.reports.from, a.reports.to, func(r puppetdb.Report, d puppetdb.Detail) bool { return emit(reportRow(r, d)) })
			break
		}
		from.Reports(a.reports.from, a.reports.to, yield)
	case "nodes":
		from.Nodes(func(n puppetdb.NodeStatus) bool {
			return emit(row{
				"certname": n.Certname, "deactivated": stampOf(n.Deactivated), "expired": stampOf(n.Expired), "facts_timestamp": stampOf(n.FactsTimestamp),
				"report_timestamp": stampOf(n.ReportTimestamp), "report_environment": orNull(n.ReportEnvironment),
				"facts_environment": orNull(n.ReportEnvironment), "cached_catalog_status": orNull(n.CachedCatalogStatus),
				"latest_report_hash": orNull(n.LatestReportHash), "latest_report_status": orNull(n.LatestReportStatus), "latest_report_noop": n.LatestReportNoop,
			})
		})
	case "inventory":
		from.Inventory(func(n puppetdb.Node, at time.Time) bool {
			return emit(row{"certname": n.Certname, "timestamp": stampOf(at), "environment": orNull(n.Environment), "facts": n.Facts, "trusted": n.Trusted})
		})
	}
	if a.query.count {
		if _, err := out.WriteString(`{"count":` + strconv.Itoa(count) + `}`); err != nil {
			return err
		}
	}
	if err := out.WriteByte(']'); err != nil {
		return err
	}
	return out.Flush()
}

func heavy(column string) bool {
	switch column {
	case "hash", "certname", "environment", "status", "noop", "cached_catalog_status", "catalog_uuid", "code_id", "configuration_version",
		"start_time", "end_time", "producer_timestamp", "receive_time":
		return false
	}
	return true
}

// appendLean writes one report's plain columns; at a million nodes a map per row would cost more than all the rest.
func appendLean(b []byte, r puppetdb.Report, columns []string) []byte {
	b = append(b, '{')
	for i, c := range columns {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), c...), `":`...)
		switch c {
		case "hash":
			b = appendText(b, r.Hash)
		case "certname":
			b = appendText(b, r.Certname)
		case "environment":
			b = appendText(b, r.Environment)
		case "status":
			b = appendText(b, r.Status)
		case "noop":
			b = strconv.AppendBool(b, r.Noop)
		case "cached_catalog_status":
			b = appendText(b, r.CachedCatalogStatus)
		case "catalog_uuid":
			b = appendText(b, r.CatalogUUID)
		case "code_id":
			b = appendText(b, r.CodeID)
		case "configuration_version":
			b = strconv.AppendQuote(b, r.ConfigurationVersion)
		case "start_time":
			b = appendTime(b, r.StartTime)
		case "end_time":
			b = appendTime(b, r.EndTime)
		case "producer_timestamp":
			b = appendTime(b, r.ProducerTimestamp)
		case "receive_time":
			b = appendTime(b, r.ReceiveTime)
		}
	}
	return append(b, '}')
}

// appendText writes a name; what a Backend makes up has nothing to escape but what strconv escapes the same way.
func appendText(b []byte, s string) []byte {
	if s == "" {
		return append(b, "null"...)
	}
	return strconv.AppendQuote(b, s)
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return append(t.UTC().AppendFormat(append(b, '"'), stampMS), '"')
}
