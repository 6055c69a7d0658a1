package web

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/version"
)

// handler returns everything that the server answers, behind its guard.
func (s *Server) handler() (http.Handler, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_http_requests_total",
		Help: "HTTP requests answered, by status and method."}, []string{"code", "method"})
	reg := s.options.Registry
	err := errors.Join(
		reg.Register(versioncollector.NewCollector("sluice")),
		reg.Register(collectors.NewGoCollector()),
		reg.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
		reg.Register(s.reload.successful),
		reg.Register(s.reload.timestamp),
		reg.Register(requests),
	)
	if err != nil {
		return nil, fmt.Errorf("web: register metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", index)
	mux.HandleFunc("GET /-/healthy", healthy)
	mux.HandleFunc("GET /-/ready", s.ready)
	mux.HandleFunc("POST /-/reload", s.handleReload)
	mux.HandleFunc("PUT /-/reload", s.handleReload)
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg, EnableOpenMetrics: true}))
	if s.options.API != nil {
		mux.Handle("/api/v1/", s.options.API)
	}
	guarded := guard{next: mux, webConfigFile: s.options.WebConfigFile}
	return promhttp.InstrumentHandlerCounter(requests, http.MaxBytesHandler(guarded.handler(), maxBodyBytes)), nil
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "sluiced is Healthy.")
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.options.Ready(); err != nil {
		plain(w, http.StatusServiceUnavailable, "sluiced is not Ready: "+err.Error())
		return
	}
	plain(w, http.StatusOK, "sluiced is Ready.")
}

var indexPage = template.Must(template.New("index").Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>sluiced</title></head>
<body>
<h1>sluiced</h1>
<p>Version {{.}}</p>
<ul>
<li><a href="api/v1/">API</a></li>
<li><a href="metrics">Metrics</a></li>
<li><a href="-/healthy">Health</a></li>
<li><a href="-/ready">Readiness</a></li>
</ul>
</body>
</html>
`))

func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	_ = indexPage.Execute(w, version.Info())
}
