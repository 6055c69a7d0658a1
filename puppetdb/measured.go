package puppetdb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// measuredChunk bounds the certnames in one query: PuppetDB's time for a list is quadratic in its length.
const measuredChunk = 100

// Measured calls fn for every report of the given nodes with from <= producer_timestamp < to, with its metrics, in no order.
// Metrics are most of a report and of what PuppetDB has to do for it: this is a question about some nodes, for a short time.
//
// The answer is streamed: fn may have been called for some reports before an error.
func (c *Client) Measured(ctx context.Context, certnames []string, from, to time.Time, fn func(Report, []Metric) error) error {
	from, to = from.Truncate(time.Millisecond), to.Truncate(time.Millisecond)
	if !from.Before(to) {
		return fmt.Errorf("puppetdb measured reports: from %s to %s: expected a range", wire(from), wire(to))
	}
	for chunk := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(certnames))), measuredChunk) {
		of := append(produced(from, to), []any{"in", "certname", []any{"array", chunk}})
		q := extract(append(slices.Clone(reportColumns), "metrics"), of)
		if err := c.query(ctx, reportsPath, "measured", q, func(r io.Reader) error {
			var metrics struct{ Metrics list[Metric] }
			lean := newLean(func(report Report) error {
				if _, asked := slices.BinarySearch(chunk, report.Certname); !asked {
					return fmt.Errorf("reports of %q were not asked for", report.Certname)
				}
				return fn(report, metrics.Metrics.Data)
			})
			return each(r, heavyRow, func(row []byte) (int, error) {
				n, err := objectLen(row)
				if err != nil {
					return 0, err
				}
				metrics.Metrics = list[Metric]{}
				if err := json.Unmarshal(row[:n], &metrics); err != nil {
					return 0, err
				}
				return lean.row(row[:n])
			})
		}); err != nil {
			return err
		}
	}
	return nil
}
