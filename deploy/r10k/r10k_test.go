// Package r10k tests the recipe with the real r10k and g10k. The scenarios of internal/e2e run it on whole puppetservers.
package r10k

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/store/mem"
	"github.com/openinfrastructure/sluice/segments"
)

var tools = []string{"r10k", "g10k"}

// site is a control repository with one module of its own, and a puppetserver's environments for each tool.
type site struct {
	*testing.T
	dir, clone string
	env        []string
}

func newSite(t *testing.T) *site {
	s := &site{T: t, dir: t.TempDir()}
	s.env = append(os.Environ(), "HOME="+s.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=ci", "GIT_AUTHOR_EMAIL=ci@example.test",
		"GIT_COMMITTER_NAME=ci", "GIT_COMMITTER_EMAIL=ci@example.test", "LC_ALL=C.UTF-8")
	module := s.repository("motd")
	s.write("motd/manifests/init.pp", "class motd {}\n", 0o644)
	commit := s.commit(filepath.Join(s.dir, "motd"))
	s.repository("control")
	s.clone = filepath.Join(s.dir, "control")
	s.write("control/Puppetfile", fmt.Sprintf("mod 'motd',\n  :git => '%s',\n  :commit => '%s'\n", module, commit), 0o644)
	s.write("control/manifests/site.pp", "include motd\n", 0o644)
	sample, err := os.ReadFile("r10k.yaml")
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	deploy := "#!/bin/sh\nset -e\n"
	for _, tool := range tools {
		s.write(tool+"/environments/production/keep", "", 0o644) // not of any branch
		config := strings.NewReplacer("/var/cache/r10k", filepath.Join(s.dir, tool, "cache"), "git@git.example.com:puppet/control.git",
			filepath.Join(s.dir, "control.git"), "/etc/puppetlabs/code/environments", filepath.Join(s.dir, tool, "environments")).Replace(string(sample))
		s.write(tool+".yaml", config, 0o644)
		deploy += fmt.Sprintf("DEPLOYER=%s %s/deploy-change \"$1\" %s\n", tool, recipe, filepath.Join(s.dir, tool+".yaml"))
	}
	s.write("deploy-everywhere", deploy, 0o755)
	s.write("bin/sluice", "#!/bin/sh\nfor a; do printf '%s\\n' \"$a\"; done > "+s.dir+"/asked\n", 0o755)
	s.env = append(s.env, "DEPLOY="+s.dir+"/deploy-everywhere", "PATH="+s.dir+"/bin:"+os.Getenv("PATH"))
	return s
}

func (s *site) write(name, content string, mode os.FileMode) {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		s.Fatal(err)
	}
}

func (s *site) try(dir string, argv ...string) (string, error) {
	cmd := exec.CommandContext(s.Context(), argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, s.env
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (s *site) run(dir string, argv ...string) string {
	s.Helper()
	out, err := s.try(dir, argv...)
	if err != nil {
		s.Fatalf("%v: %v (make tools installs git, r10k and g10k)\n%s", argv, err, out)
	}
	return out
}

func (s *site) repository(name string) (bare string) {
	s.Helper()
	bare = filepath.Join(s.dir, name+".git")
	s.run(s.dir, "git", "init", "--quiet", "--bare", "--initial-branch=main", bare)
	s.run(s.dir, "git", "clone", "--quiet", bare, name)
	s.run(filepath.Join(s.dir, name), "git", "checkout", "--quiet", "-b", "main")
	return bare
}

func (s *site) commit(clone string) string {
	s.Helper()
	s.run(clone, "git", "add", "--all")
	s.run(clone, "git", "commit", "--quiet", "--message", "change")
	s.run(clone, "git", "push", "--quiet", "origin", "main")
	return s.run(clone, "git", "rev-parse", "HEAD")
}

// codes is what an edge of each tool's puppetserver says of an environment's code.
func (s *site) codes(environment, identity string) (out []string) {
	s.Helper()
	for _, tool := range tools {
		state := s.TempDir()
		doc := segments.Document{Format: segments.Format, Epoch: "e", Generation: 1, Written: time.Now().UTC(),
			Tracks: []segments.Track{{Name: "production", Baseline: environment, Nodes: 1}}}
		manifest, err := enc.Encode(doc)
		if err != nil {
			s.Fatal(err)
		}
		if err := os.WriteFile(state+"/manifest", manifest, 0o644); err != nil {
			s.Fatal(err)
		}
		nodes := 10.0
		e := edge.Edge{Config: edge.Config{StateDir: state, Host: tool, EnvironmentPath: filepath.Join(s.dir, tool, "environments"), Manifest: state + "/manifest",
			Flags: state + "/flags", Limit: edge.Limit{Nodes: &nodes, Share: "10%"}, Code: edge.Code{Identity: identity}},
			Now: time.Now, Store: func() (store.Store, error) { return mem.New(), nil }}
		status, err := e.Accept(s.Context())
		if err != nil {
			s.Fatal(err)
		}
		out = append(out, status.Code[environment])
	}
	return out
}

// TestFromMergeToStart: the commit becomes an environment on both puppetservers, whose edges name the same code, and a rollout is asked for.
func TestFromMergeToStart(t *testing.T) {
	s := newSite(t)
	sha := s.commit(s.clone)
	name := "production_" + sha[:8]
	here, err := filepath.Abs("start-change")
	if err != nil {
		t.Fatal(err)
	}
	s.run(s.clone, here, "production", "what it does", "--schedule", "careful")
	asked, err := os.ReadFile(s.dir + "/asked")
	want := strings.Join([]string{"start", name, "--track", "production", "--environment", name, "--change", sha, "--reason", "what it does", "--schedule", "careful", ""}, "\n")
	if err != nil || string(asked) != want {
		t.Errorf("sluice was called with %q, %v; want %q", asked, err, want)
	}
	if got := s.codes(name, "signature"); got[0] != sha || got[1] != sha {
		t.Errorf("the edges say %q of %s", got, sha)
	}
	if got := s.codes(name, "content"); got[0] != got[1] || !strings.HasPrefix(got[0], sha+"+") {
		t.Errorf("by content the edges say %q: both tools leave the same files", got)
	}
	for _, tool := range tools {
		for _, file := range []string{name + "/modules/motd/manifests/init.pp", "production/keep"} {
			if _, err := os.Stat(filepath.Join(s.dir, tool, "environments", file)); err != nil {
				t.Error(err)
			}
		}
	}

	// The branch is moved: no puppetserver follows. CI does not move it, either.
	s.write("control/manifests/site.pp", "include motd # and more\n", 0o644)
	next := s.commit(s.clone)
	s.run(s.clone, "git", "push", "--quiet", "--force", "origin", next+":refs/heads/"+name)
	if out := s.run(s.dir, "./deploy-everywhere", name); strings.Count(out, "deployed already") != 2 {
		t.Error(out)
	}
	if got := s.codes(name, "signature"); got[0] != sha || got[1] != sha {
		t.Errorf("after the branch was moved: %q", got)
	}
	s.run(s.clone, "git", "reset", "--quiet", "--hard", sha)
	if out, err := s.try(s.clone, here, "production", "again"); err == nil {
		t.Errorf("a branch that was moved was pushed over: %s", out)
	}
}

// TestHalfDeployed: a Puppetfile that cannot be had fails, on either tool, and no edge takes what is there for a version.
func TestHalfDeployed(t *testing.T) {
	s := newSite(t)
	s.write("control/Puppetfile", "mod 'gone',\n  :git => '"+s.dir+"/nowhere.git',\n  :commit => '0000000000000000000000000000000000000000'\n", 0o644)
	sha := s.commit(s.clone)
	name := "production_" + sha[:8]
	s.run(s.clone, "git", "push", "--quiet", "origin", sha+":refs/heads/"+name)
	for _, tool := range tools {
		if out, err := s.try(s.dir, "env", "DEPLOYER="+tool, s.script("deploy-change"), name, s.dir+"/"+tool+".yaml"); err == nil {
			t.Errorf("%s: no error\n%s", tool, out)
		}
	}
	want := []string{edge.CodeUnpinned, edge.CodeFailed} // r10k leaves no file then, g10k one that says so
	for i, code := range s.codes(name, "content") {
		if code != want[i] {
			t.Errorf("with %s the edge says %q, want %s", tools[i], code, want[i])
		}
	}
	for _, tool := range tools {
		if out, err := s.try(s.dir, "env", "DEPLOYER="+tool, s.script("deploy-change"), "production_nobranch", s.dir+"/"+tool+".yaml"); err == nil {
			t.Errorf("%s: a branch that does not exist was deployed\n%s", tool, out)
		}
	}
}

func (s *site) script(name string) string {
	s.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		s.Fatal(err)
	}
	return path
}
