package cli

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/openinfrastructure/sluice/internal/store/dir"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// asProgram makes the test binary be sluice, on a terminal that a test holds the other end of.
const asProgram = "SLUICE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // as cmd/sluice does
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// terminal is a program on a pseudo-terminal.
type terminal struct {
	t    *testing.T
	tty  *os.File
	cmd  *exec.Cmd
	mu   sync.Mutex
	out  bytes.Buffer
	done chan struct{}
}

func onTerminal(t *testing.T, size pty.Winsize, env []string, args ...string) *terminal {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, cmd: exec.Command(exe, args...), done: make(chan struct{})}
	term.cmd.Env = append(os.Environ(), asProgram+"=1", "TERM=xterm-256color", "NO_COLOR=", "LC_ALL=C.UTF-8")
	term.cmd.Env = append(term.cmd.Env, env...)
	if term.tty, err = pty.StartWithSize(term.cmd, &size); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(term.done)
		for buf := make([]byte, 4096); ; {
			n, err := term.tty.Read(buf)
			term.mu.Lock()
			term.out.Write(buf[:n])
			term.mu.Unlock()
			if err != nil { // the program has gone
				return
			}
		}
	}()
	t.Cleanup(func() { _ = term.cmd.Process.Kill(); <-term.done; _ = term.tty.Close() })
	return term
}

func (term *terminal) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.out.String()
}

// until waits for a text behind the first so many bytes, and returns how many there are then.
func (term *terminal) until(after int, part string) int {
	term.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if text := term.text(); len(text) > after && strings.Contains(text[after:], part) {
			return len(text)
		}
	}
	term.t.Fatalf("%q is never shown: %q", part, term.text()[after:])
	return 0
}

// end waits for the program's end and returns its exit code.
func (term *terminal) end() int {
	<-term.done
	_ = term.cmd.Wait()
	return term.cmd.ProcessState.ExitCode()
}

// dirSite is a site in a directory, which a program of its own can read.
func dirSite(t *testing.T) (*site, string) {
	path := filepath.Join(t.TempDir(), "tree")
	d, err := dir.Open(dir.Config{Path: path, Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	s := bareSite(t)
	s.store = d
	s.ok("init", "--track", "production=production_a")
	return s, path
}

// TestTerminal follows a rollout on a real terminal: it is never cleared as a whole, a change of size is drawn, only lines
// that differ are written, and afterwards it is as it was.
func TestTerminal(t *testing.T) {
	s, path := dirSite(t)
	s.rollout("ntp", func(r *tree.Rollout) { r.Status.At = time.Now() })
	term := onTerminal(t, pty.Winsize{Rows: 40, Cols: 100}, nil, "--store.dir", path, "status", "ntp", "-w")
	n := term.until(0, "Progressing")
	if first := term.text(); !strings.HasPrefix(first, otherScreen+hideCursor+wrapOff) || !strings.Contains(first, "\x1b[34m") {
		t.Errorf("begins with %q", first)
	}
	s.put("flags/ntp/pause", "true")
	after := term.until(n, "Paused")
	if drawn := term.text()[n:after]; strings.Contains(drawn, "8f3c2d1a") {
		t.Errorf("a line that has not changed is drawn again: %q", drawn)
	}
	if err := pty.Setsize(term.tty, &pty.Winsize{Rows: 12, Cols: 60}); err != nil {
		t.Fatal(err)
	}
	n = term.until(after, "more lines")
	s.rollout("ntp", backOut)
	s.delete("flags/ntp/pause")
	if code := term.end(); code != ExitBackout {
		t.Errorf("exit %d", code)
	}
	all := term.text()
	for _, clear := range []string{"\x1b[2J", "\x1b[3J", "\x1bc", "\x1b[H\x1b[J"} {
		if strings.Contains(all, clear) {
			t.Errorf("the terminal is cleared by %q", clear)
		}
	}
	if _, left, given := strings.Cut(all, wrapOn+firstScreen+showCursor); !given || !strings.Contains(left, "Backed out") {
		t.Errorf("ends with %q", all[n:])
	}
}

// TestTerminalInterrupted: Ctrl-C gives the terminal back.
func TestTerminalInterrupted(t *testing.T) {
	for name, stop := range map[string]func(*terminal) error{
		"Ctrl-C":  func(term *terminal) error { _, err := term.tty.Write([]byte{3}); return err },
		"SIGTERM": func(term *terminal) error { return term.cmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			s, path := dirSite(t)
			s.rollout("ntp", func(r *tree.Rollout) { r.Status.At = time.Now() })
			term := onTerminal(t, pty.Winsize{Rows: 24, Cols: 80}, []string{"NO_COLOR=1"}, "--store.dir", path, "status", "-w")
			term.until(0, "INFO")
			if err := stop(term); err != nil {
				t.Fatal(err)
			}
			if code := term.end(); code != ExitError {
				t.Errorf("exit %d", code)
			}
			all := term.text()
			if strings.Count(all, showCursor) != 1 || strings.Count(all, firstScreen) != 1 || strings.Count(all, wrapOn) != 1 || !strings.HasSuffix(strings.TrimSpace(all), "interrupted") {
				t.Errorf("the terminal is not given back: %q", all)
			}
			if sgr.MatchString(all) {
				t.Error("there are colours although NO_COLOR is set")
			}
		})
	}
}
