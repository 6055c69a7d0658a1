package daemon

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/puppetdb"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// node is one active node. What is said of it is shared by all nodes of which the same is said, and never written to.
type node struct {
	certname string
	*said
}

// said is what selectors look at, and which environment the latest report names.
type said struct {
	reported string
	values   values
	enc      map[string]any
	encKnown bool
}

// values are what facts and trusted facts say for the attributes that selectors ask for; nil where PuppetDB has no facts.
type values map[string]string

func (n *node) fingerprint() string { return segments.Fingerprint(n.certname) }

func (n *node) attributes() selector.Attributes { return n.attribute }

// attribute is what a selector's name says for the node.
func (n *node) attribute(name string) string {
	if fromPuppetDB(name) {
		return n.value(name)
	}
	if path, ok := strings.CutPrefix(name, "enc."); ok {
		if value, ok := n.enc[path].(string); ok {
			return value // as most are: no path to follow
		}
	}
	return selector.Of(n.certname, nil, nil, n.enc)(name)
}

// value is what a fact or trusted fact that was read says.
func (n *node) value(name string) string { return n.values[name] }

// matcherOf reads the selector of a hold or veto, which may be known to be unreadable already.
func matcherOf(text, wrong string) (func(*node) bool, error) {
	if wrong != "" {
		return nil, errors.New(wrong)
	}
	s, err := selector.Parse(text)
	if err != nil {
		return nil, err
	}
	return func(n *node) bool { return s.Matches(n.attributes()) }, nil
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

// attributesNamed is what of the attribute PuppetDB is asked for.
func attributesNamed(name string) []string {
	if !fromPuppetDB(name) {
		return nil
	}
	return []string{name}
}

// readInventory reads all active nodes with the attributes that are asked for, and asks the site's ENC about them. A node of
// which nothing has changed is the one of the last inventory: at a million nodes two of them would be much memory.
func readInventory(ctx context.Context, pdb *puppetdb.Client, enc *encData, asked []string, last *inventory, now time.Time) (*inventory, error) {
	r := reading{inventory: &inventory{at: now, asked: asked}, last: last}
	if err := r.readNodes(ctx, pdb); err != nil {
		return nil, err
	}
	if err := r.readFacts(ctx, pdb); err != nil {
		return nil, err
	}
	if enc.cfg == nil {
		return r.inventory, ctx.Err()
	}
	names := make([]string, len(r.nodes))
	for i, n := range r.nodes {
		names[i] = n.certname
	}
	enc.refresh(ctx, names, now)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	for i := range r.nodes {
		a := enc.get(r.nodes[i].certname)
		own := *r.nodes[i].said
		own.enc, own.encKnown = a.data, a.known
		r.own(i).said = &own
		if !a.known {
			r.silentENC++
		}
	}
	return r.inventory, nil
}

func (inv *inventory) find(certname string) *node {
	if i := inv.index(certname); i >= 0 {
		return inv.nodes[i]
	}
	return nil
}

// index is a node's place, -1 where it has none.
func (inv *inventory) index(certname string) int {
	if inv == nil {
		return -1
	}
	i, ok := slices.BinarySearchFunc(inv.nodes, certname, func(n *node, name string) int { return strings.Compare(n.certname, name) })
	if !ok {
		return -1
	}
	return i
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
func (inv *inventory) newcomers(environments []string, hasENC bool, member func(string) bool) []*node {
	var out []*node
	for _, n := range inv.nodes {
		env, _ := n.enc["environment"].(string)
		if env == "" && (!hasENC || n.encKnown) && slices.Contains(environments, n.reported) && !member(n.fingerprint()) {
			out = append(out, n)
		}
	}
	return out
}

func certnamesOf(nodes []*node) []string {
	out := make([]string, len(nodes))
	for i, n := range nodes {
		out[i] = n.certname
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
