package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// SLIFile, in a node's ManagedDir, holds lines "metric value" that override what SetSLI has set: a Puppet change that
// writes it breaks, or mends, the node's service.
const SLIFile = "sli"

var metricName = regexp.MustCompile(`^[a-zA-Z_]\w*$`)

// sliExporter stands for the service on each node: it serves the node's SLIs at /metrics/CERTNAME.
type sliExporter struct {
	stack   *Stack
	targets string // Prometheus' file of targets
	ln      net.Listener
	srv     *http.Server
	done    chan struct{}

	mu     sync.Mutex
	values map[string]map[string]float64
}

func newSLIExporter(s *Stack) (*sliExporter, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &sliExporter{
		stack: s, targets: filepath.Join(s.Dir, "prometheus", "targets.json"), ln: ln,
		done: make(chan struct{}), values: map[string]map[string]float64{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics/{certname}", e.serve)
	e.srv = &http.Server{Handler: mux}
	go func() {
		defer close(e.done)
		_ = e.srv.Serve(ln) // ends with ErrServerClosed
	}()
	return e, e.writeTargets(nil)
}

func (e *sliExporter) close() {
	_ = e.srv.Close()
	<-e.done
}

// SetSLI sets a gauge that the node's service exports; Prometheus adds instance=CERTNAME. The node becomes a target
// with its first value.
func (s *Stack) SetSLI(certname, metric string, value float64) error {
	if !plainName.MatchString(certname) || !metricName.MatchString(metric) {
		return fmt.Errorf("sli %s of node %q: not a metric or not a certname", metric, certname)
	}
	e := s.sli
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.values[certname] != nil {
		e.values[certname][metric] = value
		return nil
	}
	e.values[certname] = map[string]float64{metric: value}
	return e.writeTargets(slices.Sorted(maps.Keys(e.values)))
}

func (e *sliExporter) writeTargets(certnames []string) error {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := []group{}
	for _, certname := range certnames {
		groups = append(groups, group{[]string{e.ln.Addr().String()},
			map[string]string{"instance": certname, "__metrics_path__": "/metrics/" + certname}})
	}
	b, err := json.Marshal(groups)
	if err != nil {
		return err
	}
	return writeFile(e.targets, string(b), 0o644)
}

func (e *sliExporter) serve(w http.ResponseWriter, r *http.Request) {
	certname := r.PathValue("certname")
	e.mu.Lock()
	values := maps.Clone(e.values[certname])
	e.mu.Unlock()
	if values == nil {
		http.NotFound(w, r)
		return
	}
	path := filepath.Join(e.stack.ManagedDir(certname), SLIFile)
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	overrides, err := parseSLI(string(content))
	if err != nil {
		http.Error(w, path+": "+err.Error(), http.StatusInternalServerError)
		return
	}
	maps.Copy(values, overrides)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		_, _ = fmt.Fprintf(w, "# TYPE %s gauge\n%s %s\n", name, name, strconv.FormatFloat(values[name], 'g', -1, 64))
	}
}

// parseSLI reads lines "metric value"; blank lines do not count.
func parseSLI(content string) (map[string]float64, error) {
	values := map[string]float64{}
	for n, line := range strings.Split(content, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 || !metricName.MatchString(fields[0]) {
			return nil, fmt.Errorf("line %d: %q: want a metric and a value", n+1, line)
		}
		v, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		values[fields[0]] = v
	}
	return values, nil
}
