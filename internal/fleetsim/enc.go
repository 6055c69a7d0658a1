package fleetsim

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc/lookup"
)

// Edges asks the ENC of sluice on each of several simulated puppetservers: the state directories that `sluice-enc accept`
// leaves. A node asks the one of its datacenter. Every question opens the files anew, as sluice-enc does.
func Edges(s *Scenario, dirs ...string) Classifier {
	f := newFleet(Scenario{Seed: s.Seed, Nodes: s.Nodes, Datacenters: s.Datacenters, Roles: s.Roles, OS: s.OS, RackSize: s.RackSize})
	return func(node int, certname string, _ time.Time) Answer {
		return ask(dirs[int(f.nodes[node].dc)%len(dirs)], certname)
	}
}

// ask is what sluice-enc does on a puppetserver whose site has no classifier of its own.
func ask(dir, certname string) Answer {
	e, err := lookup.Open(dir)
	if errors.Is(err, lookup.ErrNotReady) {
		return Answer{Keep: true} // sluice is not installed yet
	}
	if err != nil {
		return Answer{Failed: true}
	}
	track, err := e.Member(certname)
	if err != nil {
		return Answer{Failed: true}
	}
	if track == "" {
		return Answer{Keep: true} // an answer without an environment leaves the node where it is
	}
	a, err := e.Answer(track, certname)
	if err != nil {
		return Answer{Failed: true}
	}
	return Answer{Environment: a.Environment, Parameters: a.Parameters}
}

// Deploy puts the scenario's environments where an edge looks for them, as r10k would, with a signature each.
func (s *Scenario) Deploy(dir string) error {
	names := map[string]bool{s.Baseline: true}
	for name := range s.Environments {
		names[name] = true
	}
	for name := range names {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(at, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(at, ".r10k-deploy.json"), []byte(`{"signature":"simulated-`+name+`"}`+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
