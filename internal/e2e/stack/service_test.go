package stack

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func shellService(t *testing.T, script string, probe func(context.Context) error) *Service {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "out.log")
	s := &Service{name: "script", logs: []string{log}, probe: probe, stopWith: syscall.SIGTERM, command: func() (command, error) {
		return command{argv: []string{"sh", "-c", script}, dir: dir, log: log}, nil
	}}
	t.Cleanup(s.Kill)
	return s
}

func ready(context.Context) error { return nil }

func TestServiceStartsStopsAndStartsAgain(t *testing.T) {
	s := shellService(t, "exec sleep 600", ready)
	for range 2 {
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "runs already") {
			t.Errorf("second start: %v", err)
		}
		if err := s.Stop(t.Context()); err != nil || s.Running() {
			t.Errorf("stop: %v, running %v", err, s.Running())
		}
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stopping what does not run: %v", err)
	}
}

func TestServiceThatDiesIsNotReady(t *testing.T) {
	never := func(context.Context) error { return errors.New("not yet") }
	s := shellService(t, "echo the reason; exit 7", never)
	err := s.Start(t.Context())
	for _, want := range []string{"exit status 7", "the reason"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestServiceThatNeverAnswersIsKilled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	asked := 0
	s := shellService(t, "exec sleep 600", func(context.Context) error {
		if asked++; asked == 2 {
			cancel()
		}
		return fmt.Errorf("answer %d", asked)
	})
	if err := s.Start(ctx); !errors.Is(err, context.Canceled) || s.Running() {
		t.Errorf("start: %v, running %v", err, s.Running())
	}
}

func TestServiceThatIgnoresStopIsKilled(t *testing.T) {
	s := shellService(t, "trap '' TERM; echo armed; sleep 600; sleep 600", nil)
	s.probe = func(context.Context) error {
		if !strings.Contains(s.LogTail(1), "armed") {
			return errors.New("the trap is not set yet")
		}
		return nil
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Stop(ctx); err == nil || s.Running() {
		t.Errorf("stop: %v, running %v; want an error and a dead process", err, s.Running())
	}
}
