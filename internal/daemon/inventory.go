package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// node is one active node, with what selectors look at.
type node struct {
	certname    string
	reported    string // environment of its latest report
	facts       map[string]any
	trusted     map[string]any
	enc         map[string]any
	encKnown    bool
	fingerprint string
}

func (n *node) attributes() selector.Attributes {
	return selector.Of(n.certname, n.facts, n.trusted, n.enc)
}

// inventory is the fleet, as PuppetDB and the site's ENC last told it.
type inventory struct {
	at    time.Time
	nodes []*node // by certname
	// silentENC counts nodes about which the site's ENC gave no answer ever: nobody knows which track they are on.
	silentENC int
}

// readInventory reads all active nodes with their facts, and asks the site's ENC about them.
func readInventory(ctx context.Context, pdb *puppetdb.Client, enc *encData, now time.Time) (*inventory, error) {
	byName := map[string]*node{}
	if err := pdb.Nodes(ctx, func(s puppetdb.NodeStatus) error {
		byName[s.Certname] = &node{certname: s.Certname, reported: s.ReportEnvironment, fingerprint: segments.Fingerprint(s.Certname)}
		return nil
	}); err != nil {
		return nil, err
	}
	if err := pdb.Inventory(ctx, nil, func(i puppetdb.Node) error {
		if n := byName[i.Certname]; n != nil {
			n.facts, n.trusted = i.Facts, i.Trusted
		}
		return nil
	}); err != nil {
		return nil, err
	}
	inv := &inventory{at: now}
	names := make([]string, 0, len(byName))
	for name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	enc.refresh(ctx, names, now)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, name := range names {
		n := byName[name]
		if enc.cfg != nil {
			a := enc.get(name)
			n.enc, n.encKnown = a.data, a.known
			if !a.known {
				inv.silentENC++
			}
		}
		inv.nodes = append(inv.nodes, n)
	}
	return inv, nil
}

// track gives the nodes of a track: those for which the site's ENC names it, and those for which nobody names an
// environment and that are in the track's published set.
func (inv *inventory) track(name string, hasENC bool, member func(fingerprint string) bool) []*node {
	var out []*node
	for _, n := range inv.nodes {
		env, _ := n.enc["environment"].(string)
		switch {
		case env == name:
		case env == "" && (!hasENC || n.encKnown) && member(n.fingerprint):
		default:
			continue
		}
		out = append(out, n)
	}
	return out
}

// newcomers gives the nodes that belong into a track's set and are not in it: no environment from upstream, and
// last reported in one of the track's own.
func (inv *inventory) newcomers(environments []string, hasENC bool, member func(string) bool) []string {
	var out []string
	for _, n := range inv.nodes {
		env, _ := n.enc["environment"].(string)
		if env == "" && (!hasENC || n.encKnown) && slices.Contains(environments, n.reported) && !member(n.fingerprint) {
			out = append(out, n.certname)
		}
	}
	return out
}

// environmentsOf lists the environments that nodes of a track report: its name, its baseline, its candidates.
func environmentsOf(t tree.Track, rollouts []tree.Rollout) []string {
	envs := []string{t.Name, t.Baseline}
	for _, r := range rollouts {
		if r.Spec.Track == t.Name && r.Spec.Candidate != "" {
			envs = append(envs, r.Spec.Candidate, r.Spec.Baseline)
		}
	}
	return envs
}
