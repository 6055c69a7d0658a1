package compose

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/segments/selector"
)

func parts(n uint64) *uint64 { return &n }

func nodeOf(dc string) selector.Attributes {
	return selector.Of("", nil, nil, map[string]any{"datacenter": dc})
}

var site = map[string]Definition{
	"fra":    {Selector: `{enc.datacenter="fra1"}`},
	"webs":   {Certnames: []string{"web*.example.com", "proxy.example.com", "db[12].example.com"}},
	"old":    {PQL: "nodes[certname]{ }"},
	"either": {AnyOf: []string{"fra", "webs"}},
	"both":   {AllOf: []string{"fra", "webs"}},
	"others": {Not: "either"},
	"half":   {Not: "fra", Parts: parts(500_000_000)},
}

func compile(t testing.TB, name string) Match {
	t.Helper()
	m, err := Compile(site, name, func(string) (Members, error) { return Members{"legacy.example.com": true}, nil })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		segment, certname, dc string
		want                  bool
	}{
		{"fra", "a", "fra1", true}, {"fra", "a", "ams1", false},
		{"webs", "web7.example.com", "", true}, {"webs", "proxy.example.com", "", true}, {"webs", "db2.example.com", "", true},
		{"webs", "db3.example.com", "", false}, {"webs", "a.web7.example.com", "", false}, {"webs", "proxy.example.com.evil", "", false},
		{"old", "legacy.example.com", "", true}, {"old", "new.example.com", "", false},
		{"either", "a", "fra1", true}, {"either", "web1.example.com", "ams1", true}, {"either", "a", "ams1", false},
		{"both", "web1.example.com", "fra1", true}, {"both", "web1.example.com", "ams1", false},
		{"others", "a", "ams1", true}, {"others", "a", "fra1", false}, {"others", "web1.example.com", "ams1", false},
	} {
		if got := compile(t, c.segment)(c.certname, nodeOf(c.dc)); got != c.want {
			t.Errorf("%s holds %s in %q: %t", c.segment, c.certname, c.dc, got)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		definitions map[string]Definition
		want        string
	}{
		"unknown":     {map[string]Definition{"s": {Not: "gone"}}, `"gone" is not known`},
		"itself":      {map[string]Definition{"s": {Not: "s"}}, "s -> s"},
		"a circle":    {map[string]Definition{"s": {AnyOf: []string{"b"}}, "b": {AllOf: []string{"c"}}, "c": {Not: "s"}}, "s -> b -> c -> s"},
		"nothing":     {map[string]Definition{"s": {}}, "holds nothing"},
		"a bad glob":  {map[string]Definition{"s": {Certnames: []string{"web[1"}}}, "web[1"},
		"no selector": {map[string]Definition{"s": {Selector: "{"}}, "selector"},
		"no answer":   {map[string]Definition{"s": {PQL: "q"}}, "PuppetDB is away"},
	} {
		m, err := Compile(c.definitions, "s", func(string) (Members, error) { return nil, errors.New("PuppetDB is away") })
		if m != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A segment and its complement divide the fleet, and a share of a segment lies in it.
func TestNotDivides(t *testing.T) {
	either, others, half := compile(t, "either"), compile(t, "others"), compile(t, "half")
	rapid.Check(t, func(t *rapid.T) {
		name := fmt.Sprintf("%s%d.example.com", rapid.SampledFrom([]string{"web", "db", "x"}).Draw(t, "kind"), rapid.IntRange(0, 9999).Draw(t, "n"))
		dc := rapid.SampledFrom([]string{"fra1", "ams1", ""}).Draw(t, "dc")
		if either(name, nodeOf(dc)) == others(name, nodeOf(dc)) {
			t.Fatalf("%s in %q is in both or in neither", name, dc)
		}
		if half(name, nodeOf(dc)) && dc == "fra1" {
			t.Fatalf("%s is in a share of a segment that does not hold it", name)
		}
	})
}

// What is told by the ends of a name is told the same as by the whole pattern.
func TestGlobIsPathMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.SampledFrom([]string{"web", "db", ".", "*", "?", "[0-9]", "[^a]", "1", "-", "[a-c].x", "\\*", "]"})
		pattern := strings.Join(rapid.SliceOfN(part, 1, 6).Draw(t, "pattern"), "")
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"web", "db", ".", "1", "7", "-", "a", "x", "*", "]"}), 0, 8).Draw(t, "name"), "")
		if !IsGlob(pattern) {
			return
		}
		g, err := newGlob(pattern)
		want, wantErr := path.Match(pattern, name)
		if err != nil || wantErr != nil {
			return // refused, or found to be bad by this name only
		}
		if got := g.matches(name); got != want {
			t.Fatalf("%q matches %q: %t, expected %t", pattern, name, got, want)
		}
	})
}
