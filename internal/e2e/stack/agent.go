package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// AgentResult is one finished agent run.
type AgentResult struct {
	// ExitCode as with --detailed-exitcodes: 0 no changes, 2 changes, 4 failures, 6 both, 1 the run failed.
	ExitCode int
	// Output is everything the agent printed.
	Output   string
	Duration time.Duration
}

// agentExitCodes are the ones Puppet documents. Any other means that the agent did not run to its end.
var agentExitCodes = []int{0, 1, 2, 4, 6}

// AgentDir is the home of one node's agent, with everything that Puppet keeps about it.
func (s *Stack) AgentDir(certname string) string { return filepath.Join(s.Dir, "agents", certname) }

// ManagedDir is an empty directory for the node's manifests to write to; they find it as $facts['managed'].
func (s *Stack) ManagedDir(certname string) string {
	return filepath.Join(s.AgentDir(certname), "managed")
}

// SetFact gives a node a custom fact (a string) from its next run on.
func (s *Stack) SetFact(certname, name, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.facts[certname] == nil {
		s.facts[certname] = map[string]string{}
	}
	s.facts[certname][name] = value
}

// Agent runs a node's agent once against a puppetserver, with further arguments such as --noop. The first run of a node
// gets its certificate from the CA, so puppetserver 0 must be up for it. A run that fails is a result, not an error.
// Runs of one node must not overlap: Puppet refuses the second with exit code 1.
func (s *Stack) Agent(ctx context.Context, certname string, server int, args ...string) (AgentResult, error) {
	if !plainName.MatchString(certname) {
		return AgentResult{}, fmt.Errorf("certname %q: want letters, digits, dots and dashes", certname)
	}
	dir := s.AgentDir(certname)
	if err := s.makeAgent(certname, dir, s.Puppetservers[server]); err != nil {
		return AgentResult{}, fmt.Errorf("agent %s: %w", certname, err)
	}
	log := filepath.Join(dir, "output.log")
	if err := os.Remove(log); err != nil && !errors.Is(err, os.ErrNotExist) {
		return AgentResult{}, err
	}
	began := time.Now()
	p, err := startProcess(command{argv: s.agentCommand(dir, args), env: s.agentFacts(certname), dir: dir, log: log})
	if err != nil {
		return AgentResult{}, fmt.Errorf("agent %s: %w", certname, err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
	}
	output, err := os.ReadFile(log)
	r := AgentResult{ExitCode: p.cmd.ProcessState.ExitCode(), Output: string(output), Duration: time.Since(began)}
	if err := errors.Join(err, ctx.Err()); err != nil {
		return r, fmt.Errorf("agent %s: %w", certname, err)
	}
	if !slices.Contains(agentExitCodes, r.ExitCode) {
		return r, fmt.Errorf("agent %s: ended with %s:\n%s", certname, p.state(), r.Output)
	}
	return r, nil
}

// agentCommand runs the agent in namespaces of its own: facter reads /proc/1/environ, and where it may not, error lines
// go into every report.
func (s *Stack) agentCommand(dir string, args []string) []string {
	conf := filepath.Join(dir, "conf")
	return append([]string{
		"unshare", "--pid", "--fork", "--kill-child", "--mount-proc", filepath.Join(s.Dir, "agent.sh"),
		"--config", filepath.Join(conf, "puppet.conf"), "--confdir", conf, "--vardir", filepath.Join(dir, "var"),
		"--ssldir", filepath.Join(dir, "ssl"), "--onetime", "--no-daemonize", "--verbose", "--detailed-exitcodes",
		"--no-splay", "--color=false",
	}, args...)
}

func (s *Stack) agentFacts(certname string) []string {
	env := []string{"FACTER_managed=" + s.ManagedDir(certname)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, value := range s.facts[certname] {
		env = append(env, "FACTER_"+name+"="+value)
	}
	return env
}

// makeAgent writes a node's directory, with the puppetserver it is to use now.
func (s *Stack) makeAgent(certname, dir string, server *Puppetserver) error {
	for _, sub := range []string{"conf", "var", "run", "log", "public", "managed"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	return render(filepath.Join(dir, "conf", "puppet.conf"), "agent.conf", struct {
		Certname, Dir string
		Port, CAPort  int
	}{certname, dir, server.Port, server.CAPort})
}

// makeAgentScript installs what all agents share.
func (s *Stack) makeAgentScript() error {
	overlay := filepath.Join(s.Dir, "agent-overlay")
	if err := render(filepath.Join(overlay, "etc", "facter", "facter.conf"), "facter.conf", nil); err != nil {
		return err
	}
	script := filepath.Join(s.Dir, "agent.sh")
	if err := render(script, "agent.sh", overlay); err != nil {
		return err
	}
	return os.Chmod(script, 0o755)
}

// RunAgents runs each node's agent once against one puppetserver, at most parallel at a time, and returns the results by
// certname. One agent takes about two and a half CPU seconds. An error of one ends the others.
func (s *Stack) RunAgents(ctx context.Context, server int, certnames []string, parallel int, args ...string) (map[string]AgentResult, error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(max(1, parallel))
	var mu sync.Mutex
	results := make(map[string]AgentResult, len(certnames))
	for _, certname := range certnames {
		g.Go(func() error {
			r, err := s.Agent(gctx, certname, server, args...)
			mu.Lock()
			defer mu.Unlock()
			results[certname] = r
			return err
		})
	}
	return results, g.Wait()
}
