package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Options change what Start sets up. The zero value is the usual stack.
type Options struct {
	// Puppetservers is how many to run; 0 means 2. The first one is the certificate authority.
	Puppetservers int
	// ExternalNodes returns the external_nodes command of one puppetserver: an absolute path and its arguments, split at
	// blanks, which user puppet must be able to run (see Stack.InstallProgram). It is called when the directories exist
	// and the ports are known, before anything but PostgreSQL runs. nil, or an empty answer, means the site's own ENC.
	ExternalNodes func(*Stack, *Puppetserver) (string, error)
	// Logf, if set, gets one line for each part that has become ready, with the time since Start began.
	Logf func(format string, args ...any)
	// Keep leaves the temporary directory behind for inspection.
	Keep bool
}

// Stack is a running set of components. Its fields are fixed once Start has returned; its methods may be used from
// several goroutines.
type Stack struct {
	// Dir holds everything, and is enterable by the daemons' users.
	Dir string
	// CA is the CA certificate's PEM file.
	CA string

	Postgres      *Postgres
	PuppetDB      *PuppetDB
	Puppetservers []*Puppetserver
	Prometheus    *Prometheus

	opts  Options
	own   bool // Dir was made by Start, and goes away with Close
	ports *portLease
	sli   *sliExporter
	began time.Time

	mu      sync.Mutex
	facts   map[string]map[string]string
	cleanup []func()
}

// Start brings everything up below dir and returns when all of it answers. An empty dir means a new temporary
// directory, which Close removes. When Start fails nothing keeps running, and the error ends with the log of the
// component that failed.
func Start(ctx context.Context, dir string, opts Options) (*Stack, error) {
	if opts.Puppetservers == 0 {
		opts.Puppetservers = 2
	}
	s := &Stack{opts: opts, facts: map[string]map[string]string{}, began: time.Now()}
	if err := checkMachine(); err != nil {
		return nil, err
	}
	if err := s.start(ctx, dir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Stack) start(ctx context.Context, dir string) error {
	if err := s.makeRoot(dir); err != nil {
		return err
	}
	if err := s.allot(); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	s.lap("postgres, certificates and configuration")
	return s.boot(ctx)
}

// allot gives every component its place and its ports.
func (s *Stack) allot() error {
	s.ports = &portLease{}
	var err error
	port := func() (n int) {
		if err == nil {
			n, err = s.ports.take()
		}
		return n
	}
	s.Postgres = newPostgres(filepath.Join(s.Dir, "postgres"), port())
	s.PuppetDB = newPuppetDB(s, filepath.Join(s.Dir, "puppetdb"), port(), port())
	for i := range s.opts.Puppetservers {
		s.Puppetservers = append(s.Puppetservers, newPuppetserver(s, i, port()))
	}
	s.Prometheus = newPrometheus(filepath.Join(s.Dir, "prometheus"), port())
	if err != nil {
		return err
	}
	s.CA = filepath.Join(s.PuppetDB.Dir, "ssl", "ca.pem")
	s.sli, err = newSLIExporter(s)
	return err
}

// prepare makes the database and the certificates at the same time, then every configuration that needs them.
func (s *Stack) prepare(ctx context.Context) error {
	if err := errors.Join(s.makeSiteENC(), s.makeAgentScript()); err != nil {
		return err
	}
	for _, p := range s.Puppetservers {
		if err := p.configure(); err != nil {
			return err
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.Postgres.create(gctx) })
	g.Go(func() error { return s.makeCertificates(gctx) })
	if err := g.Wait(); err != nil {
		return err
	}
	if err := s.PuppetDB.configure(); err != nil {
		return err
	}
	for _, p := range s.Puppetservers {
		if err := p.install(); err != nil {
			return err
		}
	}
	return s.Prometheus.configure(s.sli.targets)
}

// boot starts what takes long in parallel: three JVMs, and Prometheus beside them.
func (s *Stack) boot(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	start := func(svc *Service) {
		g.Go(func() error {
			if err := svc.Start(gctx); err != nil {
				return err
			}
			s.lap(svc.name)
			return nil
		})
	}
	start(&s.PuppetDB.Service)
	for _, p := range s.Puppetservers {
		start(&p.Service)
	}
	start(&s.Prometheus.Service)
	return g.Wait()
}

// Close ends every process and, unless it is to be kept, removes the directory. Data is not saved: the JVMs are killed.
// Closing twice is harmless.
func (s *Stack) Close() error {
	s.mu.Lock()
	cleanup := s.cleanup
	s.cleanup = nil
	s.mu.Unlock()
	for i := len(cleanup) - 1; i >= 0; i-- {
		cleanup[i]()
	}
	for _, p := range s.Puppetservers {
		p.Kill()
	}
	if s.PuppetDB != nil {
		s.PuppetDB.Kill()
	}
	if s.Prometheus != nil {
		s.Prometheus.Kill()
	}
	if s.Postgres != nil {
		s.Postgres.quit() // not killed, as it would leave its shared memory behind
	}
	if s.sli != nil {
		s.sli.close()
	}
	if s.ports != nil {
		s.ports.release()
	}
	if !s.own || s.opts.Keep {
		return nil
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		return fmt.Errorf("remove the stack's directory: %w", err)
	}
	return nil
}

// onClose registers what Close does first, last registered first.
func (s *Stack) onClose(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanup = append(s.cleanup, f)
}

func (s *Stack) lap(what string) {
	if s.opts.Logf != nil {
		s.opts.Logf("%5.1f s  %s", time.Since(s.began).Seconds(), what)
	}
}
