// Command benchdaemon measures sluiced as a whole process: its CPU time and its memory while it follows a simulated fleet
// with a rollout under way, one row per fleet size.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

func main() {
	sizes := flag.String("nodes", "1000,10000,100000,1000000", "fleet sizes")
	window := flag.Duration("window", 3*time.Minute, "how long to measure each")
	bin := flag.String("bin", "bin", "directory of sluice and sluiced")
	interval := flag.Duration("run-interval", 30*time.Minute, "time between two runs of a node")
	picture := flag.String("plot", "", "SVG file for the growth")
	trials := flag.Int("detect", 0, "measure instead how long bad changes live, so many of them")
	flag.Parse()
	if *trials > 0 {
		if err := detect(context.Background(), *bin, *trials); err != nil {
			fmt.Fprintln(os.Stderr, "benchdaemon:", err)
			os.Exit(1)
		}
		return
	}
	fmt.Println("| nodes | reports/s | cold start, CPU s | steady, % of a core | resident MiB, after / most | a look, mean | started again, CPU s |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- |")
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
	again                 float64 // CPU seconds, from the file of the one before
}

func (r row) String() string {
	return fmt.Sprintf("| %d | %.1f | %.1f | %.2f | %d / %d | %s | %.1f |", r.nodes, r.reports, r.cold, r.steady, r.resident, r.most, r.look.Round(100*time.Microsecond), r.again)
}

const config = `
store: {dir: %[1]q}
edges: {live: 1h, max_age: 1h}
puppetdb: {url: %[2]q, poll_interval: 30s, history: 2h, inventory_interval: INTERVAL}
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

// scenario of a fleet of ordinary habits; environments are added to it.
const scenario = `
nodes: %d
run_interval: %s
splay: %s
history: %s
retention: 3h
track: production
baseline: production_a
datacenters: {fra1: 40%%, ams1: 60%%}
roles: {web: 60%%, db: 40%%}
os: {Debian: 80%%, RedHat: 20%%}
run_time: {median: %s, node_spread: 0.3, run_spread: 0.1}
base: {failing_nodes: 0.1%%, failed_runs: 0.01%%, changed_runs: 2%%}
environments:
`

// inventoryEvery is what docs/scale.md says to set.
func inventoryEvery(nodes int) string {
	if nodes >= 1_000_000 {
		return "15m"
	}
	return "5m"
}

// measure watches one size.
func measure(ctx context.Context, bin string, n int, interval, window time.Duration) (r row, err error) {
	s, err := start(ctx, bin, fmt.Sprintf(scenario, n, model.Duration(interval), "1m", "2h", "20s")+"  production_b: {}\n", strings.Replace(config, "INTERVAL", inventoryEvery(n), 1))
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.sluice("start", "change", "--environment", "production_b", "--schedule", "one", "--reason", "bench", "--wait", "20m"); err != nil {
		return r, s.explain(err)
	}
	if err := settled(s.ctx, s.address); err != nil {
		return r, s.explain(err)
	}
	// What is shown is of a look that may not have ended: the rollout begins in it, and that is more than a look.
	if err := s.lookedAgain(); err != nil {
		return r, s.explain(err)
	}
	before, err := s.look()
	if err != nil {
		return r, s.explain(err)
	}
	reports, from := s.sim.Runs(), time.Now()
	select {
	case <-time.After(window):
	case <-s.ctx.Done():
		return r, s.ctx.Err()
	}
	after, err := s.look()
	if err != nil {
		return r, s.explain(err)
	}
	took, ran := time.Since(from).Seconds(), s.sim.Runs()
	again, err := s.again()
	if err != nil {
		return r, s.explain(err)
	}
	mean := (after.looking - before.looking) / max(1, after.looks-before.looks)
	return row{nodes: n, reports: float64(ran-reports) / took, again: again, cold: before.cpu, steady: 100 * (after.cpu - before.cpu) / took,
		resident: after.resident >> 10, most: after.most >> 10, look: time.Duration(mean * float64(time.Second))}, nil
}
