package why

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/segment"
	"github.com/openinfrastructure/sluice/segments/compose"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// Attributes is what is known of a node. Value gives an attribute, Known says whether it was read at all: one that was not is
// no empty one.
type Attributes struct {
	Value selector.Attributes
	Known func(name string) bool
	Query func(pql string) (compose.Members, error) // nil: no query can be answered
}

// Segment says whether a named segment holds the node.
type Segment struct {
	Name  string `json:"name"`
	Holds Answer `json:"holds"`
	Why   string `json:"why,omitempty"` // it is not known, or where the answer is from
}

const askPuppetDB = "it takes the node's attributes to tell: --config.file or --inventory"

// segments answers for all of them, by name.
func (q *question) segments(all map[string]gate.Segment) []Segment {
	var out []Segment
	definitions := segment.Definitions(all)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		holds, why := q.matches(definitions, name)
		out = append(out, Segment{Name: name, Holds: holds, Why: why})
	}
	return out
}

// matches says whether a segment would hold the node if it was resolved now.
func (q *question) matches(definitions map[string]compose.Definition, name string) (Answer, string) {
	parts, err := compose.Closure(definitions, name)
	if err != nil {
		return Unknown, err.Error()
	}
	for _, part := range parts {
		if d := definitions[part]; d.PQL != "" && (q.Attributes == nil || q.Attributes.Query == nil) {
			return Unknown, "only PuppetDB can answer its query: --config.file"
		} else if s, err := selector.Parse(d.Selector); d.Selector != "" && err == nil && !q.knows(s) {
			return Unknown, askPuppetDB
		}
	}
	match, err := compose.Compile(definitions, name, q.query)
	if err != nil {
		return Unknown, err.Error()
	}
	return answer(match(q.Certname, q.attribute)), ""
}

func (q *question) query(pql string) (compose.Members, error) {
	if q.Attributes == nil || q.Attributes.Query == nil {
		return nil, errors.New("no query can be answered here")
	}
	return q.Attributes.Query(pql)
}

// selected says whether a selector of a person holds the node.
func (q *question) selected(text string) (Answer, string) {
	s, err := selector.Parse(text)
	switch {
	case err != nil:
		return Unknown, err.Error()
	case !q.knows(s):
		return Unknown, askPuppetDB
	}
	return answer(s.Matches(q.attribute)), ""
}

func (q *question) knows(s selector.Selector) bool {
	return !slices.ContainsFunc(s.Names(), func(name string) bool {
		return name != selector.Certname && (q.Attributes == nil || !q.Attributes.Known(name))
	})
}

func (q *question) attribute(name string) string {
	switch {
	case name == selector.Certname:
		return q.Certname
	case q.Attributes == nil:
		return ""
	}
	return q.Attributes.Value(name)
}

// Inventory makes the attributes of a node that was read whole. Without the site's ENC data, what starts with enc. is not known.
func Inventory(certname string, facts, trusted, enc map[string]any) *Attributes {
	return &Attributes{Value: selector.Of(certname, facts, trusted, enc),
		Known: func(name string) bool { return enc != nil || !strings.HasPrefix(name, "enc.") }}
}
