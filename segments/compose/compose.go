// Package compose resolves segments: named parts of the fleet that are written as
// selectors, queries, lists of certnames and globs, or made of other segments.
// The daemon and `sluice plan` share it.
package compose

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// Definition is what a segment is: exactly one of Selector, PQL, Certnames, AnyOf, AllOf and Not.
type Definition struct {
	Selector string
	PQL      string
	// Certnames are certnames and globs such as "web*.example.com".
	Certnames []string
	// AnyOf, AllOf and Not are names of segments.
	AnyOf, AllOf []string
	Not          string
	// Parts cuts the segment to a share of itself, in parts of 1e9; nil is all.
	Parts *uint64
}

// Members are the certnames that a PQL query returned.
type Members map[string]bool

// Match says whether a segment holds a node.
type Match func(certname string, attributes selector.Attributes) bool

// References lists the segments that a definition is made of.
func (d Definition) References() []string {
	out := append(slices.Clone(d.AnyOf), d.AllOf...)
	if d.Not != "" {
		out = append(out, d.Not)
	}
	return out
}

// Closure lists a segment and all that it is made of, sorted. A segment that is not known, or that is made of
// itself, is an error with the way to it.
func Closure(definitions map[string]Definition, name string) ([]string, error) {
	found := map[string]bool{}
	var walk func(name string, way []string) error
	walk = func(name string, way []string) error {
		if slices.Contains(way, name) {
			return fmt.Errorf("segment %s is made of itself: %s", name, strings.Join(append(way, name), " -> "))
		}
		d, known := definitions[name]
		if !known {
			return fmt.Errorf("segment %q is not known", name)
		}
		if found[name] {
			return nil
		}
		for _, other := range d.References() {
			if err := walk(other, append(slices.Clone(way), name)); err != nil {
				return err
			}
		}
		found[name] = true
		return nil
	}
	if err := walk(name, nil); err != nil {
		return nil, err
	}
	var out []string
	for name := range found {
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

// Compile makes the match of a segment. query answers PQL; it is asked once for every query that matters.
func Compile(definitions map[string]Definition, name string, query func(pql string) (Members, error)) (Match, error) {
	names, err := Closure(definitions, name)
	if err != nil {
		return nil, err
	}
	own := make(map[string]Match, len(names))
	for _, n := range names {
		if own[n], err = definitions[n].own(n, own, query); err != nil {
			return nil, fmt.Errorf("segment %s: %w", n, err)
		}
	}
	return own[name], nil
}

// own makes the match of one definition; of may be filled later than this is called.
func (d Definition) own(name string, of map[string]Match, query func(pql string) (Members, error)) (Match, error) {
	match, err := d.whole(of, query)
	if err != nil || d.Parts == nil {
		return match, err
	}
	limit := segments.FromShare(*d.Parts)
	return func(certname string, a selector.Attributes) bool {
		return match(certname, a) && limit.Admits(segments.Position("segment:"+name, certname))
	}, nil
}

func (d Definition) whole(of map[string]Match, query func(pql string) (Members, error)) (Match, error) {
	switch {
	case d.Selector != "":
		sel, err := selector.Parse(d.Selector)
		if err != nil {
			return nil, err
		}
		return func(_ string, a selector.Attributes) bool { return sel.Matches(a) }, nil
	case d.PQL != "":
		members, err := query(d.PQL)
		if err != nil {
			return nil, err
		}
		return func(certname string, _ selector.Attributes) bool { return members[certname] }, nil
	case len(d.Certnames) > 0:
		return certnames(d.Certnames)
	case len(d.AnyOf) > 0:
		return func(certname string, a selector.Attributes) bool {
			return slices.ContainsFunc(d.AnyOf, func(n string) bool { return of[n](certname, a) })
		}, nil
	case len(d.AllOf) > 0:
		return func(certname string, a selector.Attributes) bool {
			return !slices.ContainsFunc(d.AllOf, func(n string) bool { return !of[n](certname, a) })
		}, nil
	case d.Not != "":
		return func(certname string, a selector.Attributes) bool { return !of[d.Not](certname, a) }, nil
	}
	return nil, fmt.Errorf("holds nothing: expected a selector, pql, certnames, any_of, all_of or not")
}

// IsGlob says whether an entry of a list of certnames is a pattern.
func IsGlob(entry string) bool { return strings.ContainsAny(entry, "*?[") }

func certnames(list []string) (Match, error) {
	exact, globs := map[string]bool{}, []string(nil)
	for _, entry := range list {
		if !IsGlob(entry) {
			exact[entry] = true
			continue
		}
		if _, err := path.Match(entry, ""); err != nil {
			return nil, fmt.Errorf("certnames: %q: %w", entry, err)
		}
		globs = append(globs, entry)
	}
	return func(certname string, _ selector.Attributes) bool {
		return exact[certname] || slices.ContainsFunc(globs, func(g string) bool {
			ok, _ := path.Match(g, certname) // the pattern was checked above
			return ok
		})
	}, nil
}
