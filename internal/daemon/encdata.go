package daemon

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/openinfrastructure/sluice/internal/config"
)

// encData asks the site's own ENC about nodes, and remembers what it said. Its answers are attributes (enc.*) and
// say which track a node is on.
type encData struct {
	cfg  *config.ENC
	mu   sync.Mutex
	said map[string]encAnswer
}

type encAnswer struct {
	at    time.Time
	known bool           // it answered once; a failure keeps the answer before it
	data  map[string]any // environment, classes, and every parameter by its name
	err   error
}

func newENCData(cfg *config.ENC) *encData { return &encData{cfg: cfg, said: map[string]encAnswer{}} }

// refresh asks about every node whose answer is older than the configured time, a few at once.
func (e *encData) refresh(ctx context.Context, certnames []string, now time.Time) {
	if e.cfg == nil {
		return
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(e.cfg.Concurrency)
	for _, certname := range certnames {
		if a := e.get(certname); !a.at.IsZero() && now.Sub(a.at) < time.Duration(e.cfg.Refresh) && a.err == nil {
			continue
		}
		g.Go(func() error {
			data, err := e.ask(ctx, certname)
			if ctx.Err() != nil {
				return nil
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			a := e.said[certname]
			a.at, a.err = now, err
			if err == nil {
				a.data, a.known = data, true
			}
			e.said[certname] = a
			return nil
		})
	}
	_ = g.Wait()
}

func (e *encData) get(certname string) encAnswer {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.said[certname]
}

func (e *encData) ask(ctx context.Context, certname string) (map[string]any, error) {
	argv := append(e.cfg.Argv(), certname)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(e.cfg.Timeout))
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("site ENC for %s: %w", certname, err)
	}
	return parseENC(out)
}

// parseENC flattens an answer: parameters by name, beside environment and classes.
func parseENC(out []byte) (map[string]any, error) {
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
