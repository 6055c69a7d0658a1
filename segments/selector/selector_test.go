package selector

import (
	"strings"
	"testing"
)

var web1 = Of("web1.fra1.example.com",
	map[string]any{"os": map[string]any{"family": "Debian", "release": map[string]any{"major": "12"}}, "processors": map[string]any{"count": float64(8)},
		"disks": []any{map[string]any{"name": "sda"}}, "dotted.key": "yes", "virtual": false},
	map[string]any{"extensions": map[string]any{"pp_role": "web"}},
	map[string]any{"datacenter": "fra1", "environment": "production"})

func TestMatches(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`:                       true,
		`{enc.datacenter="fra1"}`:  true,
		`{enc.datacenter="ams1"}`:  false,
		`{enc.datacenter!="fra1"}`: false,
		`enc.datacenter="fra1"`:    true,
		`{enc.datacenter="fra1", facts.os.family!="windows", certname=~"web.*"}`: true,
		`{certname=~"web1"}`:                     false, // anchored, as in Prometheus
		`{certname!~"db.*"}`:                     true,
		`{facts.processors.count="8"}`:           true,
		`{facts.disks.0.name="sda"}`:             true,
		`{facts.disks.1.name=""}`:                true,
		`{facts.dotted.key="yes"}`:               true,
		`{facts.virtual="false"}`:                true,
		`{facts.os=""}`:                          true, // a tree has no value
		`{trusted.extensions.pp_role=~"web|db"}`: true,
		`{facts.nothing.here!=""}`:               false,
	} {
		s, err := Parse(text)
		if err != nil {
			t.Errorf("Parse(%s): %v", text, err)
			continue
		}
		if got := s.Matches(web1); got != want {
			t.Errorf("%s matches: %v, want %v", text, got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                      "selector is empty",
		`{datacenter="fra1"}`:   `unknown attribute "datacenter"`,
		`{facts.="x"}`:          `unknown attribute "facts."`,
		`{certname=~"("}`:       "selector",
		`{enc.datacenter="x"`:   "selector",
		`{enc.datacenter}`:      "selector",
		`enc.a="b" or enc.c="d`: "selector",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, want %q in it", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{enc.datacenter="fra1", certname=~"web.*"}`)
	f.Add(`certname!~"a"`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.String())
		if err != nil || again.Matches(web1) != s.Matches(web1) {
			t.Fatalf("%q does not survive a round trip: %v", text, err)
		}
	})
}
