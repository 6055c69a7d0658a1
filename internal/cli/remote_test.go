package cli

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/api"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// TestAPIShowsAsTheStore: every reader shows by the API what it shows by the store, in every condition and form, to the byte.
func TestAPIShowsAsTheStore(t *testing.T) {
	server := serve(t)
	readers := [][]string{{"list"}, {"status"}, {"status", "ntp"}, {"explain", "ntp"}, {"why", "web1.example.com"}, {"why", "web1.example.com", "--track", "production"},
		{"audit"}, {"audit", "ntp", "-n", "2"}, {"hold", "list"}, {"status", "npt"}, {"__complete", "explain", ""}}
	for _, c := range conditions {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			c.prep(s)
			s.put(tree.HoldKey("h1"), gate.Hold{ID: "h1", Selector: fra1, Until: t0.AddDate(1, 0, 0), By: "ben"})
			s.edge("puppet1", nil)
			server.t, server.store = t, s.store
			for _, args := range readers {
				for _, form := range []string{"text", "json", "yaml"} {
					args := slices.Clone(args)
					if args[0] != "__complete" {
						args = append(args, "-o", form)
					}
					code, out, errOut := s.run(args...)
					got, gotOut, gotErr := server.by(args...)
					if diff := cmp.Diff(out+errOut, gotOut+gotErr); diff != "" || code != got {
						t.Errorf("%q: by the store exit %d, by the API %d (-store +API):\n%s", args, code, got, diff)
					}
				}
			}
		})
	}
	s := newSite(t)
	s.rollout("ntp", func(r *tree.Rollout) { r.State.Phase = gate.Completed })
	s.put("rollouts/broken/spec", "{")
	server.t, server.store = t, s.store
	if code, out, errOut := server.by("status", "ntp", "-w"); code != ExitOK || !strings.Contains(out, "Completed") {
		t.Errorf("followed: exit %d, %q, %q", code, out, errOut)
	}
	if code, out, _ := server.by("list"); code != ExitOK || !strings.Contains(out, "damaged: rollouts/broken/spec") {
		t.Errorf("what cannot be read is not said: exit %d, %q", code, out)
	}
	server.store = bareSite(t).store
	if code, _, errOut := server.by("list"); code != ExitError || !strings.Contains(errOut, "run `sluice init` first") {
		t.Errorf("an empty store: exit %d, %q", code, errOut)
	}
}

// TestAPINotThere: whatever is at the URL instead of sluiced, the error names it and what was expected, and says how to do without; nothing
// that is no answer is taken for one.
func TestAPINotThere(t *testing.T) {
	says := func(status int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	list, why, pause := []string{"list"}, []string{"why", "web1"}, []string{"pause", "ntp", "--reason", "drill"}
	for name, c := range map[string]struct {
		answer http.HandlerFunc // nil: nobody listens
		args   []string
		want   string
		down   bool // it says how to do without
		lost   bool // it says that a verb may have been carried out
	}{
		"nobody listens":           {nil, list, "does not answer as sluiced's API: dial tcp", true, false},
		"nobody listens to a verb": {nil, pause, "connection refused", true, false},
		"a web page":               {says(200, "text/html", "<html>"), list, "expected JSON, got text/html with status 200", true, false},
		"a web page for a verb":    {says(200, "text/html", "<html>"), pause, "expected JSON, got text/html with status 200", true, true},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/moved" {
				http.Redirect(w, r, "/moved", http.StatusFound)
			}
		}, list, "got text/html with status 302", true, false},
		"another API":           {says(404, "application/json", `{"message":"Not Found"}`), list, "expected keys, got status 404: is it a sluiced of another version?", true, false},
		"an empty object":       {says(200, "application/json", `{}`), list, "expected keys, got status 200", true, false},
		"an empty list":         {says(200, "application/json", `{"entries":[]}`), list, "expected keys, got status 200", true, false},
		"another key":           {says(200, "application/json", `{"index":1,"entries":[{"key":"x","value":"e30=","version":1}]}`), list, "expected key init, got x", true, false},
		"torn":                  {says(200, "application/json", `{"index":1,"entr`), list, "unexpected end of JSON input", true, false},
		"nobody knows you":      {says(401, "text/plain", "Unauthorized"), list, "who you are is not known there: expected SLUICE_API_USER and SLUICE_API_PASSWORD, or", false, false},
		"its store is down":     {says(503, "application/json", `{"error":"store unavailable: no leader"}`), list, "says: store unavailable: no leader", false, false},
		"no node":               {says(200, "application/json", `{}`), why, "expected what node web1 gets, got status 200", true, false},
		"no verb":               {says(200, "application/json", `{"verb":"resume"}`), pause, "expected what became of pause, got status 200", true, true},
		"verbs are not enabled": {says(403, "application/json", `{"error":"verbs are not enabled"}`), pause, ": verbs are not enabled", false, false},
		"torn after a verb":     {func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, pause, "EOF", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			if c.answer == nil {
				server.Close()
			}
			at := &served{t: t, base: server.URL}
			code, out, errOut := at.by(c.args...)
			if code != ExitError || out != "" || !strings.Contains(errOut, c.want) || !strings.Contains(errOut, server.URL) {
				t.Errorf("exit %d, %q, %q", code, out, errOut)
			}
			if down := strings.Contains(errOut, "leave out --api") && strings.Contains(errOut, "consul kv put sluice/flags/NAME/pause true"); down != c.down {
				t.Errorf("it says how to do without: %t; %q", down, errOut)
			}
			if lost := strings.Contains(errOut, "whether it was carried out is not known"); lost != c.lost {
				t.Errorf("it says that it may have been carried out: %t; %q", lost, errOut)
			}
		})
	}
}

// TestAPIAddress: what is wrong with where it is, or who asks, is said before anything is sent.
func TestAPIAddress(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  map[string]string
		code int
		want string
	}{
		{[]string{"--api", "127.0.0.1:9631"}, nil, ExitUsage, `--api "127.0.0.1:9631": expected the URL of sluiced, such as http://127.0.0.1:9631`},
		{[]string{"--api", "ftp://x"}, nil, ExitUsage, "expected the URL of sluiced"},
		{[]string{"--api", "http://anna:secret@127.0.0.1:1"}, nil, ExitUsage, "who you are is said by SLUICE_API_USER and SLUICE_API_PASSWORD"},
		{[]string{"--api", "http://127.0.0.1:1", "--store.dir", "x"}, nil, ExitUsage, "--store.dir, --consul.address and --api: expected one of them"},
		{nil, map[string]string{"SLUICE_API": "http://127.0.0.1:1", "SLUICE_STORE_DIR": "x"}, ExitUsage, "SLUICE_STORE_DIR and SLUICE_API: expected one of them"},
		{nil, map[string]string{"SLUICE_API": "nowhere"}, ExitUsage, `--api "nowhere": expected`},
		{[]string{"--store.dir", "nowhere"}, map[string]string{"SLUICE_API": "http://127.0.0.1:1"}, ExitError, "nowhere"},
		{[]string{"--api", "http://sluice.example.com"}, map[string]string{"SLUICE_API_USER": "anna", "SLUICE_API_PASSWORD": "secret"}, ExitUsage, "for everybody to read: expected https"},
		{[]string{"--api", "https://127.0.0.1:1"}, map[string]string{"SLUICE_API_CACERT": "nowhere.pem"}, ExitError, "SLUICE_API_CACERT: open nowhere.pem"},
		{[]string{"--api", "https://127.0.0.1:1"}, map[string]string{"SLUICE_API_CLIENT_CERT": "nowhere.pem"}, ExitError, "SLUICE_API_CLIENT_CERT and SLUICE_API_CLIENT_KEY: open nowhere.pem"},
	} {
		s := bareSite(t)
		s.p.open, s.p.getenv = openStore, func(name string) string { return c.env[name] }
		code, _, errOut := s.run(append([]string{"list"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.want) || strings.Contains(errOut, "secret") {
			t.Errorf("%q %v: exit %d, %q; want %d, %q", c.args, c.env, code, errOut, c.code, c.want)
		}
	}
}

// TestAPIKnowsWho: a password by the environment is who asks; and what is no verb is not written by the API.
func TestAPIKnowsWho(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(users, fmt.Appendf(nil, "basic_auth_users: {anna: %q}\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	server := serveAs(t, users)
	s := newSite(t)
	s.rollout("ntp", nil)
	server.store = s.store
	one := bareSite(t)
	one.p.open = openStore
	env := map[string]string{"SLUICE_STORE_DIR": "nowhere", "SLUICE_API_USER": "anna", "SLUICE_API_PASSWORD": "secret"}
	one.p.getenv = func(name string) string { return env[name] }
	one.ok("pause", "ntp", "--reason", "drill", "--api", server.base)
	if got := s.get("flags/ntp/pause"); got != "true by=anna (api, basic): drill" {
		t.Errorf("written: %q", got)
	}
	before := s.all()
	one.fails(ExitError, "sluiced's API carries out verbs, and nothing else is written by it", "init", "--track", "staging=staging_a", "--api", server.base)
	one.fails(ExitUsage, "wait 5m0s: expected at most 30s", "unveto", "ntp", "--wait", "5m", "--reason", "drill", "--api", server.base)
	env["SLUICE_API_PASSWORD"] = "wrong"
	one.fails(ExitError, "who you are is not known there", "pause", "ntp", "--reason", "drill", "--api", server.base)
	one.fails(ExitError, "who you are is not known there", "list", "--api", server.base)
	if s.all() != before {
		t.Error("something was written")
	}
}

// TestAPIByTLS: sluiced is checked by the certificates that are named, and proves who asks by the one that is given.
func TestAPIByTLS(t *testing.T) {
	s := newSite(t)
	asked := ""
	handler := api.New(api.Options{Store: func() store.Store { return s.store }, Now: s.p.now, Log: zerolog.Nop()})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.TLS.PeerCertificates[0].Subject.String()
		handler.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	pair := server.TLS.Certificates[0] // the one of the server does for a person, too
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	env := map[string]string{"SLUICE_API": server.URL, "SLUICE_API_CACERT": write("cert.pem", "CERTIFICATE", pair.Certificate[0]), "SLUICE_API_CLIENT_KEY": write("key.pem", "PRIVATE KEY", key)}
	env["SLUICE_API_CLIENT_CERT"] = env["SLUICE_API_CACERT"]
	one := bareSite(t)
	one.p.open, one.p.getenv = openStore, func(name string) string { return env[name] }
	if one.ok("list"); asked != server.Certificate().Subject.String() {
		t.Errorf("sluiced was asked by %q", asked)
	}
	env["SLUICE_API_CACERT"] = ""
	one.fails(ExitError, "certificate signed by unknown authority", "list")
	env["SLUICE_API_CACERT"] = env["SLUICE_API_CLIENT_KEY"]
	one.fails(ExitError, "expected certificates in PEM", "list")
	env["SLUICE_API_CACERT"], env["SLUICE_API_CLIENT_CERT"], env["SLUICE_API_CLIENT_KEY"] = env["SLUICE_API_CLIENT_CERT"], "", ""
	one.fails(ExitError, "tls: certificate required", "list")
}
