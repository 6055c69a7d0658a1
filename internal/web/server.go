// Package web is the daemon's HTTP server: liveness and readiness, reload,
// metrics, and the API handler that it is given.
//
// Reading is open to whoever reaches the address, or to whom the web
// configuration file admits. A write, which is every method but GET, HEAD and
// OPTIONS on any path, needs an Identity: a verified client certificate, basic
// authentication, or a request from this host over loopback. The only write
// of this package's own is reload; the API is mounted behind the same guard,
// so that a write of it cannot be open by mistake.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	toolkit "github.com/prometheus/exporter-toolkit/web"
	"github.com/rs/zerolog"
)

const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	// writeTimeout bounds an answer; a handler that streams lifts it for
	// itself with http.ResponseController.
	writeTimeout   = time.Minute
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	maxBodyBytes   = 1 << 20
)

// DefaultShutdownTimeout is how long requests may finish once Run is to end.
const DefaultShutdownTimeout = 10 * time.Second

// Options configure a Server.
type Options struct {
	// ListenAddress holds at least one "HOST:PORT"; port 0 takes a free one.
	ListenAddress []string
	// WebConfigFile is an exporter-toolkit file with TLS and basic
	// authentication, read again for each connection and request. Empty
	// means plain HTTP, where only loopback may write.
	WebConfigFile string
	// Registry is what /metrics shows; the server adds the build, process,
	// Go runtime, reload and request metrics. Nil means a new one.
	Registry *prometheus.Registry
	// Ready says why the daemon cannot work, or nil. It must be quick.
	Ready func() error
	// Reload reads the configuration again and, on error, keeps the old one.
	// The server never calls it twice at once.
	Reload func() error
	// API serves everything under /api/v1/; nil means that there is none.
	API http.Handler
	// ShutdownTimeout bounds the end of Run; 0 means DefaultShutdownTimeout.
	ShutdownTimeout time.Duration
	Log             zerolog.Logger
}

// Server is bound to its addresses from New on, and serves while Run runs.
type Server struct {
	options   Options
	listeners []net.Listener
	servers   []*http.Server // one per listener: the toolkit changes the server it is given
	reload    *reloader
	started   sync.Once
}

// New checks the options, registers the metrics and binds the addresses. The
// caller has loaded a configuration by then, so the reload metrics begin with
// a success. A server that is not run must be closed.
func New(o Options) (*Server, error) {
	if len(o.ListenAddress) == 0 {
		return nil, errors.New("web: expected a listen address, got none")
	}
	if o.Ready == nil || o.Reload == nil {
		return nil, errors.New("web: expected the functions ready and reload")
	}
	if err := toolkit.Validate(o.WebConfigFile); err != nil {
		return nil, fmt.Errorf("web config file %s: %w", o.WebConfigFile, err)
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.ShutdownTimeout <= 0 {
		o.ShutdownTimeout = DefaultShutdownTimeout
	}
	s := &Server{options: o, reload: newReloader(o.Reload)}
	handler, err := s.handler()
	if err != nil {
		return nil, err
	}
	if err := s.listen(handler); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) listen(handler http.Handler) error {
	errorLog := slog.NewLogLogger(zerolog.NewSlogHandler(s.options.Log), slog.LevelWarn)
	for _, address := range s.options.ListenAddress {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return fmt.Errorf("web: listen on %q: %w", address, err)
		}
		s.listeners = append(s.listeners, l)
		s.servers = append(s.servers, &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: readHeaderTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          errorLog,
		})
	}
	return nil
}

// Addr returns the first address, with the port that was taken for 0.
func (s *Server) Addr() string { return s.listeners[0].Addr().String() }

// Addrs returns all addresses, in the order of Options.ListenAddress.
func (s *Server) Addrs() []string {
	var all []string
	for _, l := range s.listeners {
		all = append(all, l.Addr().String())
	}
	return all
}

// Reload reloads the configuration as a request would, for SIGHUP.
func (s *Server) Reload() error { return s.reload.run() }

// Close frees the addresses of a server that was never run.
func (s *Server) Close() error {
	var errs []error
	for _, l := range s.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Run serves until ctx is done, lets requests finish within the shutdown
// timeout, cuts those that do not, and returns nil; or returns the first
// error that ended a listener. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	err := errors.New("web: run was called twice")
	s.started.Do(func() { err = s.run(ctx) })
	return err
}

func (s *Server) run(ctx context.Context) error {
	// Handlers outlive ctx by the shutdown timeout, not longer. Closing a
	// connection does not reach a handler that has left its body unread.
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var serving sync.WaitGroup
	failed := make(chan error, len(s.servers))
	for i, srv := range s.servers {
		srv.BaseContext = func(net.Listener) context.Context { return base }
		serving.Go(func() {
			if err := s.serve(s.listeners[i], srv); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("web: serve on %s: %w", s.listeners[i].Addr(), err)
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	s.shutdown(base)
	_ = s.Close() // the toolkit leaves a listener open when its file is bad
	serving.Wait()
	return err
}

func (s *Server) serve(l net.Listener, srv *http.Server) error {
	log := s.options.Log
	if s.options.WebConfigFile == "" && !loopbackAddr(l.Addr().String()) {
		log.Warn().Stringer("address", l.Addr()).Msg("no web config file: writes are refused on this address")
	}
	return toolkit.Serve(l, srv, &toolkit.FlagConfig{WebConfigFile: &s.options.WebConfigFile}, slog.New(zerolog.NewSlogHandler(log)))
}

func (s *Server) shutdown(base context.Context) {
	ctx, cancel := context.WithTimeout(base, s.options.ShutdownTimeout)
	defer cancel()
	var ending sync.WaitGroup
	for _, srv := range s.servers {
		ending.Go(func() {
			if err := srv.Shutdown(ctx); err != nil {
				s.options.Log.Warn().Err(err).Msg("requests did not end in time and are cut")
				_ = srv.Close()
			}
		})
	}
	ending.Wait()
}
