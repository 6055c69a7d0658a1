// Package siteenc asks the site's own classifier about a node.
package siteenc

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/openinfrastructure/sluice/internal/config"
)

// Ask runs the command for one node. The answer has environment, classes, and every parameter by its name.
func Ask(ctx context.Context, cfg config.ENC, certname string) (map[string]any, error) {
	argv := append(cfg.Argv(), certname)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(cfg.Timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("site ENC for %s: %w", certname, err)
	}
	return parse(out)
}

// parse flattens an answer: parameters by name, beside environment and classes.
func parse(out []byte) (map[string]any, error) {
	var answer map[string]any
	if err := yaml.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("site ENC: %w", err)
	}
	data := map[string]any{}
	for k, v := range answer {
		switch k = strings.TrimPrefix(k, ":"); k {
		case "parameters":
			if params, ok := v.(map[string]any); ok {
				for name, value := range params {
					data[name] = value
				}
			}
		}
	}
	for _, k := range []string{"environment", "classes"} {
		for _, key := range []string{k, ":" + k} {
			if v, ok := answer[key]; ok && v != nil {
				data[k] = v
			}
		}
	}
	return data, nil
}
