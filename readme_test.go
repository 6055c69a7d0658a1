package sluice_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/openinfrastructure/sluice/gate/flags"
)

// tree is a copy of the sources with its own bin/, so that what the README says cannot lean on what lies around here.
var tree = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-readme-")
	if err != nil {
		return "", err
	}
	treeDir = dir
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return dir, fmt.Errorf("git ls-files: %w", err)
	}
	for _, file := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		if err := copyFile(file, filepath.Join(dir, file)); err != nil && !os.IsNotExist(err) {
			return dir, err
		}
	}
	cmd := exec.Command("make", "build")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("make build: %w\n%s", err, out)
	}
	return dir, nil
})

var treeDir string // to be removed, where a test has asked for it

func TestMain(m *testing.M) {
	code := m.Run()
	if treeDir != "" {
		_ = os.RemoveAll(treeDir)
	}
	os.Exit(code)
}

func copyFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

// programs knows what our programs say about themselves.
type programs struct {
	bin  string
	help map[string]string
}

func build(t *testing.T) *programs {
	t.Helper()
	dir, err := tree()
	if err != nil {
		t.Fatal(err)
	}
	return &programs{bin: filepath.Join(dir, "bin"), help: map[string]string{}}
}

// usage is the help of a command if there is one of that name, such as "sluice check config".
func (p *programs) usage(t *testing.T, path []string) (string, bool) {
	t.Helper()
	name := strings.Join(path, " ")
	if _, asked := p.help[name]; !asked {
		cmd := exec.CommandContext(t.Context(), filepath.Join(p.bin, path[0]), append(path[1:len(path):len(path)], "--help")...)
		cmd.Env = append(os.Environ(), "CONSUL_HTTP_ADDR=127.0.0.1:1")
		out, _ := cmd.CombinedOutput()
		p.help[name] = string(out)
	}
	help := p.help[name]
	return help, regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(name) + `( |$)`).MatchString(help)
}

// check says what is wrong with a command line of ours, "" if every verb and flag of it exists.
func (p *programs) check(t *testing.T, argv []string) string {
	t.Helper()
	path := []string{argv[0]}
	help, ok := p.usage(t, path)
	if !ok {
		return "is no program"
	}
	var rest []string
	for _, arg := range argv[1:] {
		rest = append(rest, strings.Trim(arg, "[]")) // optional ones are checked as well
	}
	if len(rest) == 2 && rest[0] == "COMMAND" && rest[1] == "--help" {
		return ""
	}
	for len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		next, ok := p.usage(t, append(path[:len(path):len(path)], rest[0]))
		if !ok {
			break
		}
		path, help, rest = append(path, rest[0]), next, rest[1:]
	}
	if len(path) == 1 && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !certname.MatchString(strings.Join(argv, " ")) {
		return "has no verb " + rest[0]
	}
	for _, arg := range rest {
		flag, _, _ := strings.Cut(arg, "=")
		if len(flag) > 1 && flag[0] == '-' && !regexp.MustCompile(`(?m)^ +(-\w, )?`+regexp.QuoteMeta(flag)+`\b`).MatchString(help) {
			return strings.Join(path, " ") + " has no flag " + flag
		}
	}
	return ""
}

// certname is the one argument that sluice-enc takes in the place of a verb.
var certname = regexp.MustCompile(`^sluice-enc (CERTNAME|[a-z0-9-]+(\.[a-z0-9-]+)+)$`)

// TestReadmeCommands runs the blocks that are marked <!-- test -->.
func TestReadmeCommands(t *testing.T) {
	dir, err := tree()
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, b := range blocks(t, "README.md") {
		if !b.marked {
			continue
		}
		ran += len(b.commands)
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.Join(b.commands, "\n"))
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("README.md:%d: %v\n%s", b.line, err, out)
		}
	}
	if ran < 5 {
		t.Errorf("%d commands were run, expected 5 or more: are the blocks still marked?", ran)
	}
}

// TestDocumentedCommands looks every command line of ours up that README and docs show, in blocks and in sentences.
func TestDocumentedCommands(t *testing.T) {
	p, checked, written := build(t), 0, 0
	for _, file := range documents(t) {
		for _, c := range commandLines(t, file) {
			switch {
			case c.argv[0] == "sluice" || c.argv[0] == "sluiced" || c.argv[0] == "sluice-enc":
				checked++
				if problem := p.check(t, c.argv); problem != "" {
					t.Errorf("%s:%d: %s: %s", file, c.line, strings.Join(c.argv, " "), problem)
				}
			case len(c.argv) == 5 && strings.HasPrefix(strings.Join(c.argv, " "), "consul kv put sluice/flags/"):
				written++
				key := strings.TrimPrefix(c.argv[3], "sluice/flags/")
				if loud := flags.Read(map[string]string{key: strings.Trim(c.argv[4], `"`)}).Loud; len(loud) > 0 && key != "force" {
					t.Errorf("%s:%d: %v", file, c.line, loud)
				}
			}
		}
	}
	if checked < 40 || written < 5 {
		t.Errorf("%d command lines and %d flags were looked up: does the test still find them?", checked, written)
	}
}
