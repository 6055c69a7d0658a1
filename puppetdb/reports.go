package puppetdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

const reportsPath = "/pdb/query/v4/reports"

// Report is one agent run, without its metrics, logs and events. A null column
// is "", false or the zero time.
type Report struct {
	Hash        string // PuppetDB's identity of the report, hex
	Certname    string
	Environment string // of the catalog that was applied, or asked for in vain
	Status      string // "failed", "changed" or "unchanged"
	Noop        bool
	// CachedCatalogStatus is "not_used", "explicitly_requested" (the operator
	// wanted the cached catalog) or "on_failure" (there was no other).
	CachedCatalogStatus  string
	CatalogUUID          string // "": the run had no catalog
	CodeID               string
	ConfigurationVersion string
	StartTime, EndTime   time.Time // agent's clock
	ProducerTimestamp    time.Time // puppetserver's clock; the only indexed one
	ReceiveTime          time.Time // PuppetDB's clock, when the report was queued
}

// reportColumns are the columns of Report, in the order of the bits that
// lean.column gives them.
var reportColumns = []string{
	"hash", "certname", "environment", "status", "noop", "cached_catalog_status", "catalog_uuid",
	"code_id", "configuration_version", "start_time", "end_time", "producer_timestamp", "receive_time",
}

// Reports calls fn for every agent report with from <= producer_timestamp < to,
// in no order. Both ends are cut to the millisecond, the resolution of
// PuppetDB, so that adjacent ranges meet.
//
// The answer is streamed: fn may have been called for some reports before an
// error. The caller must then discard what it got, because it is not told what
// is missing. An error of fn ends the call and is returned, wrapped.
func (c *Client) Reports(ctx context.Context, from, to time.Time, fn func(Report) error) error {
	from, to = from.Truncate(time.Millisecond), to.Truncate(time.Millisecond)
	if !from.Before(to) {
		return fmt.Errorf("puppetdb reports: from %s to %s: expected a range", wire(from), wire(to))
	}
	q := extract(reportColumns, produced(from, to))
	return c.query(ctx, reportsPath, "reports", q, func(r io.Reader) error {
		return each(r, leanRow, newLean(fn).row)
	})
}

// Count says how many reports a call of Reports would bring, without reading them, which costs PuppetDB and PostgreSQL about a
// tenth.
func (c *Client) Count(ctx context.Context, from, to time.Time) (int, error) {
	from, to = from.Truncate(time.Millisecond), to.Truncate(time.Millisecond)
	if !from.Before(to) {
		return 0, fmt.Errorf("puppetdb count of reports: from %s to %s: expected a range", wire(from), wire(to))
	}
	q := []any{"extract", []any{[]any{"function", "count"}}, produced(from, to)}
	rows, count := 0, 0
	err := c.query(ctx, reportsPath, "count", q, func(r io.Reader) error {
		return each(r, leanRow, objects(func(row struct{ Count *int }) error {
			if rows++; row.Count == nil || *row.Count < 0 || rows > 1 {
				return errors.New("expected one row with a count")
			}
			count = *row.Count
			return nil
		}))
	})
	if err == nil && rows == 0 {
		err = errors.New("puppetdb count of reports: the answer is empty, expected one row with a count")
	}
	return count, err
}

func produced(from, to time.Time) []any {
	return []any{"and", []any{">=", "producer_timestamp", wire(from)}, []any{"<", "producer_timestamp", wire(to)}}
}

// wire formats a time as PuppetDB does.
func wire(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// extract asks for columns of the rows that match filter, of all with nil.
func extract(columns []string, filter any) []any {
	if filter == nil {
		return []any{"extract", columns}
	}
	return []any{"extract", columns, filter}
}
