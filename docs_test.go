package sluice_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documents are the pages for people.
func documents(t *testing.T) []string {
	t.Helper()
	out := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", "deploy/*.md", "deploy/*/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v, %v", pattern, found, err)
		}
		out = append(out, found...)
	}
	return out
}

// block is the content of a fenced sh block.
type block struct {
	line     int // of the fence
	marked   bool
	commands []string // continued lines are joined
}

func blocks(t *testing.T, file string) []block {
	t.Helper()
	var out []block
	inside, marked, continued := "", false, false
	for i, line := range strings.Split(read(t, file), "\n") {
		lang, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && inside == "":
			if inside = lang; lang == "" {
				inside = "none"
			}
			if inside == "sh" {
				out = append(out, block{line: i + 1, marked: marked})
			}
			marked, continued = false, false
		case fence:
			inside = ""
		case inside == "sh":
			b := &out[len(out)-1]
			text, more := strings.CutSuffix(line, "\\")
			if continued {
				b.commands[len(b.commands)-1] += strings.TrimLeft(text, " ")
			} else {
				b.commands = append(b.commands, text)
			}
			continued = more
		case inside == "" && strings.TrimSpace(line) != "":
			marked = strings.TrimSpace(line) == "<!-- test -->"
		}
	}
	if inside != "" {
		t.Errorf("%s: a block is not closed", file)
	}
	return out
}

type commandLine struct {
	line int
	argv []string
}

var (
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	word       = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
	prefixes   = regexp.MustCompile(`^(\s*(sudo( -u \w+)?|exec|[A-Z_]+=\S+)\s+)+`)
	comment    = regexp.MustCompile(`(^|\s)#.*$`)
)

// commandLines gives what a page shows of commands, in blocks and between backticks in sentences.
func commandLines(t *testing.T, file string) []commandLine {
	t.Helper()
	var out []commandLine
	take := func(line int, text string) {
		for _, one := range regexp.MustCompile(`\|\||&&|\||;`).Split(comment.ReplaceAllString(text, ""), -1) {
			argv := word.FindAllString(prefixes.ReplaceAllString(strings.TrimSpace(one), ""), -1)
			if len(argv) > 0 {
				argv[0] = strings.TrimPrefix(strings.TrimPrefix(argv[0], "bin/"), "/usr/bin/")
				out = append(out, commandLine{line, argv})
			}
		}
	}
	for _, b := range blocks(t, file) {
		for i, c := range b.commands {
			take(b.line+1+i, c)
		}
	}
	fenced := false
	for i, line := range strings.Split(read(t, file), "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if fenced {
			continue
		}
		for _, m := range inlineCode.FindAllStringSubmatch(line, -1) {
			if strings.Contains(m[1], " ") {
				take(i+1, m[1])
			}
		}
	}
	return out
}

var (
	link     = regexp.MustCompile(`\]\(([^)#\s]+)[^)]*\)`)
	fileName = regexp.MustCompile("`([a-z0-9.-]+(?:/[A-Za-z0-9_.*-]+)+\\.(?:go|yml|hcl|md|sh|service|timer|ctmpl))(?::\\d+)?`")
	testName = regexp.MustCompile("`(?:[a-z0-9/]+: )?((?:Test|Fuzz)[A-Z]\\w*)`")
	scenario = regexp.MustCompile("scenario \"([^\"]+)\"")
	target   = regexp.MustCompile("`make ([a-z0-9]+)")
)

// TestDocumentedNames looks up every file, test, scenario and make target that a page names.
func TestDocumentedNames(t *testing.T) {
	tests, scenarios := testsOf(t)
	makefile := read(t, "Makefile")
	named := 0
	for _, file := range documents(t) {
		text := read(t, file)
		for _, m := range append(link.FindAllStringSubmatch(text, -1), fileName.FindAllStringSubmatch(text, -1)...) {
			name := m[1]
			if strings.Contains(name, "://") {
				continue
			}
			if here := filepath.Join(filepath.Dir(file), name); !exists(here) && !exists(name) {
				t.Errorf("%s names %s, which is not there", file, name)
			}
		}
		for _, m := range testName.FindAllStringSubmatch(text, -1) {
			named++
			if !slices.Contains(tests, m[1]) {
				t.Errorf("%s names %s, which is no test", file, m[1])
			}
		}
		for _, m := range scenario.FindAllStringSubmatch(text, -1) {
			named++
			if !strings.Contains(scenarios, `"`+m[1]+`"`) {
				t.Errorf("%s names the scenario %q, which nobody plays", file, m[1])
			}
		}
		for _, m := range target.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(makefile, "\n"+m[1]+":") {
				t.Errorf("%s names make %s, which is no target", file, m[1])
			}
		}
	}
	if named < 20 {
		t.Errorf("%d tests and scenarios are named: does the test still find them?", named)
	}
}

func exists(name string) bool {
	found, err := filepath.Glob(name)
	return err == nil && len(found) > 0
}

// testsOf lists the tests of the module, and gives the sources of the end-to-end scenarios.
func testsOf(t *testing.T) (names []string, scenarios string) {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(".", func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		text := read(t, name)
		for _, m := range function.FindAllStringSubmatch(text, -1) {
			names = append(names, m[1])
		}
		if strings.HasPrefix(name, "internal/e2e/") {
			scenarios += text
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, scenarios
}

// TestMetricsPage holds the page to the metrics that the programs have: none missing, none invented.
func TestMetricsPage(t *testing.T) {
	const page = "docs/operations.md"
	known := metricsInCode(t)
	shown := regexp.MustCompile(`\bsluice_[a-z_]+`).FindAllString(read(t, page), -1)
	for _, name := range known {
		if !slices.Contains(shown, name) {
			t.Errorf("%s does not name %s", page, name)
		}
	}
	for _, name := range shown {
		if !slices.Contains(known, name) && name != "sluice_build_info" {
			t.Errorf("%s names %s, which no program has", page, name)
		}
	}
}
