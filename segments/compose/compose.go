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
	all, err := CompileAll(definitions, []string{name}, query)
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// CompileAll makes the matches of several segments, in order. What they are made of in common is made once.
func CompileAll(definitions map[string]Definition, names []string, query func(pql string) (Members, error)) ([]Match, error) {
	own := map[string]Match{}
	out := make([]Match, len(names))
	for i, name := range names {
		parts, err := Closure(definitions, name)
		if err != nil {
			return nil, err
		}
		for _, n := range parts {
			if own[n] != nil {
				continue
			}
			if own[n], err = definitions[n].own(n, own, query); err != nil {
				return nil, fmt.Errorf("segment %s: %w", n, err)
			}
		}
		out[i] = own[name]
	}
	return out, nil
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
	exact, globs := map[string]bool{}, []glob(nil)
	for _, entry := range list {
		if !IsGlob(entry) {
			exact[entry] = true
			continue
		}
		g, err := newGlob(entry)
		if err != nil {
			return nil, fmt.Errorf("certnames: %q: %w", entry, err)
		}
		globs = append(globs, g)
	}
	return func(certname string, _ selector.Attributes) bool {
		if exact[certname] {
			return true
		}
		for i := range globs {
			if globs[i].matches(certname) {
				return true
			}
		}
		return false
	}, nil
}

// glob is a pattern. Most have nothing but stars, and are matched by what lies between them.
type glob struct {
	pattern string
	parts   []string // between the stars; nil where there is more than stars
}

func newGlob(pattern string) (glob, error) {
	g := glob{pattern: pattern}
	if !strings.ContainsAny(pattern, `?[\`) {
		g.parts = strings.Split(pattern, "*")
	}
	_, err := path.Match(pattern, "")
	return g, err
}

// matches is path.Match.
func (g *glob) matches(name string) bool {
	if len(g.parts) < 2 || strings.Contains(name, "/") { // a star takes no slash
		ok, _ := path.Match(g.pattern, name) // the pattern was checked
		return ok
	}
	first, last := g.parts[0], g.parts[len(g.parts)-1]
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	rest := name[len(first) : len(name)-len(last)]
	for _, part := range g.parts[1 : len(g.parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return true
}
