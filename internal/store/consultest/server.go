// Package consultest runs a real Consul server for tests and harnesses: server mode
// with a data directory, access rules on with "deny" as default, the policies that
// are shipped in deploy/consul, everything on loopback and on free ports.
package consultest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// startTimeout bounds one start until the server has a leader and knows itself. A
// busy machine takes many times the usual second.
const startTimeout = 2 * time.Minute

// Server is one Consul server. Its methods are for one goroutine at a time.
type Server struct {
	Dir        string // configuration, data, log and management token
	Addr       string // host:port of the HTTP API, the same after a Restart
	Management string // secret of a token that may do everything

	ports ports
	proc  *process // nil while stopped
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := StartDir(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// StartDir runs a server with its data below dir, which may come from an earlier
// server. The caller ends it by Stop or Kill.
func StartDir(ctx context.Context, dir string) (*Server, error) {
	var err error
	for range 5 {
		s := &Server{Dir: dir}
		if s.ports, err = freePorts(); err != nil {
			return nil, err
		}
		s.Addr = fmt.Sprintf("127.0.0.1:%d", s.ports.HTTP)
		if err = s.Restart(ctx); err == nil {
			return s, nil
		}
		// Somebody may take a port between the look and the use of it.
		if !errors.Is(err, errPortTaken) {
			return nil, err
		}
	}
	return nil, err
}

// Restart ends the server if it runs, and starts it with the same data and ports.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(); err != nil {
		return err
	}
	if err := s.writeConfig(); err != nil {
		return err
	}
	proc, err := startProcess(s.Dir)
	if err != nil {
		return err
	}
	s.proc = proc
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.ready(ctx); err != nil {
		return errors.Join(fmt.Errorf("consul in %s: %w%s", s.Dir, err, proc.logTail()), s.Kill())
	}
	return nil
}

// ready waits for a leader, bootstraps access rules once, and waits until the server
// is in its own catalog, without which there can be no session.
func (s *Server) ready(ctx context.Context) error {
	tokenFile := filepath.Join(s.Dir, "management.token")
	saved, err := os.ReadFile(tokenFile)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	s.Management = strings.TrimSpace(string(saved))
	if s.Management == "" {
		err := s.poll(ctx, "bootstrap of access rules", func(c *api.Client) (bool, error) {
			token, _, err := c.ACL().Bootstrap()
			if err != nil {
				return false, err
			}
			s.Management = token.SecretID
			return true, nil
		})
		if err != nil {
			return err
		}
		if err := os.WriteFile(tokenFile, []byte(s.Management), 0o600); err != nil {
			return err
		}
	}
	return s.poll(ctx, "own entry in the catalog", func(c *api.Client) (bool, error) {
		nodes, _, err := c.Catalog().Nodes((&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
		return len(nodes) == 1, err
	})
}

// poll repeats a step until it is done; its last error explains a timeout.
func (s *Server) poll(ctx context.Context, what string, step func(*api.Client) (bool, error)) error {
	client, err := s.Client(s.Management)
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := step(client)
		if done {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.proc.exited:
			return s.proc.exitError()
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last answer: %v)", what, ctx.Err(), err)
		}
	}
}

// Stop ends the server cleanly. A server that does not run is no error.
func (s *Server) Stop() error { return s.end(os.Interrupt) }

// Kill ends the server as a power cut would.
func (s *Server) Kill() error { return s.end(os.Kill) }

func (s *Server) end(signal os.Signal) error {
	if s.proc == nil {
		return nil
	}
	proc := s.proc
	s.proc = nil
	return proc.end(signal)
}
