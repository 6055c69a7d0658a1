package stack

import (
	"fmt"
	"path/filepath"
	"syscall"
)

// Prometheus scrapes every node's SLIs each second.
type Prometheus struct {
	Service
	URL string
	dir string
}

func newPrometheus(dir string, port int) *Prometheus {
	p := &Prometheus{URL: fmt.Sprintf("http://127.0.0.1:%d", port), dir: dir}
	log := filepath.Join(dir, "prometheus.log")
	p.Service = Service{
		name: "prometheus", logs: []string{log}, stopWith: syscall.SIGTERM,
		probe: expect(plainClient, p.URL+"/-/ready", ""),
		command: func() (command, error) {
			return command{dir: dir, log: log, argv: []string{"prometheus",
				"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"),
				fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port), "--query.lookback-delta=10s"}}, nil
		},
	}
	return p
}

func (p *Prometheus) configure(targets string) error {
	return render(filepath.Join(p.dir, "prometheus.yml"), "prometheus.yml", targets)
}
