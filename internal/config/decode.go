package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder fills Go values from YAML nodes. It is our own because YAML's
// decoder neither names the path of a wrong key nor tells a key that is absent
// from one that is zero.
type decoder struct {
	file     string
	problems Problems
	lines    map[string]int // path -> line on which its key stands
}

// defaulter is a section that fills in what was not written. given takes a
// key, or a dotted path, below the section.
type defaulter interface {
	SetDefaults(given func(key string) bool)
}

// shorthand is a section that can also be written as one string.
type shorthand interface{ setShorthand(text string) }

// oldUnmarshaler is what the time interval types of Alertmanager have.
type oldUnmarshaler interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

func (d *decoder) add(line int, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Path: path, Reason: fmt.Sprintf(format, args...)})
}

// value fills target, which must be settable, from the node at path.
func (d *decoder) value(node *yaml.Node, target reflect.Value, path string) {
	if _, seen := d.lines[path]; !seen {
		d.lines[path] = node.Line
	}
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		d.add(node.Line, path, "anchors and aliases are not supported, write the value out")
		return
	case node.Style&yaml.TaggedStyle != 0:
		d.add(node.Line, path, "explicit tag %s is not supported", node.Tag)
		return
	case node.Kind == yaml.ScalarNode && node.Tag == "!!null":
		d.add(node.Line, path, "has no value, give one or leave the key out")
		return
	}
	if target.Kind() == reflect.Pointer && !isLeaf(target.Type().Elem()) {
		target.Set(reflect.New(target.Type().Elem()))
		target = target.Elem()
	} else if target.Kind() == reflect.Pointer {
		target.Set(reflect.New(target.Type().Elem()))
		d.leaf(node, target.Elem(), path)
		return
	}
	if isLeaf(target.Type()) {
		d.leaf(node, target, path)
		return
	}
	switch target.Kind() {
	case reflect.Struct:
		d.section(node, target, path)
	case reflect.Map:
		d.names(node, target, path)
	case reflect.Slice:
		d.list(node, target, path)
	default:
		d.scalar(node, target, path)
	}
}

// section fills a struct from a mapping.
func (d *decoder) section(node *yaml.Node, target reflect.Value, path string) {
	if short, ok := target.Addr().Interface().(shorthand); ok && node.Kind == yaml.ScalarNode {
		var text string
		d.scalar(node, reflect.ValueOf(&text).Elem(), path)
		short.setShorthand(text)
		return
	}
	fields := map[string]reflect.Value{}
	collectFields(target, fields)
	d.mapping(node, path, func(key, child string, keyNode, value *yaml.Node) {
		field, known := fields[key]
		if !known {
			d.add(keyNode.Line, child, "unknown key, expected %s", oneOf(sortedKeys(fields)))
			return
		}
		d.value(value, field, child)
	})
	if section, ok := target.Addr().Interface().(defaulter); ok {
		section.SetDefaults(func(key string) bool {
			_, given := d.lines[join(path, key)]
			return given
		})
	}
}

// names fills a map from names to sections.
func (d *decoder) names(node *yaml.Node, target reflect.Value, path string) {
	target.Set(reflect.MakeMap(target.Type()))
	d.mapping(node, path, func(key, child string, _, value *yaml.Node) {
		element := reflect.New(target.Type().Elem()).Elem()
		if seed, ok := seeds[element.Type()]; ok {
			element.Set(seed())
		}
		d.value(value, element, child)
		target.SetMapIndex(reflect.ValueOf(key), element)
	})
}

func (d *decoder) list(node *yaml.Node, target reflect.Value, path string) {
	if node.Kind != yaml.SequenceNode {
		d.add(node.Line, path, "expected a list, got %s", describe(node))
		return
	}
	target.Set(reflect.MakeSlice(target.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		d.value(item, target.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

// mapping calls each for every key of a mapping, once.
func (d *decoder) mapping(node *yaml.Node, path string, each func(key, child string, keyNode, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		d.add(node.Line, path, "expected a mapping, got %s", describe(node))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" || key.Anchor != "" {
			d.add(key.Line, path, "expected a plain key, got %s", describe(key))
			continue
		}
		child := join(path, quoteKey(key.Value))
		if line, twice := first[key.Value]; twice {
			d.add(key.Line, child, "is given twice, first on line %d", line)
			continue
		}
		first[key.Value] = key.Line
		d.lines[child] = key.Line
		each(key.Value, child, key, value)
	}
}

// collectFields finds the settable fields of a struct by their yaml key.
func collectFields(target reflect.Value, fields map[string]reflect.Value) {
	for i := range target.NumField() {
		field := target.Type().Field(i)
		key, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		switch {
		case key == "-" || !field.IsExported():
		case slices.Contains(strings.Split(options, ","), "inline"):
			collectFields(target.Field(i), fields)
		case key != "":
			fields[key] = target.Field(i)
		}
	}
}

// isLeaf says whether a type reads itself from one node.
func isLeaf(t reflect.Type) bool {
	pointer := reflect.PointerTo(t)
	return pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) ||
		pointer.Implements(reflect.TypeFor[oldUnmarshaler]()) ||
		pointer.Implements(reflect.TypeFor[yaml.Unmarshaler]())
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var plainKey = regexp.MustCompile(`\A[A-Za-z0-9_-]+\z`)

// quoteKey keeps a path readable when a key holds dots or blanks.
func quoteKey(key string) string {
	if plainKey.MatchString(key) {
		return key
	}
	return strconv.Quote(key)
}
