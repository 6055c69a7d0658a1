package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// rendered is the real consul-template with the templates of deploy/, one puppetserver more beside the simulated ones.
type rendered struct {
	dir string
	cmd *exec.Cmd
	log bytes.Buffer
}

// startTemplate starts it with the configuration of deploy/, paths substituted, and without the command that accepts: the
// time until a file is there is what is measured.
func startTemplate(ctx context.Context, dir, address, token string) (*rendered, error) {
	program, err := findTemplate()
	if err != nil {
		return nil, err
	}
	config, err := os.ReadFile("deploy/consul-template/sluice-enc.hcl")
	if err != nil {
		return nil, fmt.Errorf("%w (run it from the top of the repository)", err)
	}
	from, err := filepath.Abs("deploy/consul-template")
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("/etc/sluice/consul-template", from, "/var/lib/sluice-enc/rendered", dir, "/usr/bin/sluice-enc", "/bin/true").Replace(string(config))
	file := filepath.Join(dir, "consul-template.hcl")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	r := &rendered{dir: dir, cmd: exec.CommandContext(ctx, program, "-config", file)}
	r.cmd.Env = append(os.Environ(), "CONSUL_HTTP_ADDR="+address, "CONSUL_HTTP_TOKEN="+token)
	r.cmd.Stdout, r.cmd.Stderr = &r.log, &r.log
	r.cmd.Cancel = func() error { return r.cmd.Process.Signal(syscall.SIGINT) }
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	return r, errors.Join(r.wait(ctx, "flags", "freeze"), r.wait(ctx, "manifest", "{}"))
}

// stop ends it.
func (r *rendered) stop() {
	_ = r.cmd.Cancel() // it may have ended, which the next wait would have said
	_ = r.cmd.Wait()
}

// wait returns when a file has a text.
func (r *rendered) wait(ctx context.Context, file, text string) error {
	end := time.Now().Add(30 * time.Second)
	for time.Now().Before(end) {
		if data, err := os.ReadFile(filepath.Join(r.dir, file)); err == nil && bytes.Contains(data, []byte(text)) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return fmt.Errorf("consul-template did not render %q into %s within 30 s:\n%s", text, file, r.log.String())
}

// findTemplate prefers what make tools has built.
func findTemplate() (string, error) {
	cache := os.Getenv("SLUICE_CACHE")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache", "sluice")
	}
	if built := filepath.Join(cache, "bin", "consul-template"); exists(built) {
		return built, nil
	}
	path, err := exec.LookPath("consul-template")
	if err != nil {
		return "", fmt.Errorf("%w (run: make tools)", err)
	}
	return path, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
