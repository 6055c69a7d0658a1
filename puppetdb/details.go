package puppetdb

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// detailChunk bounds the hashes in one query: PuppetDB's time for a list is
// quadratic in its length (5,000 entries took 11 s), and a report with logs
// and events can be large.
const detailChunk = 50

// Detail is what a report says beyond Report. Lists are nil where PuppetDB has
// none: no run without events has an empty list there, it has null.
type Detail struct {
	Metrics []Metric
	Logs    []Log
	Events  []Event
}

// Metric is one figure of a run, such as category "resources", name "failed".
type Metric struct {
	Category string  `json:"category"`
	Name     string  `json:"name"`
	Value    float64 `json:"value"` // seconds in category "time", else a count
}

// Log is one line of the agent's log. Its text is for people: it changes
// between versions.
type Log struct {
	Level   string    `json:"level"` // debug, info, notice, warning, err, …
	Message string    `json:"message"`
	Source  string    `json:"source"`
	File    string    `json:"file"` // "" where there is none, as is Line 0
	Line    int       `json:"line"`
	Tags    []string  `json:"tags"`
	Time    time.Time `json:"time"`
}

// Event is one change of a resource, done, failed, pending or skipped.
type Event struct {
	Status        string    `json:"status"` // success, failure, noop, skipped, audit
	ResourceType  string    `json:"resource_type"`
	ResourceTitle string    `json:"resource_title"`
	Property      string    `json:"property"`
	Message       string    `json:"message"`
	File          string    `json:"file"`
	Line          int       `json:"line"`
	Timestamp     time.Time `json:"timestamp"`
}

// list is PuppetDB's expanded form of a sub-entity; data may be null.
type list[T any] struct {
	Data []T `json:"data"`
}

type detailRow struct {
	Hash    string       `json:"hash"`
	Metrics list[Metric] `json:"metrics"`
	Logs    list[Log]    `json:"logs"`
	Events  list[Event]  `json:"resource_events"`
}

// Details fetches metrics, logs and events of the reports with the given
// hashes, in chunks. A report that PuppetDB does not have, because it expired
// or never existed, is absent from the result: the caller must look. On an
// error the result is nil.
func (c *Client) Details(ctx context.Context, hashes []string) (map[string]Detail, error) {
	hashes = slices.Compact(slices.Sorted(slices.Values(hashes)))
	for _, h := range hashes {
		if !isHex(h) {
			return nil, fmt.Errorf("puppetdb details: hash %.60q: expected hexadecimal digits", h)
		}
	}
	found := make(map[string]Detail, len(hashes))
	for chunk := range slices.Chunk(hashes, detailChunk) {
		if err := c.details(ctx, chunk, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (c *Client) details(ctx context.Context, hashes []string, found map[string]Detail) error {
	q := extract([]string{"hash", "metrics", "logs", "resource_events"},
		[]any{"in", "hash", []any{"array", hashes}})
	return c.query(ctx, reportsPath, "details", q, func(r io.Reader) error {
		return each(r, heavyRow, objects(func(row detailRow) error {
			if !slices.Contains(hashes, row.Hash) {
				return fmt.Errorf("report %q was not asked for", row.Hash)
			}
			found[row.Hash] = Detail{row.Metrics.Data, row.Logs.Data, row.Events.Data}
			return nil
		}))
	})
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}
