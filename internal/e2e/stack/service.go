package stack

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Service is one daemon: a command that can be started, stopped and killed any number of times.
type Service struct {
	name     string
	logs     []string                    // log files, the most telling one last
	command  func() (command, error)     // built at every start
	probe    func(context.Context) error // nil error: it is ready
	stopWith syscall.Signal

	mu   sync.Mutex
	proc *process
}

// probeEvery is how often a starting daemon is asked; the loopback questions cost nothing beside a JVM's boot.
const probeEvery = 100 * time.Millisecond

// Start runs the daemon and returns when it answers. It is an error when it runs already.
func (s *Service) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc.running() {
		return fmt.Errorf("%s runs already (pid %d)", s.name, s.proc.pid())
	}
	c, err := s.command()
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	if s.proc, err = startProcess(c); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	if err := s.await(ctx, s.proc); err != nil {
		s.proc.kill()
		return fmt.Errorf("start %s: %w; its log ends:\n%s", s.name, err, s.LogTail(25))
	}
	return nil
}

func (s *Service) await(ctx context.Context, p *process) error {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w (last answer: %v)", ctx.Err(), last)
		case <-p.done:
			return fmt.Errorf("it ended by itself: %v", p.state())
		case <-tick.C:
			if last = s.probe(ctx); last == nil {
				return nil
			}
		}
	}
}

// Stop asks the daemon to end and waits for it; when ctx ends first it is killed, which is an error. Stopping what does
// not run is none.
func (s *Service) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.proc.running() {
		return nil
	}
	s.proc.signal(s.stopWith)
	select {
	case <-s.proc.done:
		return nil
	case <-ctx.Done():
		s.proc.kill()
		return fmt.Errorf("stop %s: killed, as it did not end: %w", s.name, ctx.Err())
	}
}

// Kill ends the daemon at once, without giving it a chance to save anything.
func (s *Service) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc.running() {
		s.proc.kill()
	}
}

// Running says whether the daemon's process is alive.
func (s *Service) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.running()
}

// Done is closed when the daemon that was started last has ended. It panics when none was.
func (s *Service) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.done
}

// LogTail returns the last lines of each of the daemon's log files.
func (s *Service) LogTail(lines int) string {
	var b strings.Builder
	for _, path := range s.logs {
		content, err := os.ReadFile(path)
		if err != nil || len(content) == 0 {
			continue
		}
		all := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
		fmt.Fprintf(&b, "== %s\n%s\n", filepath.Base(path), strings.Join(all[max(0, len(all)-lines):], "\n"))
	}
	return b.String()
}

// plainClient keeps no connection, and so no goroutine, beyond an answer.
var plainClient = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// expect is a probe: a GET that must answer 200 with the wanted text in its body.
func expect(client *http.Client, url, want string) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		body, err := get(ctx, client, url)
		if err == nil && !strings.Contains(string(body), want) {
			err = fmt.Errorf("%s: %q, want %q", url, body, want)
		}
		return err
	}
}

func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	return body, err
}
