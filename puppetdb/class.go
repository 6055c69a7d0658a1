package puppetdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

const (
	catalogsPath  = "/pdb/query/v4/catalogs"
	resourcesPath = "/pdb/query/v4/resources"
)

// classChunk bounds the certnames in one query: PuppetDB's time for a list is quadratic in its length.
const classChunk = 100

// Class is what PuppetDB says of a class in the catalog that a node applied last.
type Class struct {
	Produced   time.Time      // when puppetserver made the catalog, by its clock
	Parameters map[string]any // nil: the catalog has no such class
}

// Classes asks for a class (title as Puppet writes it: Sluice, Profile::Ntp) in the catalogs of the given nodes. Only a node
// whose newest report is of the catalog that PuppetDB has is in the answer: PuppetDB keeps the newest catalog alone, and one that
// was made and not applied yet proves nothing about a run. On an error the result is nil.
func (c *Client) Classes(ctx context.Context, title string, certnames []string) (map[string]Class, error) {
	certnames = slices.Compact(slices.Sorted(slices.Values(certnames)))
	found := make(map[string]Class, len(certnames))
	for chunk := range slices.Chunk(certnames, classChunk) {
		if err := c.classes(ctx, title, chunk, found); err != nil {
			return nil, fmt.Errorf("class %s: %w", title, err)
		}
	}
	return found, nil
}

type catalogRow struct {
	Certname    string    `json:"certname"`
	CatalogUUID string    `json:"catalog_uuid"`
	Produced    time.Time `json:"producer_timestamp"`
}

func (c *Client) classes(ctx context.Context, title string, certnames []string, found map[string]Class) error {
	of := []any{"in", "certname", []any{"array", certnames}}
	applied, err := rowsOf[catalogRow](ctx, c, reportsPath, extract([]string{"certname", "catalog_uuid"}, []any{"and", of, []any{"=", "latest_report?", true}}))
	if err != nil {
		return err
	}
	before, err := rowsOf[catalogRow](ctx, c, catalogsPath, extract([]string{"certname", "catalog_uuid", "producer_timestamp"}, of))
	if err != nil {
		return err
	}
	type classRow struct {
		Certname   string         `json:"certname"`
		Parameters map[string]any `json:"parameters"`
	}
	classes, err := rowsOf[classRow](ctx, c, resourcesPath, extract([]string{"certname", "parameters"},
		[]any{"and", of, []any{"=", "type", "Class"}, []any{"=", "title", title}}))
	if err != nil {
		return err
	}
	// Again: the class may have been read from a catalog that came in between.
	after, err := rowsOf[catalogRow](ctx, c, catalogsPath, extract([]string{"certname", "catalog_uuid", "producer_timestamp"}, of))
	if err != nil {
		return err
	}
	uuid, parameters := map[string]string{}, map[string]map[string]any{}
	for _, r := range applied {
		uuid[r.Certname] = r.CatalogUUID
	}
	for _, r := range classes {
		if parameters[r.Certname] = r.Parameters; r.Parameters == nil {
			parameters[r.Certname] = map[string]any{}
		}
	}
	same := map[catalogRow]bool{}
	for _, r := range before {
		same[r] = true
	}
	for _, r := range after {
		if slices.Contains(certnames, r.Certname) && same[r] && r.CatalogUUID != "" && uuid[r.Certname] == r.CatalogUUID {
			found[r.Certname] = Class{Produced: r.Produced, Parameters: parameters[r.Certname]}
		}
	}
	return nil
}

func rowsOf[T any](ctx context.Context, c *Client, path string, query any) (rows []T, err error) {
	err = c.query(ctx, path, "class", query, func(r io.Reader) error {
		return each(r, heavyRow, objects(func(row T) error {
			if len(rows) > 10*classChunk {
				return errors.New("more rows than were asked for")
			}
			rows = append(rows, row)
			return nil
		}))
	})
	return rows, err
}
