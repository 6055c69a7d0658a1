package stack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

// command says how one process runs.
type command struct {
	argv  []string
	env   []string // on top of a small, fixed environment
	dir   string
	user  string         // system user; empty: as we are
	log   string         // file that gets stdout and stderr, appended
	death syscall.Signal // sent by the kernel when the test process dies; 0 means SIGKILL
}

// process is one started command. The nil process is one that does not run.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process was waited for
}

// startProcess starts a command in a session of its own, so that its whole group can be killed by one signal.
func startProcess(c command) (*process, error) {
	cred, err := credential(c.user)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(c.argv[0], c.argv[1:]...)
	cmd.Dir = c.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "HOME=" + c.dir}, c.env...)
	if c.death == 0 {
		c.death = syscall.SIGKILL
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: c.death, Credential: cred}
	log, err := openLog(c.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log // a file, not a pipe: Wait must not wait for whoever inherits it

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The kernel sends the parent-death signal when the starting thread ends, so that thread stays until the
		// process is gone.
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // state() tells how it ended
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
}

func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// signal reaches the first process only; a daemon ends its children itself.
func (p *process) signal(sig syscall.Signal) { _ = syscall.Kill(p.pid(), sig) }

// kill ends the whole group and waits until it is gone.
func (p *process) kill() {
	_ = syscall.Kill(-p.pid(), syscall.SIGKILL)
	<-p.done
}

// state tells how a process that is done has ended.
func (p *process) state() string { return fmt.Sprint(p.cmd.ProcessState) }
