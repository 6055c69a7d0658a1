package stack

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// ConsulTemplate is one consul-template process; a stack may have one for each puppetserver.
type ConsulTemplate struct {
	Service
	// Config is the HCL file; Log gets stdout and stderr.
	Config, Log string
}

// ConsulTemplate prepares a consul-template that is not started yet: Start it, Kill it, Start it again. hcl is its whole
// configuration; env (NAME=VALUE, such as CONSUL_HTTP_TOKEN) goes to it and to the commands it runs; user is the system
// user it runs as, empty for root. Close ends it.
func (s *Stack) ConsulTemplate(name, hcl, user string, env ...string) (*ConsulTemplate, error) {
	if !plainName.MatchString(name) {
		return nil, fmt.Errorf("consul-template %q: want a plain name", name)
	}
	program, err := findProgram("consul-template")
	if err != nil {
		return nil, err
	}
	if program, err = s.InstallProgram(program); err != nil {
		return nil, err
	}
	dir := filepath.Join(s.Dir, "consul-template", name)
	c := &ConsulTemplate{Config: filepath.Join(dir, "config.hcl"), Log: filepath.Join(dir, "consul-template.log")}
	if err := writeFile(c.Config, hcl, 0o644); err != nil {
		return nil, err
	}
	if user != "" {
		if err := giveTo(user, dir); err != nil {
			return nil, err
		}
	}
	c.Service = Service{
		name: "consul-template " + name, logs: []string{c.Log}, stopWith: syscall.SIGINT,
		probe: func(context.Context) error { return nil }, // it has no port; what it renders tells
		command: func() (command, error) {
			return command{argv: []string{program, "-config", c.Config}, env: env, dir: dir, user: user, log: c.Log}, nil
		},
	}
	s.onClose(c.Kill)
	return c, nil
}

// findProgram prefers the pinned build that tools/setup.sh keeps; where PATH had a good one it has made none.
func findProgram(name string) (string, error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	cached := filepath.Join(cache, "bin", name)
	if info, err := os.Stat(cached); err == nil && info.Mode()&0o111 != 0 {
		return cached, nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s: neither in %s nor on PATH (run: make tools)", name, filepath.Dir(cached))
	}
	return path, nil
}
