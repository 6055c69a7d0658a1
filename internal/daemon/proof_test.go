package daemon

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// TestParametersAreProven: a run alone does not show that a node was given the parameters. Without class sluice, with the catalog of a
// puppetserver that does not know of them, or with one from before, nobody is exposed and the rollout stands; the gate says why.
func TestParametersAreProven(t *testing.T) {
	l := newLab(t, 8).lead()
	c := l.l.collector
	c.cfg.PuppetDB.Proof, c.ledger.proof = config.ProofCatalog, true
	answer := func(class *puppetdb.Class) {}
	c.classes = func(ctx context.Context, title string, certnames []string) (map[string]puppetdb.Class, error) {
		if title != "Sluice" {
			t.Errorf("asked for class %s", title)
		}
		out := map[string]puppetdb.Class{}
		for _, n := range certnames {
			_, a, err := l.edges[0].Answer(ctx, n)
			l.must(err)
			given := map[string]any{}
			data, err := json.Marshal(a.Parameters)
			l.must(err)
			l.must(json.Unmarshal(data, &given))
			class := puppetdb.Class{Produced: l.now, Parameters: map[string]any{"given": given}}
			answer(&class)
			out[n] = class
		}
		return out, nil
	}
	l.look()
	l.request("sshd", tree.Request{Kind: tree.RequestStart, Rollout: "sshd",
		Start: &tree.Start{Track: "production", Parameters: map[string]any{"sshd": true, "level": 3}, Schedule: "three", Policy: "default"}})
	l.untilStage("sshd", 1)
	for what, lie := range map[string]func(*puppetdb.Class){
		"no class":       func(c *puppetdb.Class) { c.Parameters = nil },
		"nothing given":  func(c *puppetdb.Class) { c.Parameters = map[string]any{"given": map[string]any{}} },
		"one is missing": func(c *puppetdb.Class) { delete(c.Parameters["given"].(map[string]any), "level") },
		"another value":  func(c *puppetdb.Class) { c.Parameters["given"].(map[string]any)["sshd"] = "true" },
		"from before":    func(c *puppetdb.Class) { c.Produced = l.now.Add(-240 * time.Hour) },
		"another shape":  func(c *puppetdb.Class) { c.Parameters["given"] = "sshd" },
	} {
		answer = lie
		for range 4 {
			l.tick()
		}
		if n := len(l.state("sshd").Stages); n != 1 {
			t.Fatalf("%s: %d stages", what, n)
		}
		if got := l.closed("sshd"); !strings.Contains(got, "do not show the parameters") {
			t.Errorf("%s: %s", what, got)
		}
	}
	answer = func(*puppetdb.Class) {}
	l.until("sshd", gate.Completed)
}
