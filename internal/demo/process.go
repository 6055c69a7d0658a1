package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// process is a program that runs beside the demo, with its log in a file.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
	err   error // of its end
}

// launch starts a program in a group of its own, so that Ctrl-C reaches the demo first and it ends them in order.
func launch(dir, name, program string, args ...string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	f, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // the program has its own copy
	p.cmd = exec.Command(program, args...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = f, f, apart()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// says waits until a line of the log matches, and returns what the expression's group found.
func (p *process) says(ctx context.Context, want *regexp.Regexp) (string, error) {
	for {
		if m := p.find(want); m != "" {
			return m, nil
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-p.ended:
			return "", fmt.Errorf("%s has ended: %w", p.name, errors.Join(p.err, errors.New(p.tail())))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) find(want *regexp.Regexp) string {
	f, err := os.Open(p.log)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := want.FindStringSubmatch(lines.Text()); m != nil {
			return m[1]
		}
	}
	return ""
}

// tail is the end of the log.
func (p *process) tail() string {
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > 2000 {
		_, _ = f.Seek(-2000, io.SeekEnd)
	}
	data, _ := io.ReadAll(f)
	return string(data)
}

// stop asks the program to end, and makes it after a while.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("%s did not end by itself", p.name)
	}
	return nil
}
