package puppetdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	rootPath      = "/pdb/query/v4"
	nodesPath     = "/pdb/query/v4/nodes"
	inventoryPath = "/pdb/query/v4/inventory"
)

// NodeStatus is PuppetDB's summary of an active node. Where a node never sent
// the thing in question, the text is "" and the time zero.
type NodeStatus struct {
	Certname            string    `json:"certname"`
	Deactivated         time.Time `json:"deactivated"`
	Expired             time.Time `json:"expired"`
	FactsTimestamp      time.Time `json:"facts_timestamp"`  // PuppetDB's clock
	ReportTimestamp     time.Time `json:"report_timestamp"` // end of the latest run, agent's clock
	ReportEnvironment   string    `json:"report_environment"`
	CachedCatalogStatus string    `json:"cached_catalog_status"`
	LatestReportHash    string    `json:"latest_report_hash"`
	LatestReportStatus  string    `json:"latest_report_status"`
	LatestReportNoop    bool      `json:"latest_report_noop"`
}

var nodeColumns = []string{
	"certname", "deactivated", "expired", "facts_timestamp", "report_timestamp", "report_environment",
	"cached_catalog_status", "latest_report_hash", "latest_report_status", "latest_report_noop",
}

// Nodes calls fn for every active node. A node that was silent for longer than
// PuppetDB's node-ttl (7 days by default) is not active. As with Reports, fn
// may have been called before an error, and the caller must then discard.
func (c *Client) Nodes(ctx context.Context, fn func(NodeStatus) error) error {
	return c.query(ctx, nodesPath, "nodes", extract(nodeColumns, nil), func(r io.Reader) error {
		return each(r, leanRow, objects(func(n NodeStatus) error {
			if n.Certname == "" {
				return errors.New("node without certname")
			}
			return fn(n)
		}))
	})
}

// PQL calls fn with the certname of every row of a PQL query, which must ask
// for certnames: nodes[certname] { … }. A certname may come more than once. As
// with Reports, fn may have been called before an error, and the caller must
// then discard.
func (c *Client) PQL(ctx context.Context, query string, fn func(certname string) error) error {
	if strings.TrimSpace(query) == "" {
		return errors.New("puppetdb pql: the query is empty; expected nodes[certname] { … }")
	}
	return c.query(ctx, rootPath, "segment", query, func(r io.Reader) error {
		return each(r, heavyRow, objects(func(row map[string]any) error {
			name, ok := row["certname"].(string)
			if !ok || name == "" {
				return fmt.Errorf("pql query %.200q: rows have the columns %s; expected certname, as in nodes[certname] { … }",
					query, strings.Join(slices.Sorted(maps.Keys(row)), ", "))
			}
			return fn(name)
		}))
	})
}
