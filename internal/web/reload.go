package web

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// reloader runs one reload at a time and shows how the last one went.
type reloader struct {
	mu         sync.Mutex
	reload     func() error
	successful prometheus.Gauge
	timestamp  prometheus.Gauge
}

func newReloader(reload func() error) *reloader {
	r := &reloader{
		reload: reload,
		successful: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_config_last_reload_successful",
			Help: "Whether the last attempt to load the configuration succeeded."}),
		timestamp: prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration was last loaded with success."}),
	}
	r.succeeded()
	return r
}

func (r *reloader) succeeded() {
	r.successful.Set(1)
	r.timestamp.SetToCurrentTime()
}

func (r *reloader) run() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := false
	defer func() { // a panic is no success either
		if !done {
			r.successful.Set(0)
		}
	}()
	if err := r.reload(); err != nil {
		return fmt.Errorf("reload configuration: %w", err)
	}
	done = true
	r.succeeded()
	return nil
}

func (s *Server) handleReload(w http.ResponseWriter, r *http.Request) {
	who, _ := IdentityFrom(r.Context()) // the guard lets no write pass without
	if err := s.Reload(); err != nil {
		s.options.Log.Error().Err(err).Str("who", who.Name).Msg("configuration is not reloaded")
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.options.Log.Info().Str("who", who.Name).Msg("configuration is reloaded")
}
