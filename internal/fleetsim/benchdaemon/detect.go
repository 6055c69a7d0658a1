package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/puppetdb"
)

const poll = 5 * time.Second

const quickConfig = `
store: {dir: %[1]q}
edges: {live: 1h, max_age: 1h}
puppetdb: {url: %[2]q, poll_interval: 5s, overlap: 30s, history: 10m, inventory_interval: 30s}
controller: {state_dir: %[3]q, interval: 5s}
web: {listen_address: %[4]q}
tracks: {production: {}}
schedules:
  one:
    stages:
      - {name: ten, nodes: 10, ramp: {in_flight: 100%%}, bake: {time: 10m, runs: 5}}
      - {name: rest, bake: {time: 5h, runs: 5}}
`

// detect starts one change after the other that does not compile, and takes the time from the first report of it that
// PuppetDB shows until the document gives baseline to everybody.
func detect(ctx context.Context, bin string, trials int) (err error) {
	var environments strings.Builder
	for i := range trials {
		fmt.Fprintf(&environments, "  production_bad%02d: {effects: [{kind: compile_fail, message: 'nobody knows function number %d'}]}\n", i, i)
	}
	s, err := start(ctx, bin, fmt.Sprintf(scenario, 1000, "20s", "2s", "3m", "2s")+environments.String(), quickConfig)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	var took []time.Duration
	for i := range trials {
		d, err := s.live(fmt.Sprintf("bad%02d", i))
		if err != nil {
			return s.explain(err)
		}
		fmt.Fprintf(os.Stderr, "%d: %s\n", i, d.Round(time.Millisecond))
		took = append(took, d)
	}
	slices.Sort(took)
	fmt.Printf("first bad report to baseline in the document, poll every %s, %d changes: median %s, p90 %s, most %s\n", poll, trials,
		took[trials/2].Round(10*time.Millisecond), took[trials*9/10].Round(10*time.Millisecond), took[trials-1].Round(10*time.Millisecond))
	return nil
}

// live says how long a bad change lived.
func (s *site) live(name string) (time.Duration, error) {
	began := time.Now()
	if err := s.sluice("start", name, "--environment", "production_"+name, "--schedule", "one", "--reason", "bench", "--wait", "5m"); err != nil {
		return 0, err
	}
	var shown time.Time
	for range 12_000 {
		if shown.IsZero() {
			s.sim.Reports(began, time.Time{}, func(r puppetdb.Report) bool {
				if r.Environment == "production_"+name && r.Status == "failed" {
					shown = time.Now()
				}
				return shown.IsZero()
			})
		}
		if data, err := os.ReadFile(filepath.Join(s.tree, "enc", "manifest")); err == nil && !shown.IsZero() {
			d, _, err := enc.Decode(data)
			if r := d.Rollout(name); err == nil && (r == nil || r.BackedOut) {
				return time.Since(shown), nil
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.ctx.Done():
			return 0, s.ctx.Err()
		}
	}
	return 0, fmt.Errorf("%s was not backed out within four minutes", name)
}
