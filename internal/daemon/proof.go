package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/openinfrastructure/sluice/internal/config"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// The class that writes down in the catalog which parameters a node was given, and the parameter that has them; see
// deploy/puppet/sluice.
const (
	proofClass     = "Sluice"
	proofParameter = "given"
)

// mostProofs is how many nodes are asked about at once, so that a poll stays short.
const mostProofs = 1000

// prove asks PuppetDB whether the nodes that ran since a parameters rollout admitted them were given its parameters. An environment
// is in every report; parameters are in the catalog alone. Without proof a node that a puppetserver answered without sluice, or from an
// older document, would count as one that is well with the change.
func (c *collector) prove(ctx context.Context) error {
	if c.cfg.PuppetDB.Proof == config.ProofRun {
		return nil
	}
	for rollout, certnames := range c.ledger.unproven() {
		found, err := c.classes(ctx, proofClass, certnames)
		if err != nil {
			return fmt.Errorf("proof of %s: %w", rollout, err)
		}
		if without := c.ledger.prove(rollout, found); without > 0 {
			c.log.Warn().Str("rollout", rollout).Int("nodes", without).Msg("no class sluice in the catalogs of nodes that ran since their admission: nothing proves that they were given the parameters")
		}
	}
	return nil
}

// unproven lists, per parameters rollout, nodes that ran since their admission and have no proof yet.
func (l *ledger) unproven() map[string][]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string][]string{}
	for name, c := range l.courses {
		if !c.parameters || !l.proof {
			continue
		}
		for i := range c.nodes {
			if c.nodes[i].Unproven && c.progress[i].Runs() > 0 && len(out[name]) < mostProofs {
				out[name] = append(out[name], c.nodes[i].Certname)
			}
		}
	}
	return out
}

// prove takes over what PuppetDB said, and counts the nodes whose catalog has no class sluice.
func (l *ledger) prove(rollout string, found map[string]puppetdb.Class) (without int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.courses[rollout]
	if c == nil {
		return 0
	}
	proven := map[string]bool{}
	for i := range c.nodes {
		n := &c.nodes[i]
		class, ok := found[n.Certname]
		if !ok || !n.Unproven || !n.Admitted() {
			continue
		}
		if class.Parameters == nil {
			without++
			continue
		}
		if given(class, c.given, n.AdmittedAt.Time()) {
			n.Unproven = false
			c.count(int32(i))
			c.touch(int32(i))
			proven[n.Certname] = true
		}
	}
	for i := range c.chosen { // copies
		if proven[c.chosen[i].Certname] {
			c.chosen[i].Unproven = false
		}
	}
	return without
}

// given says whether a catalog that was made after the admission was made with the parameters.
func given(class puppetdb.Class, want map[string]any, admitted time.Time) bool {
	have, ok := class.Parameters[proofParameter].(map[string]any)
	if !ok || class.Produced.Before(admitted) {
		return false
	}
	for name, value := range want {
		// A null takes the parameter away: what proves it is a catalog without.
		if v, ok := have[name]; !ok && value != nil || !reflect.DeepEqual(plain(v), plain(value)) {
			return false
		}
	}
	return len(want) > 0
}

// plain is a value as JSON has it: numbers from a configuration and from PuppetDB are of different types.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if json.Unmarshal(data, &out) != nil {
		return v
	}
	return out
}
