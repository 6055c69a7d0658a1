package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/segments"
)

// binary is sluice-enc as `make build` links it; the tests start it as puppetserver does.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sluice-enc-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "sluice-enc")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v: %s", err, out)
		return 1
	}
	return m.Run()
}

// host is a puppetserver: programs in bin, state in state. What is installed there as sluice-edge prints
// its arguments.
type host struct {
	*testing.T
	dir string
	a   lookup.Admissions
}

func newHost(t *testing.T) *host {
	h := &host{T: t, dir: t.TempDir()}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	h.write("bin/sluice-enc", data, 0o755)
	h.write("bin/sluice-edge", []byte("#!/bin/sh\nfor a; do echo \"[$a]\"; done\necho edge >&2\nexit 9\n"), 0o755)
	for _, env := range []string{"old", "new"} {
		h.write("environments/"+env+"/environment.conf", nil, 0o644)
	}
	members := segments.NewSet([]string{"web1", "web2"})
	h.write("state/sets/"+members.Digest, members.Data, 0o644)
	h.a = lookup.Admissions{EnvironmentPath: h.dir + "/environments", ConfigFile: "/etc/sluice/enc.yml", Document: segments.Document{
		Format: segments.Format, Epoch: "e", Generation: 1, Sets: map[string]int{members.Digest: 2},
		Tracks:   []segments.Track{{Name: "production", Baseline: "old", Members: members.Digest, Nodes: 2}},
		Rollouts: []segments.Rollout{{Name: "ntp", Track: "production", Candidate: "new", Stages: []segments.Stage{{Name: "all", Threshold: segments.All}}}},
	}}
	h.accepted()
	return h
}

func (h *host) write(name string, data []byte, mode os.FileMode) {
	h.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		h.Fatal(err)
	}
}

func (h *host) accepted() {
	h.Helper()
	data, err := json.Marshal(h.a)
	if err != nil {
		h.Fatal(err)
	}
	h.write("state/"+lookup.AdmissionsFile, data, 0o644)
}

func (h *host) command(args ...string) *exec.Cmd {
	return exec.CommandContext(h.Context(), h.dir+"/bin/sluice-enc", args...)
}

// run returns standard output, standard error and the exit code.
func (h *host) run(args ...string) (stdout, stderr string, code int) {
	h.Helper()
	var out, errOut bytes.Buffer
	cmd := h.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		h.Fatal(err)
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

func (h *host) state() string { return "--state.dir=" + h.dir + "/state" }

func (h *host) expect(why string, wantOut, wantErr string, wantCode int, args ...string) {
	h.Helper()
	out, stderr, code := h.run(args...)
	if out != wantOut || code != wantCode || (wantErr == "") != (stderr == "") || !strings.Contains(stderr, wantErr) {
		h.Errorf("%s: %v: exit %d, %q, stderr %q; want %d, %q, stderr with %q", why, args, code, out, stderr, wantCode, wantOut, wantErr)
	}
}

const (
	candidate = "---\nenvironment: new\nparameters: {}\n"
	baseline  = "---\nenvironment: old\nparameters: {}\n"
)

func TestAnswers(t *testing.T) {
	h := newHost(t)
	h.expect("admitted", candidate, "", 0, h.state(), "web1")
	h.expect("on no track", "---\nparameters: {}\n", "", 0, h.state(), "db1")
	h.expect("the last directory counts", candidate, "", 0, "--state.dir=/nonexistent", h.state(), "web1")
	stops, err := json.Marshal(flags.Latched{BackOut: map[string]flags.Stop{"ntp": {}}})
	if err != nil {
		t.Fatal(err)
	}
	h.write("state/"+lookup.StopsFile, stops, 0o644)
	h.expect("backed out", baseline, "", 0, h.state(), "web1")
	h.write("state/"+lookup.StopsFile, []byte("{}"), 0o644)
	h.write("state/"+lookup.BaselineFile, nil, 0o644)
	h.expect("local baseline file", baseline, "", 0, h.state(), "web1")
}

func TestMissingEnvironmentIsSaid(t *testing.T) {
	h := newHost(t)
	if err := os.RemoveAll(h.dir + "/environments/new"); err != nil {
		t.Fatal(err)
	}
	h.expect("candidate not deployed", baseline, "sluice-enc: web1: environment new is not on this puppetserver: baseline\n", 0, h.state(), "web1")
	if err := os.RemoveAll(h.dir + "/environments"); err != nil {
		t.Fatal(err)
	}
	h.expect("baseline not deployed", "", "sluice-enc: web1: environment old is not in "+h.dir+"/environments on this puppetserver\n", 1, h.state(), "web1")
}

// Without a readable document there is no answer: exit 1 and nothing on standard output, which Puppet
// takes for a failure and never for "no environment".
func TestFailsClosed(t *testing.T) {
	for name, c := range map[string]struct {
		file, content, want string
	}{
		"torn document": {"state/" + lookup.AdmissionsFile, `{"document":{"format":1,"ep`, "admissions.json: byte"},
		"empty":         {"state/" + lookup.AdmissionsFile, "", "admissions.json: byte 0"},
		"torn stops":    {"state/" + lookup.StopsFile, `{"backout":{"ntp"`, "stops.json: byte"},
		"wrong set":     {"state/sets/" + segments.NewSet([]string{"web1", "web2"}).Digest, "0123456789abcdef\n", "has 17 bytes, expected 2 members"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.write(c.file, []byte(c.content), 0o644)
			h.expect(name, "", c.want, 1, h.state(), "web1")
		})
	}
	h := newHost(t)
	h.expect("never accepted", "", "sluice-enc: web1: this edge never accepted a document (no admissions.json in "+h.dir+"/none; see `sluice-enc accept`)\n", 1, "--state.dir="+h.dir+"/none", "web1")
}

// An answer that did not arrive whole must not look like a success.
func TestLostOutputIsAFailure(t *testing.T) {
	h := newHost(t)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var stderr bytes.Buffer
	cmd := h.command(h.state(), "web1")
	cmd.Stdout, cmd.Stderr = full, &stderr
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(stderr.String(), "sluice-enc: web1: write /dev/stdout: no space left") {
		t.Errorf("a full device: %v, %q", err, stderr.String())
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	cmd = h.command(h.state(), "web1")
	cmd.Stdout = w
	if err := cmd.Run(); err == nil || cmd.ProcessState.Success() {
		t.Errorf("nobody reads the pipe: %v", err)
	}
}

func TestBecomesTheEdge(t *testing.T) {
	h := newHost(t)
	lines := func(args ...string) string {
		return "[" + strings.Join(args, "]\n[") + "]\n"
	}
	for _, verb := range []string{"accept", "audit", "explain", "answer", "status", "version", "help", "completion"} {
		h.expect("a verb", lines(verb), "edge", 9, verb)
		h.expect("a verb with arguments", lines(h.state(), verb, "web1"), "edge", 9, h.state(), verb, "web1")
	}
	h.expect("nothing to answer for", "", "edge", 9)
	h.expect("flags of the edge", lines("--config.file=x", "web1"), "edge", 9, "--config.file=x", "web1")
	h.expect("help", lines("--help"), "edge", 9, "--help")
	h.expect("two certnames", lines("web1", "web2"), "edge", 9, "web1", "web2")
	h.expect("directory as a word of its own", lines("--state.dir", "x", "web1"), "edge", 9, "--state.dir", "x", "web1")
	h.a.Upstream = true
	h.accepted()
	h.expect("the site has an ENC", lines("--config.file=/etc/sluice/enc.yml", h.state(), "answer", "web1"), "edge", 9, h.state(), "web1")
}

func TestWithoutTheEdge(t *testing.T) {
	h := newHost(t)
	if err := os.Remove(h.dir + "/bin/sluice-edge"); err != nil {
		t.Fatal(err)
	}
	h.expect("a lookup needs no edge", candidate, "", 0, h.state(), "web1")
	h.expect("a verb does", "", "sluice-enc: "+h.dir+"/bin/sluice-edge: no such file or directory\n", 1, "accept")
	h.a.Upstream = true
	h.accepted()
	h.expect("so does a site's ENC", "", "/bin/sluice-edge: no such file or directory\n", 1, h.state(), "web1")
}
