package sluice_test

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/alertmanager/timeinterval"
	"go.yaml.in/yaml/v3"

	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
)

const configPage = "docs/configuration.md"

// row is a line of the tables: the key, its type, its default in backticks or a word, what it means.
var row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\| ([^|]+) \\|")

// keysOf lists the YAML keys of a type as the page writes them: schedules.NAME.stages[].bake.time.
func keysOf(t reflect.Type, at string) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return keysOf(t.Elem(), at)
	case reflect.Map:
		if t.Elem().Kind() != reflect.Struct || t.Elem().NumField() == 0 {
			return []string{at + ".NAME"}
		}
		return keysOf(t.Elem(), at+".NAME")
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct && (t.Elem().PkgPath() != timeintervalPkg || isInterval(t.Elem())) {
			return keysOf(t.Elem(), at+"[]")
		}
	case reflect.Struct:
		if (t.PkgPath() == timeintervalPkg && !isInterval(t)) || t.PkgPath() == "time" || t.Name() == "Amount" || t.Name() == "Moment" {
			break
		}
		return fieldsOf(t, at)
	}
	return []string{at}
}

func fieldsOf(t reflect.Type, at string) []string {
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == "-":
		case strings.Contains(options, "inline"):
			out = append(out, keysOf(f.Type, at)...)
		default:
			out = append(out, keysOf(f.Type, strings.TrimPrefix(at+"."+name, "."))...)
		}
	}
	return out
}

const timeintervalPkg = "github.com/prometheus/alertmanager/timeinterval"

func isInterval(t reflect.Type) bool { return t == reflect.TypeFor[timeinterval.TimeInterval]() }

// sections cuts the page into the part of sluiced.yml and the part of enc.yml.
func sections(t *testing.T) (daemon, enc map[string]string) {
	t.Helper()
	before, after, ok := strings.Cut(read(t, configPage), "\n## enc.yml")
	if !ok {
		t.Fatalf("%s: there is no section enc.yml", configPage)
	}
	rows := func(text string) map[string]string {
		out := map[string]string{}
		for _, m := range row.FindAllStringSubmatch(text, -1) {
			if _, twice := out[m[1]]; twice {
				t.Errorf("%s: %s is described twice", configPage, m[1])
			}
			out[m[1]] = strings.TrimSpace(m[2])
		}
		return out
	}
	return rows(before), rows(after)
}

func TestEveryKeyIsDocumented(t *testing.T) {
	daemon, enc := sections(t)
	for what, page := range map[string]struct {
		rows map[string]string
		keys []string
	}{
		"sluiced.yml": {daemon, keysOf(reflect.TypeFor[config.Config](), "")},
		"enc.yml":     {enc, keysOf(reflect.TypeFor[edge.Config](), "")},
	} {
		if len(page.keys) < 10 {
			t.Errorf("%s: only %v were found in the code", what, page.keys)
		}
		for _, key := range page.keys {
			if _, ok := page.rows[key]; !ok {
				t.Errorf("%s: %s has no row for %s", configPage, what, key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(page.rows)) {
			if !slices.Contains(page.keys, key) {
				t.Errorf("%s: %s has no key %s", configPage, what, key)
			}
		}
	}
}

// smallest has every section with no more than it must have, so that the rest are defaults.
const smallest = `
puppetdb: {url: "http://puppetdb.example.com:8080"}
prometheus: {url: "http://prometheus.example.com:9090"}
enc: {command: /usr/local/bin/site-enc}
tracks: {production: {}}
schedules: {any: {stages: [{name: everyone}]}}
policies: {any: {slis: [{name: errors, query: up, direction: increase}]}}
grafana: {url: "http://grafana.example.com", token_file: /etc/sluice/grafana.token}
webhooks: [{url: "http://chat.example.com/hook"}]
`

// TestDefaultsAreDocumented compares the column of defaults with what the code fills in.
func TestDefaultsAreDocumented(t *testing.T) {
	c, err := config.Parse("smallest.yml", []byte(smallest))
	if err != nil {
		t.Fatal(err)
	}
	filled := map[string]string{}
	flatten(t, c.String(), filled)
	given := map[string]string{}
	flatten(t, smallest, given)
	daemon, _ := sections(t)
	seen := 0
	for key, value := range filled {
		if _, written := given[key]; written || strings.HasPrefix(key, "policies.default.") {
			continue
		}
		seen++
		if got := daemon[key]; got != "`"+value+"`" {
			t.Errorf("%s: the default of %s is %s, the page says %s", configPage, key, value, got)
		}
	}
	for key, text := range daemon {
		if _, ok := filled[key]; !ok && strings.HasPrefix(text, "`") {
			t.Errorf("%s: %s has no default, the page says %s", configPage, key, text)
		}
	}
	if seen < 25 {
		t.Errorf("%d defaults were compared", seen)
	}
}

// flatten gives the leaves of a YAML text by their path.
func flatten(t *testing.T, text string, into map[string]string) {
	t.Helper()
	var root any
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		t.Fatal(err)
	}
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if key == "any" {
					key = "NAME"
				}
				walk(strings.TrimPrefix(at+"."+key, "."), value)
			}
		case []any:
			for _, value := range v {
				walk(at+"[]", value)
			}
		default:
			into[at] = fmt.Sprint(v)
		}
	}
	walk("", root)
}
