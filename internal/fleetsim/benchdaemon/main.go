// Command benchdaemon measures sluiced as a whole process: its CPU time and its memory while it follows a simulated fleet
// with a rollout under way, one row per fleet size.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/internal/fleetsim"
)

func main() {
	sizes := flag.String("nodes", "1000,10000,100000,1000000", "fleet sizes")
	window := flag.Duration("window", 3*time.Minute, "how long to measure each")
	bin := flag.String("bin", "bin", "directory of sluice and sluiced")
	interval := flag.Duration("run-interval", 30*time.Minute, "time between two runs of a node")
	picture := flag.String("plot", "", "SVG file for the growth")
	flag.Parse()
	fmt.Println("| nodes | reports/s | cold start, CPU s | steady, % of a core | resident MiB, after / most | a look, mean |")
	fmt.Println("| --- | --- | --- | --- | --- | --- |")
	var rows []row
	for s := range strings.SplitSeq(*sizes, ",") {
		n, err := strconv.Atoi(s)
		var r row
		if err == nil {
			r, err = measure(context.Background(), *bin, n, *interval, *window)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "benchdaemon:", err)
			os.Exit(1)
		}
		fmt.Println(r)
		rows = append(rows, r)
	}
	if *picture != "" {
		if err := plotTo(*picture, rows); err != nil {
			fmt.Fprintln(os.Stderr, "benchdaemon:", err)
			os.Exit(1)
		}
	}
}

// row is what was measured at one size.
type row struct {
	nodes                 int
	reports, cold, steady float64 // per second, CPU seconds, percent of a core
	resident, most        int     // MiB
	look                  time.Duration
}

func (r row) String() string {
	return fmt.Sprintf("| %d | %.1f | %.1f | %.2f | %d / %d | %s |", r.nodes, r.reports, r.cold, r.steady, r.resident, r.most, r.look.Round(100*time.Microsecond))
}

const config = `
store: {dir: %[1]q}
edges: {live: 1h, max_age: 1h}
puppetdb: {url: %[2]q, poll_interval: 30s, history: 2h}
controller: {state_dir: %[3]q, interval: 10s}
web: {listen_address: %[4]q}
tracks: {production: {}}
segments: {web: '{facts.role="web"}'}
schedules:
  one:
    growth: 1000
    stages:
      - {name: five, segment: web, percent: 5%%, ramp: {in_flight: 100%%}, bake: {time: 5h, runs: 5}}
      - {name: rest, bake: {time: 5h, runs: 5}}
`

func measure(ctx context.Context, bin string, n int, interval, window time.Duration) (r row, err error) {
	dir, err := os.MkdirTemp("", "benchdaemon-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	sc, err := fleetsim.Parse("benchdaemon", fmt.Appendf(nil, `
nodes: %d
run_interval: %s
splay: 1m
history: 2h
retention: 3h
track: production
baseline: production_a
datacenters: {fra1: 40%%, ams1: 60%%}
roles: {web: 60%%, db: 40%%}
os: {Debian: 80%%, RedHat: 20%%}
run_time: {median: 20s, node_spread: 0.3, run_spread: 0.1}
base: {failing_nodes: 0.1%%, failed_runs: 0.01%%, changed_runs: 2%%}
environments: {production_b: {}}
`, n, model.Duration(interval)))
	if err != nil {
		return r, err
	}
	environments, edge, tree := filepath.Join(dir, "environments"), filepath.Join(dir, "edge"), filepath.Join(dir, "tree")
	enc := filepath.Join(dir, "enc.yml")
	if err := errors.Join(sc.Deploy(environments), os.WriteFile(enc, fmt.Appendf(nil, "state_dir: %q\nhost: one\nenvironment_path: %q\nstore: {dir: %q}\nlimit: {share: 100%%}\n", edge, environments, tree), 0o644)); err != nil {
		return r, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	sim := fleetsim.New(sc, time.Now(), fleetsim.Edges(&sc, edge))
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- sim.Serve(ctx, l) }()
	defer func() { cancel(); err = errors.Join(err, <-ended) }()
	port, err := free()
	if err != nil {
		return r, err
	}
	file := filepath.Join(dir, "sluiced.yml")
	if err := os.WriteFile(file, fmt.Appendf(nil, config, tree, "http://"+l.Addr().String(), filepath.Join(dir, "state"), port), 0o644); err != nil {
		return r, err
	}
	sluice := func(args ...string) error {
		out, err := exec.CommandContext(ctx, filepath.Join(bin, "sluice"), append(args, "--store.dir", tree)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("sluice %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return nil
	}
	if err := sluice("init", "--track", "production=production_a"); err != nil {
		return r, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return r, err
	}
	defer log.Close()
	daemon := exec.CommandContext(ctx, filepath.Join(bin, "sluiced"), "--config.file", file)
	daemon.Stdout, daemon.Stderr = log, log
	daemon.Cancel = func() error { return daemon.Process.Signal(syscall.SIGTERM) }
	if err := daemon.Start(); err != nil {
		return r, err
	}
	defer func() { cancel(); _ = daemon.Wait() }()
	fail := func(err error) error {
		data, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w\n%s", err, data)
	}
	go func() { // the edge is another process: what it needs is not sluiced's
		for ctx.Err() == nil {
			_ = exec.CommandContext(ctx, filepath.Join(bin, "sluice-edge"), "accept", "--config.file", enc).Run() // the gates tell
			select {
			case <-time.After(10 * time.Second):
			case <-ctx.Done():
			}
		}
	}()
	if err := sluice("start", "change", "--environment", "production_b", "--schedule", "one", "--reason", "bench", "--wait", "20m"); err != nil {
		return r, fail(err)
	}
	if err := settled(ctx, port); err != nil {
		return r, fail(err)
	}
	cold, err := cpu(daemon.Process.Pid)
	if err != nil {
		return r, fail(err)
	}
	reports, from := sim.Runs(), time.Now()
	lookTime, looks, err := lookSum(ctx, port)
	if err != nil {
		return r, fail(err)
	}
	select {
	case <-time.After(window):
	case err := <-ended:
		ended <- err
		return r, err
	}
	warm, err := cpu(daemon.Process.Pid)
	if err != nil {
		return r, fail(err)
	}
	took := time.Since(from).Seconds()
	now, most, err := resident(daemon.Process.Pid)
	if err != nil {
		return r, fail(err)
	}
	lookTime2, looks2, err := lookSum(ctx, port)
	if err != nil {
		return r, fail(err)
	}
	look := time.Duration((lookTime2 - lookTime) / max(1, looks2-looks) * float64(time.Second))
	return row{nodes: n, reports: float64(sim.Runs()-reports) / took, cold: cold, steady: 100 * (warm - cold) / took, resident: now >> 10, most: most >> 10, look: look}, nil
}

func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// settled waits until the sources gate of the rollout is open: everything that is needed has been read.
func settled(ctx context.Context, address string) error {
	for range 1200 {
		var all []struct {
			Status struct {
				Gates []struct {
					Name string `json:"name"`
					Open bool   `json:"open"`
				} `json:"gates"`
			} `json:"status"`
		}
		if body, err := get(ctx, "http://"+address+"/api/v1/rollouts"); err == nil && json.Unmarshal(body, &all) == nil && len(all) > 0 {
			for _, g := range all[0].Status.Gates {
				if g.Name == "sources" && g.Open {
					return nil
				}
			}
		}
		time.Sleep(500 * time.Millisecond)
	}
	return errors.New("the sources are not fresh after ten minutes")
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// lookSum is how long the daemon has looked in all, in seconds, and how often.
func lookSum(ctx context.Context, address string) (sum, count float64, err error) {
	body, err := get(ctx, "http://"+address+"/metrics")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "sluice_look_duration_seconds_sum":
			sum, err = strconv.ParseFloat(value, 64)
		case "sluice_look_duration_seconds_count":
			count, err = strconv.ParseFloat(value, 64)
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return sum, count, nil
}

// cpu is the time that a process has used, in seconds.
func cpu(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, err1 := strconv.ParseFloat(fields[11], 64)
	system, err2 := strconv.ParseFloat(fields[12], 64)
	const ticks = 100 // USER_HZ, the same on every Linux that Go runs on
	return (user + system) / ticks, errors.Join(err1, err2)
}

// resident is the memory of a process now and at its most, in KiB.
func resident(pid int) (now, most int, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		switch f[0] {
		case "VmRSS:":
			now, err = strconv.Atoi(f[1])
		case "VmHWM:":
			most, err = strconv.Atoi(f[1])
		}
	}
	return now, most, err
}
