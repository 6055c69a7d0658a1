package daemon

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// node is one active node, with what selectors look at.
type node struct {
	certname string
	reported *string // environment of its latest report, shared
	values   *values
	enc      map[string]any
	encKnown bool
}

// values are what facts and trusted facts say for the attributes that selectors ask for. Nodes that say the same share them.
type values map[string]string

func (n *node) fingerprint() string { return segments.Fingerprint(n.certname) }

func (n *node) attributes() selector.Attributes {
	enc := selector.Of(n.certname, nil, nil, n.enc)
	return func(name string) string {
		if fromPuppetDB(name) {
			if n.values == nil {
				return ""
			}
			return (*n.values)[name]
		}
		return enc(name)
	}
}

func fromPuppetDB(attribute string) bool {
	return strings.HasPrefix(attribute, "facts.") || strings.HasPrefix(attribute, "trusted.")
}

// inventory is the fleet, as PuppetDB and the site's ENC last told it.
type inventory struct {
	at    time.Time
	nodes []*node // by certname
	// asked are the attributes of facts and trusted facts that were read, sorted.
	asked []string
	// silentENC counts nodes about which the site's ENC gave no answer ever: nobody knows which track they are on.
	silentENC int
}

// lacks lists attributes that were not read.
func (inv *inventory) lacks(attributes []string) (out []string) {
	for _, a := range attributes {
		if _, ok := slices.BinarySearch(inv.asked, a); !ok {
			out = append(out, a)
		}
	}
	return out
}

// attributesOf lists what selectors ask of PuppetDB, sorted. One that cannot be read asks nothing; it is refused elsewhere.
func attributesOf(selectors []string) []string {
	var out []string
	for _, text := range selectors {
		if s, err := selector.Parse(text); err == nil && text != "" {
			out = append(out, slices.DeleteFunc(s.Names(), func(name string) bool { return !fromPuppetDB(name) })...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// readInventory reads all active nodes with the attributes that are asked for, and asks the site's ENC about them.
func readInventory(ctx context.Context, pdb *puppetdb.Client, enc *encData, asked []string, last *inventory, now time.Time) (*inventory, error) {
	inv := &inventory{at: now, asked: asked}
	environments := map[string]*string{}
	if err := pdb.Nodes(ctx, func(s puppetdb.NodeStatus) error {
		env, ok := environments[s.ReportEnvironment]
		if !ok {
			name := strings.Clone(s.ReportEnvironment)
			env = &name
			environments[name] = env
		}
		name := s.Certname
		if old := last.find(name); old != nil {
			name = old.certname // a million names are kept once
		}
		inv.nodes = append(inv.nodes, &node{certname: name, reported: env})
		return nil
	}); err != nil {
		return nil, err
	}
	slices.SortFunc(inv.nodes, func(a, b *node) int { return strings.Compare(a.certname, b.certname) })
	inv.nodes = slices.CompactFunc(inv.nodes, func(a, b *node) bool { return a.certname == b.certname })
	if err := inv.readFacts(ctx, pdb); err != nil {
		return nil, err
	}
	if enc.cfg == nil {
		return inv, ctx.Err()
	}
	names := make([]string, len(inv.nodes))
	for i, n := range inv.nodes {
		names[i] = n.certname
	}
	enc.refresh(ctx, names, now)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for _, n := range inv.nodes {
		a := enc.get(n.certname)
		n.enc, n.encKnown = a.data, a.known
		if !a.known {
			inv.silentENC++
		}
	}
	return inv, nil
}

func (inv *inventory) find(certname string) *node {
	if inv == nil {
		return nil
	}
	i, ok := slices.BinarySearchFunc(inv.nodes, certname, func(n *node, name string) int { return strings.Compare(n.certname, name) })
	if !ok {
		return nil
	}
	return inv.nodes[i]
}

// readFacts asks PuppetDB for the attributes alone: a whole set of facts has tens of kilobytes. A fact whose own name has
// dots cannot be asked for like that, so a sample of nodes is read whole, and everybody is where it says something else.
func (inv *inventory) readFacts(ctx context.Context, pdb *puppetdb.Client) error {
	if len(inv.asked) == 0 || len(inv.nodes) == 0 {
		return nil
	}
	shared := map[string]*values{}
	take := func(i puppetdb.Node) error {
		n := inv.find(i.Certname)
		if n == nil {
			return nil // it came since
		}
		of := selector.Of(i.Certname, i.Facts, i.Trusted, nil)
		key := make([]byte, 0, 64)
		for _, a := range inv.asked {
			key = append(append(key, of(a)...), 0)
		}
		v, ok := shared[string(key)]
		if !ok {
			v = &values{}
			*v = make(values, len(inv.asked))
			for _, a := range inv.asked {
				(*v)[a] = strings.Clone(of(a))
			}
			shared[string(key)] = v
		}
		n.values = v
		return nil
	}
	if slices.ContainsFunc(inv.asked, func(a string) bool { return len(a) > 63 }) {
		return pdb.Inventory(ctx, nil, take)
	}
	if err := pdb.InventoryOf(ctx, inv.asked, nil, take); err != nil {
		return err
	}
	const most = 50
	var sample []any
	for i := 0; i < len(inv.nodes); i += max(1, len(inv.nodes)/most) {
		sample = append(sample, inv.nodes[i].certname)
	}
	differs := false
	err := pdb.Inventory(ctx, []any{"in", "certname", []any{"array", sample}}, func(i puppetdb.Node) error {
		of := selector.Of(i.Certname, i.Facts, i.Trusted, nil)
		n := inv.find(i.Certname)
		if n == nil {
			return nil
		}
		differs = differs || n.values == nil // it has facts, and the short question did not bring them
		for _, a := range inv.asked {
			differs = differs || (*n.values)[a] != of(a)
		}
		return nil
	})
	if err != nil || !differs {
		return err
	}
	return pdb.Inventory(ctx, nil, take)
}

// track gives the nodes of a track: those for which the site's ENC names it, and those for which nobody names an
// environment and that are in the track's published set.
func (inv *inventory) track(name string, hasENC bool, member func(fingerprint string) bool) []*node {
	var out []*node
	for _, n := range inv.nodes {
		env, _ := n.enc["environment"].(string)
		switch {
		case env == name:
		case env == "" && (!hasENC || n.encKnown) && member(n.fingerprint()):
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
		if env == "" && (!hasENC || n.encKnown) && slices.Contains(environments, *n.reported) && !member(n.fingerprint()) {
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
