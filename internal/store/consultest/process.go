package consultest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

var errPortTaken = errors.New("port is taken")

// process is one run of the binary.
type process struct {
	cmd    *exec.Cmd
	log    string        // path; one file per run
	exited chan struct{} // closed after err is set
	err    error
}

// Binary is the consul to run: the one on PATH, else the one that the repository
// builds for its tests.
func Binary() (string, error) {
	if path, err := exec.LookPath("consul"); err == nil {
		return path, nil
	}
	cache := os.Getenv("SLUICE_CACHE")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("consul is not on the path, and no cache directory is known: %w: run make tools", err)
		}
		cache = filepath.Join(home, ".cache", "sluice")
	}
	path := filepath.Join(cache, "bin", "consul")
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("consul is neither on the path nor in %s: run make tools", filepath.Dir(path))
	}
	return path, nil
}

func startProcess(dir string) (*process, error) {
	binary, err := Binary()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(dir, "consul-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(binary, "agent", "-config-file="+filepath.Join(dir, "consul.json"))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.Env = withoutConsul(os.Environ())
	cmd.SysProcAttr = dieWithParent()
	p := &process{cmd: cmd, log: log.Name(), exited: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the parent-death signal when the starting thread ends, which need not be when this
		// process does: the thread stays until the server is gone.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
		}
		close(p.exited)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	return p, nil
}

// withoutConsul drops the variables by which a developer points at another Consul.
func withoutConsul(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "CONSUL_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// end signals this process only, and kills it if it does not go.
func (p *process) end(signal os.Signal) error {
	select {
	case <-p.exited:
		return p.exitError()
	default:
	}
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal consul: %w", err)
	}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-p.exited:
		return nil
	case <-timer.C:
	}
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill consul: %w", err)
	}
	<-p.exited
	return fmt.Errorf("consul ignored %v%s", signal, p.logTail())
}

// exitError explains an exit that nobody asked for.
func (p *process) exitError() error {
	tail := p.logTail()
	if strings.Contains(tail, "address already in use") {
		return fmt.Errorf("consul exited: %w%s", errPortTaken, tail)
	}
	return fmt.Errorf("consul exited: %v%s", p.err, tail)
}

func (p *process) logTail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf(" (no log: %v)", err)
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	if n := len(lines) - 20; n > 0 {
		lines = lines[n:]
	}
	return "\n" + string(bytes.Join(lines, []byte("\n")))
}
