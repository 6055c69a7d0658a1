package config

import (
	"encoding"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/openinfrastructure/sluice/gate/schedule"
)

// leaf fills a type that reads itself.
func (d *decoder) leaf(node *yaml.Node, target reflect.Value, path string) {
	if target.Type() == reflect.TypeFor[timeinterval.TimeRange]() {
		if !d.timeRange(node, path) {
			return
		}
	} else if node.Kind != yaml.ScalarNode {
		d.add(node.Line, path, "expected %s, got %s", expectation(target.Type()), describe(node))
		return
	}
	var err error
	switch into := target.Addr().Interface().(type) {
	case *timeinterval.Location:
		// An empty name would be UTC by accident.
		if err = fmt.Errorf("got %q", node.Value); node.Value != "" {
			err = node.Decode(into)
		}
	case encoding.TextUnmarshaler:
		err = into.UnmarshalText([]byte(node.Value))
	default:
		err = node.Decode(into)
	}
	if err != nil {
		d.add(node.Line, path, "%s", leafReason(target.Type(), node, err))
	}
}

// timeRange says whether the keys of a time range, which reads itself but
// takes any, are right.
func (d *decoder) timeRange(node *yaml.Node, path string) bool {
	before := len(d.problems)
	keys := []string{"end_time", "start_time"}
	d.mapping(node, path, func(key, child string, keyNode, value *yaml.Node) {
		if !slices.Contains(keys, key) {
			d.add(keyNode.Line, child, "unknown key, expected %s", oneOf(keys))
			return
		}
		var text string
		d.value(value, reflect.ValueOf(&text).Elem(), child)
	})
	return len(d.problems) == before
}

// expectation says what may stand for a type.
func expectation(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[model.Duration]():
		return "a duration such as 30s, 1h30m or 1d"
	case reflect.TypeFor[time.Time]():
		return "a time such as 2027-01-31T08:00:00+01:00"
	case reflect.TypeFor[timeinterval.Location]():
		return "an IANA zone such as Europe/Berlin"
	case reflect.TypeFor[regexp.Regexp]():
		return "a regular expression"
	default:
		return "one value"
	}
}

// leafReason words the error of a type that reads itself.
func leafReason(t reflect.Type, node *yaml.Node, err error) string {
	switch t {
	case reflect.TypeFor[model.Duration](), reflect.TypeFor[time.Time](), reflect.TypeFor[timeinterval.Location]():
		return fmt.Sprintf("expected %s, got %q", expectation(t), node.Value)
	default:
		return tidy(err)
	}
}

var unmarshalNoise = regexp.MustCompile(`(?s)\Ayaml: (?:unmarshal errors:\n\s*)?(?:line \d+: )?`)

// tidy takes the line number, which is given already, off a YAML error.
func tidy(err error) string {
	return strings.ReplaceAll(unmarshalNoise.ReplaceAllString(err.Error(), ""), "\n", "; ")
}

// scalar fills a string, number or truth value, each only from its own kind. A
// share such as 0.05 may also be written 5%.
func (d *decoder) scalar(node *yaml.Node, target reflect.Value, path string) {
	expected, ok := "one value", false
	switch target.Kind() {
	case reflect.String:
		expected, ok = "a string", node.Tag == "!!str"
	case reflect.Bool:
		expected, ok = "true or false", node.Tag == "!!bool"
	case reflect.Int, reflect.Int64:
		expected, ok = "a whole number", node.Tag == "!!int"
	case reflect.Float64:
		expected, ok = "a number or a percentage", node.Tag == "!!int" || node.Tag == "!!float"
	}
	if share, err := schedule.ParsePercent(node.Value); err == nil && target.Kind() == reflect.Float64 {
		target.SetFloat(float64(share) / float64(schedule.Hundred))
		return
	}
	fresh := reflect.New(target.Type())
	if !ok || node.Kind != yaml.ScalarNode || node.Decode(fresh.Interface()) != nil || !finite(fresh.Elem()) {
		d.add(node.Line, path, "expected %s, got %s", expected, describe(node))
		return
	}
	target.Set(fresh.Elem())
}

func finite(v reflect.Value) bool {
	return v.Kind() != reflect.Float64 || !math.IsNaN(v.Float()) && !math.IsInf(v.Float(), 0)
}

// describe names what was written, shortened.
func describe(node *yaml.Node) string {
	const long = 60
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	}
	value := node.Value
	if runes := []rune(value); len(runes) > long {
		value = string(runes[:long]) + "…"
	}
	return fmt.Sprintf("%q", value)
}

func oneOf(keys []string) string {
	if len(keys) == 0 {
		return "none"
	}
	return "one of " + strings.Join(keys, ", ")
}

func sortedKeys[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
