package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

func TestCodeOf(t *testing.T) {
	for want, err := range map[int]error{
		ExitOK: nil, ExitError: errors.New("x"), ExitUsage: usage("x"), ExitHeld: exit(ExitHeld),
		ExitConflict: fmt.Errorf("x: %w", &store.ConflictError{Key: "a"}),
	} {
		if got := codeOf(err); got != want {
			t.Errorf("codeOf(%v) = %d, want %d", err, got, want)
		}
	}
	for _, err := range []error{store.ErrUnavailable, store.ErrForbidden, store.ErrNotFound, context.Canceled, tree.ErrNotInitialised} {
		if got := codeOf(err); got != ExitError {
			t.Errorf("codeOf(%v) = %d", err, got)
		}
	}
}

func TestUsage(t *testing.T) {
	s := newSite(t)
	s.fails(ExitUsage, `unknown command "statu"; did you mean`, "statu")
	s.fails(ExitUsage, `unknown command "conf"`, "check", "conf")
	s.fails(ExitUsage, "unknown flag", "list", "--colour")
	s.fails(ExitUsage, "hold add: unknown flag: --selector", "hold", "add", "--selector", "{}")
	s.fails(ExitUsage, "hold add: accepts 2 arg(s), received 1 (usage: sluice hold add ID SELECTOR", "hold", "add", "{}")
	s.fails(ExitUsage, "expected the names of rollouts", "pause", "--reason", "x")
	s.fails(ExitUsage, "accepts 1 arg", "why")
	s.fails(ExitUsage, "expected 1 or more", "audit", "-n", "0")
	s.fails(ExitUsage, "requires at least 1 arg", "check", "config")
	if out := s.ok(); !strings.Contains(out, exitCodes) {
		t.Error("the help of sluice lists no exit codes")
	}
	if out := s.ok("status", "--help"); !strings.Contains(out, exitCodes) {
		t.Error("the help of status lists no exit codes")
	}
}

// each calls do for every command that people can run.
func each(c *cobra.Command, do func(*cobra.Command)) {
	for _, sub := range c.Commands() {
		if sub.HasSubCommands() {
			each(sub, do)
		} else {
			do(sub)
		}
	}
}

// TestHelp: every command has an example that names it, and docs/cli.md says of each.
func TestHelp(t *testing.T) {
	doc, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	each(s.p.root(), func(c *cobra.Command) {
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of itself", c.CommandPath())
		}
		if !strings.Contains(string(doc), "`"+c.CommandPath()) {
			t.Errorf("docs/cli.md does not name %s", c.CommandPath())
		}
	})
	for _, line := range strings.Split(exitCodes, "\n")[1:] {
		code, text, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if !strings.Contains(string(doc), "| "+code+" | "+text+" |") {
			t.Errorf("docs/cli.md does not have exit code %s as the help does", code)
		}
	}
}

func TestCheckConfig(t *testing.T) {
	s := bareSite(t)
	text := s.transcript("check", "config", "testdata/right.yml", "testdata/wrong.yml", "testdata/none.yml")
	golden(t, "check.txt", text)
}

func TestCompletion(t *testing.T) {
	s := newSite(t)
	s.rollout("ntp", nil)
	s.rollout("ntp2", nil)
	s.rollout("sshd", nil)
	out := s.completions("__complete", "pause", "nt")
	if !slices.Contains(out, "ntp") || !slices.Contains(out, "ntp2") || slices.Contains(out, "sshd") {
		t.Errorf("completes to %q", out)
	}
	if out := s.ok("completion", "bash"); !strings.Contains(out, "sluice") {
		t.Error("no script for bash")
	}
}

func (s *site) completions(args ...string) []string {
	_, out, _ := s.run(args...)
	return strings.Split(out, "\n")
}

// TestYAMLKeepsStrings: a string that looks like something else stays a string.
func TestYAMLKeepsStrings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"true", "1", "1e3", "null", "~", "", "2026-01-01", "- a", "a: b", "#", "0x1f", "\u2028", "é\n"})).Draw(t, "text")
		data, err := toYAML(map[string]string{"a": want})
		if err != nil {
			t.Fatal(err)
		}
		var viaJSON, got map[string]any
		js, _ := json.Marshal(map[string]string{"a": want})
		if err := errors.Join(json.Unmarshal(js, &viaJSON), yaml.Unmarshal(data, &got)); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if got["a"] != viaJSON["a"] {
			t.Fatalf("%q is read as %q of %q", want, got["a"], data)
		}
	})
}

func FuzzParameters(f *testing.F) {
	f.Add("a=1")
	f.Add("a=[")
	f.Add("=")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parametersOf([]string{text})
		if err == nil && len(got) != 1 {
			t.Fatalf("%q gives %v", text, got)
		}
		if _, err := json.Marshal(got); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzAudit: nothing that is not whole is taken for whole.
func FuzzAudit(f *testing.F) {
	f.Add([]byte(`{}`), []byte(`{"seq":1}`))
	f.Add([]byte(`{"seq":1,"hash":""}`), []byte(`{"seq":1,"hash":""}`))
	f.Fuzz(func(t *testing.T, head, entry []byte) {
		v := auditOf([]store.Entry{{Key: tree.AuditKey(1), Value: entry}, {Key: tree.AuditHeadKey, Value: head}})
		if v.Verified && (len(v.Entries) != 1 || v.Head.Hash != v.Entries[0].Hash || len(v.Head.Hash) != 64) {
			t.Fatalf("verified: %+v", v)
		}
	})
}
