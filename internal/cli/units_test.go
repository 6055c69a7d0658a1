package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

func TestAge(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": -time.Second, "59s": 59 * time.Second, "1m": time.Minute, "9m59s": 599 * time.Second, "10m": 601 * time.Second,
		"59m": time.Hour - time.Second, "1h": time.Hour, "23h59m": 24*time.Hour - time.Second, "1d": 24 * time.Hour, "9d23h": 239 * time.Hour, "30d": 725 * time.Hour,
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for want, n := range map[string]int{"0": 0, "9999": 9999, "10 000": 10_000, "402 113": 402_113, "1 000 000": 1_000_000} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %q, want %q", n, got, want)
		}
	}
}

// TestDistance: a metric, and 1 for one change.
func TestDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ab]{0,6}`)
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		if distance(a, b) != distance(b, a) || (distance(a, b) == 0) != (a == b) || distance(a, c) > distance(a, b)+distance(b, c) {
			t.Fatalf("%q %q %q: %d %d %d", a, b, c, distance(a, b), distance(b, c), distance(a, c))
		}
		if d := distance(a, a+"b"); d != 1 {
			t.Fatalf("%q with one more letter is %d away", a, d)
		}
	})
}

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

// FuzzToggle: whatever a person gives as a reason, the flag is read as what the verb says.
func FuzzToggle(f *testing.F) {
	f.Add("false", "anna")
	f.Add("\nfalse\r\ttrue", "by=\x00")
	f.Fuzz(func(t *testing.T, reason, who string) {
		w := &writing{who: who, reason: oneLine(reason)}
		for word, want := range map[string]flags.Toggle{"true": flags.Set, "false": flags.Released} {
			value := w.toggle(word)
			if got := flags.ReadToggle(string(value)); got != want || bytes.ContainsAny(value, "\n\r\x1b") {
				t.Fatalf("%q is read as %v", value, got)
			}
		}
	})
}

// FuzzDelay: what the verb lets through is never read as no delay or as one without end.
func FuzzDelay(f *testing.F) {
	for _, s := range []string{"2h", "1d", "0s", "false", "on", "2026-11-03T08:00:00Z", "-1h", "1w\n", " 2h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, word string) {
		value, _, err := delayOf("ntp", word, t0)
		if err != nil {
			return
		}
		w := &writing{who: "anna", reason: "x"}
		d := flags.ReadDelay(string(w.toggle(value)))
		if d.Endless || d.Raw == "" || d.For <= 0 && !d.Until.After(t0) {
			t.Fatalf("%q is let through and read as %+v", word, d)
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
