package sluice_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/openinfrastructure/sluice"

// layers says which packages of the module each package may import; tests may import more. The first line that
// matches holds. A trailing /... takes in what lies below.
var layers = []struct {
	of  string
	may []string
}{
	// Leaves: of the module they import nothing.
	{"puppetdb", nil},
	{"segments", nil},
	{"segments/selector", nil},
	{"analyzer/stats", nil},
	{"analyzer/sli", nil},
	{"gate/flags", nil},
	{"gate/schedule", nil},
	{"segments/compose", []string{"segments", "segments/selector"}},
	{"internal/store", nil},

	// The domain.
	{"analyzer", []string{"analyzer/stats"}},
	{"gate", []string{"analyzer", "segments", "gate/flags", "gate/schedule"}},

	// Adapters. internal/tree knows internal/enc, which reads the manifest, and internal/enc/edge, which owns what an
	// edge says of itself: both are the content of keys.
	{"internal/store/consultest", []string{"internal/store", "deploy/consul"}},
	{"internal/store/...", []string{"internal/store/..."}},
	{"internal/enc/lookup", []string{"segments", "gate/flags"}},
	{"internal/enc/bench/...", []string{"segments", "gate/flags", "internal/enc/..."}}, // measures a lookup; linked into no program
	{"internal/enc", []string{"segments", "gate/flags"}},
	{"internal/enc/edge", []string{"segments", "gate/flags", "internal/enc", "internal/enc/lookup", "internal/store"}},
	{"internal/tree", []string{"analyzer", "gate", "gate/flags", "segments", "internal/store", "internal/enc", "internal/enc/edge"}},
	{"internal/config", []string{"analyzer", "analyzer/sli", "gate", "gate/schedule", "segments/selector", "segments/compose", "internal/segment", "internal/ical"}},
	{"internal/segment", []string{"gate", "segments/compose"}},
	{"internal/plan", []string{"internal/segment", "analyzer", "analyzer/stats", "gate", "gate/schedule", "internal/words", "segments", "segments/..."}},
	{"internal/intake", []string{"analyzer", "internal/config", "puppetdb"}},
	{"internal/replay", []string{"analyzer", "analyzer/stats", "puppetdb", "segments", "internal/intake"}},
	{"internal/siteenc", []string{"internal/config"}},
	{"internal/ical", []string{"gate/schedule"}},
	{"internal/notify/...", nil},
	{"internal/web", nil},
	{"internal/words", nil},
	{"internal/api", []string{"internal/store", "internal/tree", "internal/verb", "internal/web", "internal/why"}},
	{"internal/verb", []string{"gate", "gate/flags", "gate/schedule", "internal/store", "internal/tree", "internal/words", "segments", "segments/selector"}},
	{"internal/why", []string{"gate", "gate/schedule", "internal/enc/edge", "internal/segment", "internal/tree", "internal/verb", "internal/words", "segments", "segments/compose", "segments/selector"}},
	{"deploy/...", nil},
	{"puppetdb/pdbserver", []string{"puppetdb"}},
	{"puppetdb/puppetdbtest", []string{"puppetdb", "puppetdb/pdbserver"}},
	// A simulated fleet asks the real ENC code, and answers with the fake PuppetDB's queries.
	{"internal/fleetsim/benchdaemon", []string{"internal/fleetsim", "internal/enc", "puppetdb"}}, // measures; linked into no program
	{"internal/fleetsim", []string{"puppetdb/...", "segments/...", "internal/enc/lookup"}},

	{"internal/walk", nil}, // tests only: they import what they walk over

	// What wires. The two command lines and the daemon do not know each other.
	{"internal/cli/edgecli", []string{"internal/enc/edge", "internal/store/..."}},
	{"internal/cli/progress", nil},
	{"internal/cli", []string{"internal/cli/progress", "analyzer", "analyzer/stats", "gate/...", "segments/...", "internal/config", "internal/enc/...", "internal/store/...", "internal/tree", "internal/verb", "internal/words", "internal/plan", "internal/intake", "internal/replay", "internal/siteenc", "internal/why", "puppetdb"}},
	{"internal/daemon", []string{"analyzer/...", "gate/...", "segments/...", "puppetdb", "internal/config", "internal/enc/...",
		"internal/api", "internal/intake", "internal/notify", "internal/segment", "internal/siteenc", "internal/store/...", "internal/tree", "internal/web", "internal/why"}},
	// The demo knows the programs only from outside.
	{"internal/demo", nil},
	{"tools/demo", []string{"internal/demo"}},
	{"tools/internal/kayenta", nil},
	{"tools/scalebench", nil}, // runs the others
	{"tools/internal/page", nil},
	{"tools/rolloutbench", []string{"analyzer", "analyzer/stats", "tools/internal/..."}},
	{"tools/statsbench/speed", []string{"analyzer/stats"}}, // measures; linked into no program
	{"tools/statsbench", []string{"analyzer/stats", "tools/internal/..."}},
	{"internal/e2e/benchconsul", []string{"internal/store/...", "internal/enc/edge", "segments"}}, // measure; linked into no program
	{"internal/e2e/benchpuppetdb", []string{"internal/e2e/stack", "internal/fleetsim", "puppetdb"}},
	{"internal/e2e/...", []string{"internal/e2e/..."}},
	{"cmd/...", []string{"internal/fleetsim", "internal/cli/...", "internal/daemon", "internal/enc/lookup"}},
}

// pkg is what `go list` says of a package; all paths in full.
type pkg struct {
	ImportPath string
	Imports    []string // of the package itself, not of its tests
	Deps       []string // everything it is linked with
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("go list found %d packages: the test looks at the wrong place", len(all))
	}
	return all
}

// ours gives the path below the module; ok is false for foreign packages.
func ours(importPath string) (rel string, ok bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

func covers(pattern, rel string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	return rel == base || below && strings.HasPrefix(rel, base+"/")
}

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		rel, _ := ours(p.ImportPath)
		if rel == "" {
			continue // the tests of this directory, and nothing else
		}
		i := slices.IndexFunc(layers, func(l struct {
			of  string
			may []string
		}) bool {
			return covers(l.of, rel)
		})
		if i < 0 {
			t.Errorf("%s has no line in layers: say what it may import", rel)
			continue
		}
		for _, imported := range p.Imports {
			to, own := ours(imported)
			if own && !slices.ContainsFunc(layers[i].may, func(pattern string) bool { return covers(pattern, to) }) {
				t.Errorf("%s imports %s; it may import %v", rel, to, layers[i].may)
			}
		}
	}
}

// Packages that exist for tests are linked into no program.
func TestProgramsHoldNoTestCode(t *testing.T) {
	forTests := func(rel string) bool {
		return strings.HasSuffix(path.Base(rel), "test") || covers("internal/e2e/...", rel) || covers("internal/enc/bench/...", rel) || covers("internal/fleetsim/benchdaemon", rel)
	}
	programs := 0
	for _, p := range packages(t) {
		rel, _ := ours(p.ImportPath)
		if !forTests(rel) && slices.Contains(p.Imports, "testing") {
			t.Errorf("%s imports testing", rel)
		}
		if !strings.HasPrefix(rel, "cmd/") {
			continue
		}
		programs++
		for _, dep := range p.Deps {
			if to, own := ours(dep); own && forTests(to) {
				t.Errorf("%s is linked with %s", rel, to)
			}
		}
	}
	if programs < 4 {
		t.Errorf("%d programs below cmd/, expected sluice, sluiced, sluice-enc, sluice-edge and fleetsim", programs)
	}
}

// What decides reads no clock, no file and no network, and knows no client library, not even through others.
func TestDomainIsPure(t *testing.T) {
	pure := []string{"analyzer", "analyzer/stats", "gate", "gate/flags", "gate/schedule", "segments"}
	input := []string{"os", "os/exec", "net", "net/http", "net/url", "database/sql", "math/rand", "math/rand/v2", "crypto/rand", "log", "log/slog"}
	clients := []string{"github.com/hashicorp/", "github.com/prometheus/client_golang", "github.com/grafana/", "github.com/rs/zerolog", "github.com/spf13/", "net/http"}
	seen := 0
	for _, p := range packages(t) {
		rel, _ := ours(p.ImportPath)
		if !slices.Contains(pure, rel) {
			continue
		}
		seen++
		for _, imported := range p.Imports {
			if slices.Contains(input, imported) {
				t.Errorf("%s imports %s", rel, imported)
			}
		}
		for _, dep := range p.Deps {
			if slices.ContainsFunc(clients, func(prefix string) bool { return strings.HasPrefix(dep, prefix) }) {
				t.Errorf("%s is linked with %s", rel, dep)
			}
		}
	}
	if seen != len(pure) {
		t.Errorf("%d of %v were found", seen, pure)
	}
}

// puppetserver starts sluice-enc for every catalog: whatever is linked into it costs on every run of every node.
func TestLookupIsLean(t *testing.T) {
	for _, p := range packages(t) {
		if rel, _ := ours(p.ImportPath); rel != "cmd/sluice-enc" {
			continue
		}
		for _, dep := range p.Deps {
			to, own := ours(dep)
			first, _, _ := strings.Cut(dep, "/")
			foreign := !own && strings.Contains(first, ".")
			if foreign || own && !slices.Contains([]string{"segments", "gate/flags", "internal/enc/lookup"}, to) || dep == "net" {
				t.Errorf("sluice-enc is linked with %s", dep)
			}
		}
		return
	}
	t.Error("cmd/sluice-enc was not found")
}
