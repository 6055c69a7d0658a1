package sli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// exporter answers for several nodes: Prometheus says in ?node= which of its
// targets it scrapes.
func exporter(t *testing.T) *httptest.Server {
	t.Helper()
	ratios := map[string]string{"web1.example.com:9100": "0.25", "web2.example.com:9100": "0.5", "web3.example.com:9100": "NaN"}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "error_ratio %s\n", ratios[r.FormValue("node")])
		fmt.Fprintf(w, "disk_used{disk=\"a\"} 1\ndisk_used{disk=\"b\"} 3\n")
	}))
	t.Cleanup(srv.Close)
	return srv
}

const realConfig = `
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
  - job_name: fleet
    static_configs: [{targets: ["web1.example.com:9100", "web2.example.com:9100", "web3.example.com:9100"]}]
    relabel_configs:
      - {source_labels: [__address__], target_label: instance}
      - {source_labels: [__address__], target_label: __param_node}
      - {target_label: __address__, replacement: "%s"}
`

// startPrometheus runs the real server on a port of the kernel's choice and
// returns its URL, read from its log.
func startPrometheus(t *testing.T, config string) string {
	t.Helper()
	binary, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("no prometheus binary: run make tools: %v", err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address=127.0.0.1:0", "--log.format=logfmt")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	var drained sync.WaitGroup
	drained.Go(func() { readLog(log, address) })
	t.Cleanup(func() { // t.Context is done by now, so the process is ending
		drained.Wait()
		_ = cmd.Wait()
	})
	a, ok := <-address
	if !ok {
		t.Fatal("prometheus ended before it listened")
	}
	return "http://" + a
}

// readLog sends the first address that the server listens on, then drains the
// log until the process ends.
func readLog(log io.Reader, address chan<- string) {
	defer close(address)
	listening := regexp.MustCompile(`msg="?Listening on"? address=(127\.0\.0\.1:\d+)`)
	sent := false
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil && !sent {
			address <- m[1]
			sent = true
		}
	}
}

// eventually asks until check is content; the server scrapes in its own time.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// The client against a real server: what the fake says about its answers is
// what a server answers.
func TestRealPrometheus(t *testing.T) {
	target := strings.TrimPrefix(exporter(t).URL, "http://")
	c := client(t, startPrometheus(t, fmt.Sprintf(realConfig, target)))
	eventually(t, func() error { return c.Reachable(t.Context()) })
	scraped := Query{Name: "scraped", PromQL: "count(error_ratio)"}
	eventually(t, func() error {
		s, err := c.Sample(t.Context(), scraped, time.Now())
		if err == nil && *s.Aggregate != 3 {
			return fmt.Errorf("%v of 3 targets scraped", *s.Aggregate)
		}
		return err
	})
	now := time.Now()

	t.Run("values per node", func(t *testing.T) {
		got, err := c.Sample(t.Context(), Query{Name: "errors", PromQL: "error_ratio"}, now)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]float64{"web1.example.com": 0.25, "web2.example.com": 0.5}
		if diff := cmp.Diff(want, got.Values); diff != "" || got.NotFinite != 1 || got.Skipped != 0 {
			t.Errorf("got %+v; values (-want +got):\n%s", got, diff)
		}
	})
	t.Run("several series of one node", func(t *testing.T) {
		_, err := c.Sample(t.Context(), Query{Name: "disk", PromQL: "disk_used"}, now)
		if err == nil || !strings.Contains(err.Error(), "has several series") {
			t.Fatalf("got %v", err)
		}
		got, err := c.Sample(t.Context(), Query{Name: "disk", PromQL: "max by (instance) (disk_used)"}, now)
		if err != nil || got.Values["web1.example.com"] != 3 || len(got.Values) != 3 {
			t.Errorf("aggregated: got %+v, %v", got, err)
		}
	})
	t.Run("no data", func(t *testing.T) {
		for _, promql := range []string{"no_such_metric", "error_ratio > 100", "scalar(no_such_metric)", "sum(no_such_metric)", "0/0"} {
			if _, err := c.Sample(t.Context(), Query{Name: "none", PromQL: promql}, now); !errors.Is(err, ErrNoData) {
				t.Errorf("%s: got %v, want ErrNoData", promql, err)
			}
		}
	})
	t.Run("before the first scrape", func(t *testing.T) {
		_, err := c.Sample(t.Context(), Query{Name: "errors", PromQL: "error_ratio"}, now.Add(-time.Hour))
		if !errors.Is(err, ErrNoData) {
			t.Errorf("got %v, want ErrNoData", err)
		}
	})
	t.Run("a query that fails while it runs", func(t *testing.T) {
		_, err := c.Sample(t.Context(), Query{Name: "errors", PromQL: "disk_used * on (instance) disk_used"}, now)
		if err == nil || errors.Is(err, ErrNoData) || !strings.Contains(err.Error(), "many-to-many") {
			t.Errorf("got %v, want the server's message", err)
		}
	})
}
