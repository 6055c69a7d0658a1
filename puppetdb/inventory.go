package puppetdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Node is a node's inventory. Facts and Trusted nest as Puppet gave them;
// numbers in them are json.Number, which keeps every digit.
type Node struct {
	Certname    string
	Environment string // of the last facts
	Facts       map[string]any
	Trusted     map[string]any
}

// Inventory calls fn for every active node that matches filter, an AST such as
// ["=","facts.os.family","Debian"]; nil is every node. As with Reports, fn may
// have been called before an error, and the caller must then discard.
func (c *Client) Inventory(ctx context.Context, filter any, fn func(Node) error) error {
	q := extract([]string{"certname", "environment", "facts", "trusted"}, filter)
	return c.query(ctx, inventoryPath, "inventory", q, func(r io.Reader) error {
		return each(r, heavyRow, objects(func(row inventoryRow) error {
			if row.Certname == "" {
				return errors.New("inventory without certname")
			}
			return fn(Node{row.Certname, row.Environment, row.Facts, row.Trusted})
		}))
	})
}

// InventoryOf is Inventory with only the named attributes, such as
// "facts.os.family" or "trusted.extensions.pp_role", nested as in Node. A whole
// set of facts has tens of kilobytes: for a large fleet, ask for what is used.
// An attribute that a node lacks is absent. PuppetDB takes names of up to 63
// bytes.
func (c *Client) InventoryOf(ctx context.Context, attributes []string, filter any, fn func(Node) error) error {
	for _, a := range attributes {
		if head, rest, _ := strings.Cut(a, "."); (head != "facts" && head != "trusted") || rest == "" || len(a) > 63 {
			return fmt.Errorf("puppetdb inventory: attribute %q: expected facts.NAME or trusted.NAME of at most 63 bytes", a)
		}
	}
	q := extract(append([]string{"certname", "environment"}, attributes...), filter)
	return c.query(ctx, inventoryPath, "inventory", q, func(r io.Reader) error {
		return each(r, heavyRow, objects(func(row tree) error {
			n, err := row.node(attributes)
			if err != nil {
				return err
			}
			return fn(n)
		}))
	})
}

// node builds a Node from a row of dotted columns.
func (t tree) node(attributes []string) (Node, error) {
	n := Node{Facts: map[string]any{}, Trusted: map[string]any{}}
	n.Certname, _ = t["certname"].(string)
	n.Environment, _ = t["environment"].(string) // null: no facts yet
	if n.Certname == "" {
		return n, errors.New("inventory without certname")
	}
	for _, a := range attributes {
		v, ok := t[a]
		if !ok {
			return n, fmt.Errorf("inventory of %s lacks the column %s", n.Certname, a)
		}
		if v == nil {
			continue
		}
		path := strings.Split(a, ".")
		at := n.Facts
		if path[0] == "trusted" {
			at = n.Trusted
		}
		for _, part := range path[1 : len(path)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		at[path[len(path)-1]] = v
	}
	return n, nil
}

type inventoryRow struct {
	Certname    string `json:"certname"`
	Environment string `json:"environment"`
	Facts       tree   `json:"facts"`
	Trusted     tree   `json:"trusted"`
}

// tree is a JSON object of any shape that keeps numbers as they are written.
type tree map[string]any

// UnmarshalJSON reads an object or null.
func (t *tree) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode((*map[string]any)(t))
}
