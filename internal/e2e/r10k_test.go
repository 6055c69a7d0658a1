package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func init() {
	extended = append(extended, scenario{"a change goes from its merge to everyone by r10k and g10k", (*lab).fromMerge})
}

// git runs git in dir, with no configuration of this machine.
func (l *lab) git(dir string, args ...string) string {
	l.Helper()
	cmd := exec.CommandContext(l.ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(os.Environ(), l.gitEnv()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (l *lab) gitEnv() []string {
	return []string{"HOME=" + l.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=ci", "GIT_AUTHOR_EMAIL=ci@example.test", "GIT_COMMITTER_NAME=ci", "GIT_COMMITTER_EMAIL=ci@example.test"}
}

// repository makes a bare repository and a clone with one commit of files.
func (l *lab) repository(name string, files map[string]string) (bare, clone string) {
	l.Helper()
	bare, clone = filepath.Join(l.dir, name+".git"), filepath.Join(l.dir, name)
	l.git(l.dir, "init", "--quiet", "--bare", "--initial-branch=main", bare)
	l.git(l.dir, "clone", "--quiet", bare, clone)
	l.git(clone, "checkout", "--quiet", "-b", "main")
	l.commit(clone, files)
	return bare, clone
}

func (l *lab) commit(clone string, files map[string]string) string {
	l.Helper()
	for path, content := range files {
		l.must(os.MkdirAll(filepath.Dir(filepath.Join(clone, path)), 0o755))
		l.must(os.WriteFile(filepath.Join(clone, path), []byte(content), 0o644))
	}
	l.git(clone, "add", "--all")
	l.git(clone, "commit", "--quiet", "--message", "change")
	l.git(clone, "push", "--quiet", "origin", "main")
	return l.git(clone, "rev-parse", "HEAD")
}

// fromMerge does what deploy/r10k says: r10k on one puppetserver, g10k on the other, with the files that are there. A module comes
// from a repository of its own, by commit.
func (l *lab) fromMerge() {
	recipe, err := filepath.Abs("../../deploy/r10k")
	l.must(err)
	bare, module := l.repository("motd", map[string]string{"manifests/init.pp": "class motd { file { \"${facts['managed']}/module\": content => \"by commit\\n\" } }\n"})
	pinned := l.git(module, "rev-parse", "HEAD")
	control, clone := l.repository("control", map[string]string{
		"manifests/site.pp": fmt.Sprintf(site, "r10k", "  include motd\n"),
		"Puppetfile":        fmt.Sprintf("mod 'motd',\n  :git => '%s',\n  :commit => '%s'\n", bare, pinned),
	})
	sample, err := os.ReadFile(filepath.Join(recipe, "r10k.yaml"))
	l.must(err)
	deploy := "#!/bin/sh\nset -e\n"
	for i, tool := range []string{"r10k", "g10k"} {
		environments := l.stack.Puppetservers[i].EnvironmentPath
		config := filepath.Join(l.dir, tool+".yaml")
		l.must(os.WriteFile(config, []byte(strings.NewReplacer("/var/cache/r10k", filepath.Join(l.dir, "cache-"+tool),
			"git@git.example.com:puppet/control.git", control, "/etc/puppetlabs/code/environments", environments).Replace(string(sample))), 0o644))
		deploy += fmt.Sprintf("DEPLOYER=%s %s/deploy-change \"$1\" %s\n", tool, recipe, config)
	}
	everywhere := filepath.Join(l.dir, "deploy-everywhere")
	l.must(os.WriteFile(everywhere, []byte(deploy), 0o755))
	startChange := func() (string, error) {
		cmd := exec.CommandContext(l.ctx, filepath.Join(recipe, "start-change"), "production", "from a merge", "--schedule", "three", "--wait", "90s")
		cmd.Dir = clone
		cmd.Env = append(append(os.Environ(), l.gitEnv()...), "DEPLOY="+everywhere, "PATH="+l.bin+":"+os.Getenv("PATH"), "CONSUL_HTTP_ADDR="+l.consul.Addr, "CONSUL_HTTP_TOKEN="+l.token)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	sha := l.git(clone, "rev-parse", "HEAD")
	name := "production_" + sha[:8]
	out, err := startChange()
	if err != nil {
		l.Fatalf("start-change: %v\n%s", err, out)
	}
	l.stage(name, "canary")
	if code := l.rollout(name).State.Code[name]; code != sha {
		l.Errorf("the rollout began with code %q, the merge was %s", code, sha)
	}
	l.roll(name, name)
	if data, err := os.ReadFile(filepath.Join(l.stack.ManagedDir(canary), "module")); err != nil || string(data) != "by commit\n" {
		l.Errorf("the module: %q %v", data, err)
	}
	// A second merge is another environment; the first one stays as it is.
	next := l.commit(clone, map[string]string{"manifests/site.pp": fmt.Sprintf(site, "r10k 2", "  include motd\n")})
	if out, err := startChange(); err != nil {
		l.Fatalf("the second start-change: %v\n%s", err, out)
	}
	second := "production_" + next[:8]
	for _, p := range l.stack.Puppetservers {
		for _, env := range []string{name, second, "development"} {
			if _, err := os.Stat(filepath.Join(p.EnvironmentPath, env)); err != nil {
				l.Error(err)
			}
		}
	}
	l.stage(second, "canary")
	l.sluice("backout", second, "--reason", "seen enough")
	l.phase(second, "backed_out")
	l.edgesCurrent()
	// A branch that was moved changes no puppetserver.
	l.git(clone, "push", "--quiet", "--force", "origin", next+":refs/heads/"+name)
	if out, err := exec.CommandContext(l.ctx, everywhere, name).CombinedOutput(); err != nil || !strings.Contains(string(out), "deployed already") {
		l.Errorf("%v\n%s", err, out)
	}
	if data, err := os.ReadFile(filepath.Join(l.stack.Puppetservers[0].EnvironmentPath, name, "manifests/site.pp")); err != nil || strings.Contains(string(data), "r10k 2") {
		l.Errorf("%s\n%v", data, err)
	}
}
