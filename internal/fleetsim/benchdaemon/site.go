package main

import (
	"context"
	"encoding/json"
	"errors"
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

	"github.com/openinfrastructure/sluice/internal/fleetsim"
)

// site is a simulated fleet with the real sluiced, and an edge in a process of its own: what it needs is not sluiced's.
type site struct {
	ctx       context.Context
	cancel    context.CancelFunc
	bin, dir  string
	tree      string // the store
	address   string // of sluiced
	sim       *fleetsim.Sim
	daemon    *exec.Cmd
	log       *os.File
	simulated chan error
	edge      chan struct{} // closed when the edge's loop has ended
}

// start brings a site up. configuration wants the store, PuppetDB, the state directory and the address.
func start(ctx context.Context, bin, scenario, configuration string) (s *site, err error) {
	sc, err := fleetsim.Parse("benchdaemon", []byte(scenario))
	if err != nil {
		return nil, err
	}
	s = &site{bin: bin, simulated: make(chan error, 1), edge: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(ctx)
	if s.dir, err = os.MkdirTemp("", "benchdaemon-"); err != nil {
		return nil, err
	}
	s.tree = filepath.Join(s.dir, "tree")
	environments, state, enc := filepath.Join(s.dir, "environments"), filepath.Join(s.dir, "edge"), filepath.Join(s.dir, "enc.yml")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	if s.address, err = free(); err != nil {
		return nil, err
	}
	file := filepath.Join(s.dir, "sluiced.yml")
	s.sim = fleetsim.New(sc, time.Now(), fleetsim.Edges(&sc, state))
	s.log, err = os.Create(filepath.Join(s.dir, "log"))
	err = errors.Join(err, sc.Deploy(environments),
		os.WriteFile(enc, fmt.Appendf(nil, "state_dir: %q\nhost: one\nenvironment_path: %q\nstore: {dir: %q}\nlimit: {share: 100%%}\n", state, environments, s.tree), 0o644),
		os.WriteFile(file, fmt.Appendf(nil, configuration, s.tree, "http://"+l.Addr().String(), filepath.Join(s.dir, "state"), s.address), 0o644),
		s.sluice("init", "--track", "production=production_a"))
	if err != nil {
		return nil, err
	}
	go func() { s.simulated <- s.sim.Serve(s.ctx, l) }()
	if err := s.begin(file); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.edge)
		for s.ctx.Err() == nil {
			_ = exec.CommandContext(s.ctx, filepath.Join(bin, "sluice-edge"), "accept", "--config.file", enc).Run() // the gates tell
			select {
			case <-time.After(time.Second):
			case <-s.ctx.Done():
			}
		}
	}()
	return s, nil
}

// begin starts sluiced.
func (s *site) begin(file string) error {
	s.daemon = exec.CommandContext(s.ctx, filepath.Join(s.bin, "sluiced"), "--config.file", file)
	s.daemon.Stdout, s.daemon.Stderr = s.log, s.log
	daemon := s.daemon
	s.daemon.Cancel = func() error { return daemon.Process.Signal(syscall.SIGTERM) }
	return s.daemon.Start()
}

// again ends sluiced as an operator would, and starts it anew. It returns what the new process has used until all is read that it needs.
func (s *site) again() (cpuSeconds float64, err error) {
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	_ = s.daemon.Wait() // ended by us
	if info, err := os.Stat(filepath.Join(s.dir, "state", "nodes.bin")); err != nil || info.Size() == 0 {
		return 0, fmt.Errorf("sluiced left no file of its nodes: %w", err)
	}
	if err := s.begin(filepath.Join(s.dir, "sluiced.yml")); err != nil {
		return 0, err
	}
	if err := fresh(s.ctx, s.address); err != nil {
		return 0, err
	}
	return cpu(s.daemon.Process.Pid)
}

// fresh waits until the process itself has read everything; what the store has of the rollout is the word of the one before.
func fresh(ctx context.Context, address string) error {
	for range 1200 {
		body, err := get(ctx, "http://"+address+"/metrics")
		if err == nil && strings.Contains(string(body), "\nsluice_leader 1\n") && strings.Contains(string(body), "\nsluice_sources_fresh 1\n") {
			return nil
		}
		time.Sleep(500 * time.Millisecond)
	}
	return errors.New("the sources of the second process are not fresh after ten minutes")
}

func (s *site) stop() error {
	s.cancel()
	_ = s.daemon.Wait() // ended by us
	<-s.edge
	return errors.Join(<-s.simulated, s.log.Close(), os.RemoveAll(s.dir))
}

func (s *site) sluice(args ...string) error {
	out, err := exec.CommandContext(s.ctx, filepath.Join(s.bin, "sluice"), append(args, "--store.dir", s.tree)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("sluice %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// explain adds what sluiced said.
func (s *site) explain(err error) error {
	data, _ := os.ReadFile(s.log.Name())
	return fmt.Errorf("%w\n%s", err, data)
}

// glance is what the process has used, and how it has looked.
type glance struct {
	cpu, looking, looks float64
	resident, most      int // KiB
}

func (s *site) look() (g glance, err error) {
	if g.cpu, err = cpu(s.daemon.Process.Pid); err != nil {
		return g, err
	}
	if g.resident, g.most, err = resident(s.daemon.Process.Pid); err != nil {
		return g, err
	}
	g.looking, g.looks, err = lookSum(s.ctx, s.address)
	return g, err
}

// lookedAgain waits until a look that begins from now on has ended.
func (s *site) lookedAgain() error {
	_, from, err := lookSum(s.ctx, s.address)
	for range 600 {
		_, n, again := lookSum(s.ctx, s.address)
		if err = errors.Join(err, again); err != nil {
			return err
		}
		if n >= from+2 { // the first may be under way
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return errors.New("no look in a minute")
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
