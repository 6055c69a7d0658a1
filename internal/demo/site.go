package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/term"
)

// site is a Puppet site with one puppetserver, in a temporary directory.
type site struct {
	o         Options
	dir       string
	scenario  map[string]any
	nodes     int
	interval  time.Duration
	someNode  string
	puppetdb  string // URL
	processes []*process
}

// build lays the site out. close removes it.
func build(o Options) (*site, error) {
	for _, name := range []string{"sluice", "sluiced", "fleetsim"} {
		if _, err := os.Stat(filepath.Join(o.Bin, name)); err != nil {
			return nil, fmt.Errorf("%w: make build makes it", err)
		}
	}
	s := &site{o: o}
	data, err := os.ReadFile(o.Scenario)
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(data, &s.scenario); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Scenario, err)
	}
	if o.Nodes > 0 {
		s.scenario["nodes"] = o.Nodes
	}
	s.nodes, _ = s.scenario["nodes"].(int)
	if s.nodes < 100 {
		return nil, fmt.Errorf("%s: nodes: %v, expected 100 or more", o.Scenario, s.scenario["nodes"])
	}
	if o.Interval > 0 {
		s.scenario["run_interval"] = o.Interval.String()
	}
	if s.interval, err = time.ParseDuration(fmt.Sprint(s.scenario["run_interval"])); err != nil || s.interval < time.Second {
		return nil, fmt.Errorf("%s: run_interval: %v, expected 1s or more", o.Scenario, s.scenario["run_interval"])
	}
	if s.dir, err = os.MkdirTemp("", "sluice-demo-"); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// start brings the site up: the fleet, the installation, the daemon.
func (s *site) start(ctx context.Context) error {
	s.say("A site of %s simulated nodes that run Puppet every %s; sluiced with a directory for a store.", count(s.nodes), s.interval)
	scenario, err := yaml.Marshal(s.scenario)
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.path("scenario.yml"), scenario, 0o644); err != nil {
		return err
	}
	fleet, err := s.launch("fleetsim", "serve", "--scenario", s.path("scenario.yml"), "--edge", s.path("edge"), "--environments", s.path("environments"))
	if err != nil {
		return err
	}
	if s.puppetdb, err = fleet.says(ctx, regexp.MustCompile(`nodes on (http://\S+)`)); err != nil {
		return err
	}
	for name, content := range map[string]string{"enc.yml": encFile, "sluiced.yml": sluicedFile} {
		text := strings.NewReplacer("DIR", s.dir, "PUPPETDB", s.puppetdb, "LIMIT", fmt.Sprint(s.perHour()), "INTERVAL", s.interval.String(), "BAKE", (s.interval / 2).String()).Replace(content)
		if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	args := []string{"init", "--track", fmt.Sprintf("production=%v", s.scenario["baseline"]), "--reason", "try sluice"}
	s.typed(args...)
	if err := s.quietly(ctx, args...); err != nil {
		return err
	}
	daemon, err := s.launch("sluiced", "--config.file", s.path("sluiced.yml"))
	if err != nil {
		return err
	}
	if _, err = daemon.says(ctx, regexp.MustCompile(`(sluiced is serving)`)); err != nil {
		return err
	}
	return s.counted(ctx, daemon)
}

// counted waits until sluiced has read the inventory and published who is on the track.
func (s *site) counted(ctx context.Context, daemon *process) error {
	for {
		if t, err := s.track(); err == nil && t.Nodes == s.nodes {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-daemon.ended:
			return errors.New("sluiced has ended")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *site) launch(name string, args ...string) (*process, error) {
	p, err := launch(s.dir, name, filepath.Join(s.o.Bin, name), args...)
	if err == nil {
		s.processes = append(s.processes, p)
	}
	return p, err
}

// command is the operators' command line on the site.
func (s *site) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, filepath.Join(s.o.Bin, "sluice"), args...)
	c.Env = append(os.Environ(), "SLUICE_STORE_DIR="+s.path("tree"), "CONSUL_HTTP_ADDR=")
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) } // it gives the cursor back
	c.WaitDelay = 5 * time.Second
	return c
}

// sluice runs a command that has to succeed, and shows what it says.
func (s *site) sluice(ctx context.Context, args ...string) error { return s.to(ctx, s.o.Stdout, args) }

// quietly runs a command that has to succeed.
func (s *site) quietly(ctx context.Context, args ...string) error { return s.to(ctx, nil, args) }

func (s *site) to(ctx context.Context, stdout io.Writer, args []string) error {
	var out bytes.Buffer
	c := s.command(ctx, args...)
	c.Stdout, c.Stderr = stdout, &out
	if err := c.Run(); err != nil {
		return fmt.Errorf("sluice %s: %w: %s", args[0], err, strings.TrimSpace(out.String()))
	}
	return nil
}

// watch shows a rollout until it has ended, and returns the exit code that says how.
func (s *site) watch(ctx context.Context, name string) (int, error) {
	c := s.command(ctx, "status", name, "-w")
	c.Stdout, c.Stderr = s.o.Stdout, s.o.Stderr
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	}
	return 0, err
}

// close ends the programs, the last one first, and removes the directory.
func (s *site) close() error {
	var errs []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		errs = append(errs, s.processes[i].stop())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// explain adds what the programs that ended early have written.
func (s *site) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	for _, p := range s.processes {
		select {
		case <-p.ended:
			err = fmt.Errorf("%w\n%s has ended:\n%s", err, p.name, p.tail())
		default:
		}
	}
	return err
}

func (s *site) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if s.colours() {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(s.o.Stdout, "\n%s\n", text)
}

// typed shows a command as a person would have typed it.
func (s *site) typed(args ...string) {
	for i, a := range args {
		if strings.ContainsAny(a, " ") {
			args = append(append(args[:i:i], fmt.Sprintf("%q", a)), args[i+1:]...)
		}
	}
	fmt.Fprintf(s.o.Stdout, "$ sluice %s\n", strings.Join(args, " "))
}

func (s *site) colours() bool {
	return os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(s.o.Stdout.Fd()))
}

// The fleet runs every few seconds instead of every half an hour. What would be an hour at a site, two runs, is some twenty
// seconds here, and the times of the configuration are as short: intervals, bakes, and the edge's speed limit, which is
// the fleet in such an hour (a site's default is a tenth of it). How a change is judged is the default policy, told what
// the run interval is. The stages grow faster than a site's should.

// perHour is the speed limit: the fleet in the time of two runs.
func (s *site) perHour() int {
	return int(float64(s.nodes) * time.Hour.Seconds() / (2 * s.interval.Seconds()))
}

const encFile = `state_dir: DIR/edge
host: puppet.demo
environment_path: DIR/environments
store: {dir: DIR/tree}
limit: {nodes: LIMIT}
`

const sluicedFile = `store: {dir: DIR/tree}
edges: {local: DIR/enc.yml}
puppetdb:
  url: PUPPETDB
  poll_interval: 500ms
  overlap: 2s
  history: 1m
  inventory_interval: 5s
tracks:
  production: {}
policies:
  default:
    silence: {interval: INTERVAL, splay: 5s}
schedules:
  demo:
    holdback: 0%
    growth: 200
    stages:
      - {name: canary, nodes: 10, bake: {time: BAKE, runs: 2}, ramp: {in_flight: 100%}}
      - {name: few, percent: 5%, bake: {time: BAKE, runs: 2}, ramp: {in_flight: 100%}}
      - {name: everyone, bake: {time: BAKE, runs: 2}, ramp: {in_flight: 100%}}
controller: {interval: 1s, state_dir: DIR/state}
web: {listen_address: "127.0.0.1:0"}
`
