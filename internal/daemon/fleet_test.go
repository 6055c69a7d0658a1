package daemon

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/internal/enc/edge"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/puppetdb"
)

// newEdge is a puppetserver whose speed limit does not show in a lab of a few nodes.
func (l *lab) newEdge(host string) *edge.Edge {
	nodes := 1e6
	return &edge.Edge{
		Config: edge.Config{StateDir: l.path(host), Host: host, EnvironmentPath: l.path("environments"),
			Manifest: l.path(host, "rendered", "manifest"), Flags: l.path(host, "rendered", "flags"), Limit: edge.Limit{Nodes: &nodes, Share: "100%"},
			Store: edge.Store{Dir: l.tree}},
		Store: func() (store.Store, error) { return l.kv, nil },
		Now:   func() time.Time { return l.now },
	}
}

// accept renders manifest and flags as the templates do, and lets every edge accept them.
func (l *lab) accept() {
	l.Helper()
	for _, e := range l.edges {
		l.acceptAt(e)
	}
}

func (l *lab) acceptAt(e *edge.Edge) edge.Status {
	l.Helper()
	if l.tree != "" {
		s, err := e.Accept(l.Context())
		l.must(err)
		return s
	}
	flags, _, err := l.kv.List(l.Context(), "flags/")
	l.must(err)
	var rendered strings.Builder
	for _, f := range flags {
		key, _ := json.Marshal(strings.TrimPrefix(f.Key, "flags/"))
		value, _ := json.Marshal(string(f.Value))
		fmt.Fprintf(&rendered, "%s %s\n", key, value)
	}
	l.write(e.Config.Host+"/rendered/flags", rendered.String()+"end\n")
	l.write(e.Config.Host+"/rendered/manifest", l.get(tree.ManifestKey)+"\n")
	s, err := e.Accept(l.Context())
	l.must(err)
	return s
}

// agents lets ten minutes pass, in which every node asks its edge for its environment and runs.
func (l *lab) agents() {
	l.Helper()
	begin := l.now
	for i, node := range l.nodes {
		l.now = begin.Add(time.Duration(i+1) * time.Second)
		if environment := l.answer(node); environment != "" {
			l.report(i, node, environment)
		}
	}
	l.now = begin.Add(10 * time.Minute)
}

// edgeOf is the puppetserver that a node talks to.
func (l *lab) edgeOf(node string) *edge.Edge {
	return l.edges[slices.Index(l.nodes, node)%len(l.edges)]
}

// answer is the environment that the node's edge gives it. A node that its edge says nothing of keeps what it asks for.
func (l *lab) answer(node string) string {
	l.Helper()
	if l.upstream {
		return l.classified(node)
	}
	local, err := lookup.Open(l.edgeOf(node).Config.StateDir)
	if err != nil {
		return "production_1" // before sluice is there
	}
	track, err := local.Member(node)
	l.must(err)
	a, err := local.Answer(track, node)
	l.must(err)
	if a.Environment == "" {
		return "production_1"
	}
	return a.Environment
}

// classified is the environment in the whole answer of an edge that asks the site's ENC, "" where that fails.
func (l *lab) classified(node string) string {
	l.Helper()
	u, _, err := l.edgeOf(node).Answer(l.Context(), node)
	if err != nil || u.ExitCode != 0 {
		return ""
	}
	for line := range strings.Lines(string(u.Out)) {
		if env, ok := strings.CutPrefix(line, "environment: "); ok {
			return strings.TrimSpace(env)
		}
	}
	return "production_1"
}

// report stores one run of a node that began now.
func (l *lab) report(i int, node, environment string) {
	l.Helper()
	if l.ran[environment] == nil {
		l.ran[environment] = map[string]bool{}
	}
	l.ran[environment][node], l.gets[node] = true, environment
	dc := "fra1"
	if i%2 == 1 {
		dc = "ams1"
	}
	if to, ok := l.moved[node]; ok {
		dc = to
	}
	l.pdb.SetNode(puppetdb.Node{Certname: node, Environment: environment, Facts: map[string]any{"datacenter": dc}}, l.now)
	r := puppetdb.Report{
		Certname: node, Environment: environment, Status: "unchanged", CachedCatalogStatus: "not_used", CatalogUUID: fmt.Sprintf("uuid-%s-%d", node, l.now.Unix()),
		ConfigurationVersion: "1", StartTime: l.now, EndTime: l.now.Add(5 * time.Second), ProducerTimestamp: l.now.Add(6 * time.Second), ReceiveTime: l.now.Add(7 * time.Second),
	}
	how := l.breaks(node, environment)
	if how == "" && l.metrics != nil {
		l.pdb.AddDetailed(r, puppetdb.Detail{Metrics: l.metrics(node, environment)})
		return
	}
	if how == "" {
		l.pdb.Add(r)
		return
	}
	r.Status = "failed"
	l.pdb.AddDetailed(r, puppetdb.Detail{
		Metrics: []puppetdb.Metric{{Category: "time", Name: "convert_catalog", Value: .1}, {Category: "resources", Name: "failed", Value: 1}},
		Events: []puppetdb.Event{{Status: "failure", ResourceType: "Exec", ResourceTitle: how, Property: "returns", Message: "returned 1 instead of one of [0]",
			File: "/environments/" + environment + "/manifests/site.pp", Line: 7, Timestamp: l.now}},
	})
}

// ranEver are the nodes that ever ran an environment, in order.
func (l *lab) ranEver(environment string) string {
	var out []string
	for _, n := range l.nodes {
		if l.ran[environment][n] {
			out = append(out, n)
		}
	}
	return strings.Join(out, " ")
}

// on says whether every node ran the environment in its last run.
func (l *lab) on(environment string, nodes ...string) {
	l.Helper()
	for _, n := range nodes {
		if l.gets[n] != environment {
			l.Errorf("%s has %s, want %s", n, l.gets[n], environment)
		}
	}
}
