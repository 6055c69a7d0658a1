package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/consultest"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// TestConsul: with the shipped policies the init token initialises, an operator's token stops, asks and looks, and
// neither an operator nor a viewer does what is not theirs. The verbs run as the program does.
func TestConsul(t *testing.T) {
	server := consultest.Start(t)
	token := func(description, policy string) string {
		secret, err := server.TokenFor(description, policy)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), policy)
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	site1, anna, viewer := token("installer", "init"), token("anna@example.com", "operator"), token("wall", "viewer")
	run := func(token string, args ...string) (int, string, string) {
		var out, errOut bytes.Buffer
		args = append(args, "--consul.address", server.Addr, "--consul.token-file", token)
		return Run(t.Context(), args, strings.NewReader(""), &out, &errOut), out.String(), errOut.String()
	}
	want := func(code int, part, token string, args ...string) {
		t.Helper()
		if got, out, errOut := run(token, args...); got != code || !strings.Contains(out+errOut, part) {
			t.Errorf("sluice %q: exit %d, want %d and %q\n%s%s", args, got, code, part, out, errOut)
		}
	}
	want(ExitError, "run `sluice init` first", anna, "list")
	want(ExitError, "permission denied", anna, "init", "--track", "production=production_a")
	want(ExitOK, "initialised, epoch ", site1, "init", "--track", "production=production_a")
	want(ExitConflict, "initialised already", site1, "init", "--track", "production=production_a")

	// The leader's part, written with the leader's right to everything.
	play := newSite(t)
	play.store = openAs(t, server.Addr, site1)
	play.rollout("ntp", nil)

	want(ExitOK, "ntp is paused", anna, "pause", "ntp", "--reason", "drill")
	want(ExitError, "permission denied", viewer, "pause", "ntp", "--reason", "drill")
	want(ExitHeld, "paused by anna@example.com (token ", anna, "status", "ntp")
	want(ExitOK, "goes on when every gate is open", anna, "resume", "ntp", "--reason", "drill")
	want(ExitOK, "everything is frozen", anna, "freeze", "--reason", "drill")
	want(ExitOK, "the freeze has ended", anna, "freeze", "--end", "--reason", "drill")
	want(ExitTimeout, "no leader took it up within 1s", anna, "start", "--environment", "production_b", "--schedule", "careful", "--wait", "1s", "--reason", "drill")
	want(ExitConflict, "anna@example.com", anna, "start", "--environment", "production_b", "--schedule", "careful", "--wait", "1s", "--reason", "drill")
	want(ExitOK, "ntp is backed out", anna, "backout", "ntp", "--reason", "drill")
	want(ExitBackout, "Backing out", viewer, "status", "ntp")
	want(ExitTimeout, "has not ended", viewer, "status", "ntp", "-w", "--timeout", "1s")
	for _, args := range [][]string{{"list"}, {"explain", "ntp"}, {"why", "web1"}, {"audit"}} {
		want(ExitOK, "", viewer, args...)
	}
	if got := play.get(tree.FlagKey("ntp", "backout")); !strings.HasPrefix(got, "true by=anna@example.com (token ") {
		t.Errorf("the flag is %q", got)
	}
}

func openAs(t *testing.T, address, tokenFile string) store.Store {
	t.Helper()
	s, err := openConsul(connection{address: address, tokenFile: tokenFile})
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := s.(interface{ Close() }); ok {
		t.Cleanup(c.Close)
	}
	return s
}
