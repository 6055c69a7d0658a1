// Package plan says before a rollout starts who is in which stage, when, and what each stage can show. It decides
// nothing itself: admissions are those of package segments, thresholds those of package gate.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/internal/segment"
	"github.com/openinfrastructure/sluice/segments/compose"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// row is a node as /pdb/query/v4/inventory returns it. ENC is the site's ENC data, which PuppetDB does not have; whoever
// makes the file may add it.
type row struct {
	Certname    string
	Environment string
	Facts       map[string]any
	Trusted     map[string]any
	ENC         map[string]any
}

// member is what is kept of a node: which of the stages' segments hold it, and its domain.
type member struct {
	certname string
	in       []bool // by index of fleet.segments
	kind     int    // index of fleet.kinds
	domain   string
	strata   []string // by index of strata.attributes
}

// kind is the nodes that are in the same segments.
type kind struct {
	in    []bool // by index of fleet.segments
	nodes int
}

// fleet is the nodes of a track.
type fleet struct {
	segments []string
	matches  []compose.Match
	track    string
	by       string // attribute that names the domain, "" for none
	nodes    []member
	kinds    []kind
	kindOf   map[string]int // by what segments hold it, a byte each
	strata   *strata
	needsENC bool
	seenENC  bool
}

// newFleet prepares to read nodes for the segments that the stages name.
func newFleet(r Request) (*fleet, error) {
	f := &fleet{track: r.Track, by: r.By, needsENC: strings.HasPrefix(r.By, "enc."), strata: newStrata(r), kindOf: map[string]int{}}
	definitions := segment.Definitions(r.Segments)
	for _, stage := range r.Schedule.Stages {
		if stage.Segment == "" || slices.Contains(f.segments, stage.Segment) {
			continue
		}
		match, err := compose.Compile(definitions, stage.Segment, r.query)
		if err != nil {
			return nil, err
		}
		f.segments, f.matches = append(f.segments, stage.Segment), append(f.matches, match)
		f.needsENC = f.needsENC || usesENC(definitions, stage.Segment)
	}
	return f, nil
}

// usesENC says whether a segment that compiles looks at ENC data.
func usesENC(definitions map[string]compose.Definition, name string) bool {
	all, err := compose.Closure(definitions, name)
	return err == nil && slices.ContainsFunc(all, func(name string) bool {
		s, err := selector.Parse(definitions[name].Selector)
		return err == nil && slices.ContainsFunc(s.Names(), func(n string) bool { return strings.HasPrefix(n, "enc.") })
	})
}

// query refuses PQL: a file cannot answer it.
func (r Request) query(pql string) (compose.Members, error) {
	if r.Query == nil {
		return nil, fmt.Errorf("%q can only be answered by PuppetDB: leave --inventory out", pql)
	}
	return r.Query(pql)
}

// add takes one node in; its facts are not kept.
func (f *fleet) add(n row) error {
	if n.Certname == "" {
		return errors.New("a node has no certname")
	}
	f.seenENC = f.seenENC || n.ENC != nil
	if env, _ := n.ENC["environment"].(string); env != "" && f.track != "" && env != f.track {
		return nil // upstream has it elsewhere
	}
	attributes := selector.Of(n.Certname, n.Facts, n.Trusted, n.ENC)
	m := member{certname: n.Certname, kind: f.kind(n.Certname, attributes), strata: f.strata.of(attributes)}
	m.in = f.kinds[m.kind].in
	if f.by != "" {
		m.domain = attributes(f.by)
	}
	f.nodes = append(f.nodes, m)
	return nil
}

// kind counts a node with its kind, and finds that.
func (f *fleet) kind(certname string, attributes func(name string) string) int {
	in, key := make([]bool, len(f.matches)), make([]byte, len(f.matches))
	for i, match := range f.matches {
		if in[i] = match(certname, attributes); in[i] {
			key[i] = 1
		}
	}
	k, known := f.kindOf[string(key)]
	if !known {
		k = len(f.kinds)
		f.kinds, f.kindOf[string(key)] = append(f.kinds, kind{in: in}), k
	}
	f.kinds[k].nodes++
	return k
}

// done checks what was read.
func (f *fleet) done() error {
	if len(f.nodes) == 0 {
		return errors.New("the inventory has no node of the track")
	}
	if f.needsENC && !f.seenENC {
		return errors.New("enc.* is used, and no node of the inventory has ENC data: add an object \"enc\" to its rows, or ask the site's ENC with --enc")
	}
	slices.SortFunc(f.nodes, func(a, b member) int { return strings.Compare(a.certname, b.certname) })
	for i := 1; i < len(f.nodes); i++ {
		if f.nodes[i].certname == f.nodes[i-1].certname {
			return fmt.Errorf("node %s is in the inventory twice", f.nodes[i].certname)
		}
	}
	return nil
}

// ReadInventory calls fn for every node of a JSON array, one at a time.
func ReadInventory(r io.Reader, fn func(certname, environment string, facts, trusted, enc map[string]any) error) error {
	d := json.NewDecoder(r)
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("inventory: expected the JSON array that /pdb/query/v4/inventory returns")
	}
	for n := 1; d.More(); n++ {
		var one row
		if err := d.Decode(&one); err != nil {
			return fmt.Errorf("inventory: node %d: %w", n, err)
		}
		if err := fn(one.Certname, one.Environment, one.Facts, one.Trusted, one.ENC); err != nil {
			return fmt.Errorf("inventory: node %d: %w", n, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("inventory: it is cut off: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("inventory: something follows the array")
	}
	return nil
}
