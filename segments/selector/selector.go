// Package selector reads selectors: Alertmanager-style matchers over a node's attributes, such as
//
//	{enc.datacenter="fra1", facts.os.family!="windows", certname=~"web.*"}
//
// One syntax serves segments, holds and the filters of the CLI. Attributes are `certname`, `facts.*`
// and `trusted.*` (PuppetDB's inventory) and `enc.*` (the site's ENC data).
package selector

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
)

// Certname is the attribute that every node has.
const Certname = "certname"

var roots = []string{"facts.", "trusted.", "enc."}

// Selector is a conjunction of matchers. The zero value matches every node.
type Selector struct {
	text     string
	matchers labels.Matchers
}

// Attributes answers what a node says for an attribute; "" where it says nothing, as in Prometheus.
type Attributes func(name string) string

// Parse reads a selector. The braces may be left out. An attribute that can never exist is an error:
// it would match no node, or with != every node.
func Parse(text string) (Selector, error) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" {
		return Selector{}, fmt.Errorf("selector is empty; {} selects every node")
	}
	ms, err := parse.Matchers(trimmed)
	if err != nil {
		return Selector{}, fmt.Errorf("selector %s: %w; expected matchers such as {enc.datacenter=\"fra1\", certname=~\"web.*\"}", trimmed, err)
	}
	for _, m := range ms {
		if err := checkName(m.Name); err != nil {
			return Selector{}, fmt.Errorf("selector %s: %w", trimmed, err)
		}
	}
	return Selector{text: trimmed, matchers: ms}, nil
}

// ParseWith reads a selector of something else than nodes, which has the attributes in names and no others.
func ParseWith(text string, names []string) (Selector, error) {
	trimmed := strings.TrimSpace(text)
	ms, err := parse.Matchers(trimmed)
	if err != nil || trimmed == "" {
		return Selector{}, fmt.Errorf("selector %q: expected matchers such as %s=\"x\"", trimmed, names[0])
	}
	for _, m := range ms {
		if !slices.Contains(names, m.Name) {
			return Selector{}, fmt.Errorf("selector %s: unknown attribute %q; expected one of %s", trimmed, m.Name, strings.Join(names, ", "))
		}
	}
	return Selector{text: trimmed, matchers: ms}, nil
}

func checkName(name string) error {
	if name == Certname {
		return nil
	}
	for _, r := range roots {
		if strings.HasPrefix(name, r) && len(name) > len(r) {
			return nil
		}
	}
	return fmt.Errorf("unknown attribute %q; expected certname, facts.NAME, trusted.NAME or enc.NAME", name)
}

// Matches says whether every matcher holds for the node.
func (s Selector) Matches(attribute Attributes) bool {
	for _, m := range s.matchers {
		if !m.Matches(attribute(m.Name)) {
			return false
		}
	}
	return true
}

// Names lists the attributes that the selector looks at, in order of appearance.
func (s Selector) Names() []string {
	names := make([]string, len(s.matchers))
	for i, m := range s.matchers {
		names[i] = m.Name
	}
	return names
}

// String is the selector as it was written.
func (s Selector) String() string { return s.text }
