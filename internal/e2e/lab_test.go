// Package e2e proves the main job on real components: PostgreSQL, PuppetDB, two puppetservers, agents with certificates
// of their own, Consul with access rules, consul-template on each puppetserver, Prometheus, and sluice's own programs.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/openinfrastructure/sluice/internal/e2e/stack"
	"github.com/openinfrastructure/sluice/internal/notify/grafanatest"
	"github.com/openinfrastructure/sluice/internal/store/consultest"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// lab is a site with sluice installed: 16 nodes on the track in two datacenters and two roles, two off it.
type lab struct {
	*testing.T            // of the scenario that plays
	site       *testing.T // of the whole: what is started lives as long
	ctx        context.Context
	stack      *stack.Stack
	consul     *consultest.Server
	kv         *api.KV // with the rights of an operator
	root       *api.KV // with all rights, to break things
	grafana    *grafanatest.Server
	bin        string
	dir        string
	edges      []*edgeHost
	daemon     *process
	token      string // operator
	config     string

	fra1, ams1, off []string
}

// edgeHost is what sluice installs on one puppetserver.
type edgeHost struct {
	host     string
	server   int
	config   string
	state    string
	template *stack.ConsulTemplate
	timer    context.CancelFunc
	done     sync.WaitGroup
}

const (
	canary = "web1.fra1.example.test"
	other  = "web1.ams1.example.test" // the first node of a rollout beside
	site   = `node default {
  $d = $facts['managed']
  file { "${d}/motd": content => "%s\n" }
%s}
`
)

// environment is a site.pp that says who it is, with more resources.
func environment(name, more string) map[string]string {
	return map[string]string{"manifests/site.pp": fmt.Sprintf(site, name, more)}
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, site: t, ctx: t.Context()}
	for _, dc := range []string{"fra1", "ams1"} {
		for _, role := range []string{"web", "db"} {
			for i := 1; i <= 4; i++ {
				name := fmt.Sprintf("%s%d.%s.example.test", role, i, dc)
				if dc == "fra1" {
					l.fra1 = append(l.fra1, name)
				} else {
					l.ams1 = append(l.ams1, name)
				}
			}
		}
	}
	l.off = []string{"dev1.fra1.example.test", "dev2.ams1.example.test"}
	s, err := stack.Start(l.ctx, "", stack.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			l.dump()
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l.stack = s
	l.consul = consultest.Start(t)
	l.kv, l.root = l.client(l.newToken("operator", "operator alice")).KV(), l.client(l.consul.Management).KV()
	l.grafana = grafanatest.New(t)
	l.build()
	l.nodes()
	return l
}

func (l *lab) newToken(policy, description string) string {
	l.Helper()
	token, err := l.consul.TokenFor(description, policy)
	l.must(err)
	if policy == "operator" {
		l.token = token
	}
	return token
}

func (l *lab) client(token string) *api.Client {
	l.Helper()
	c, err := l.consul.Client(token)
	l.must(err)
	return c
}

func (l *lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

// build makes the programs as they are shipped: static, where user puppet can run them.
func (l *lab) build() {
	l.Helper()
	l.bin, l.dir = filepath.Join(l.stack.Dir, "bin"), filepath.Join(l.stack.Dir, "sluice")
	l.must(os.MkdirAll(l.bin, 0o755))
	l.must(os.MkdirAll(l.dir, 0o755))
	cmd := exec.CommandContext(l.ctx, "go", "build", "-o", l.bin+"/", "./cmd/...")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.Fatalf("build: %v\n%s", err, out)
	}
}

// nodes tells the site's ENC about every node, and gives each its first run, before sluice is there.
func (l *lab) nodes() {
	l.Helper()
	for _, p := range l.stack.Puppetservers {
		l.must(p.DeployEnvironment("production", environment("production", ""), "sha-production"))
		l.must(p.DeployEnvironment("development", environment("development", ""), "sha-development"))
	}
	for _, n := range l.on() {
		dc := strings.Split(n, ".")[1]
		l.must(l.stack.SetSiteENC(n, fmt.Sprintf("---\nenvironment: production\nclasses: {}\nparameters:\n  datacenter: %s\n  role: %s\n", dc, n[:2])))
	}
	for _, n := range l.off {
		l.must(l.stack.SetSiteENC(n, "---\nenvironment: development\nclasses: {}\nparameters:\n  datacenter: none\n"))
	}
	l.run(append(l.on(), l.off...)...)
}

func (l *lab) on() []string { return append(slices.Clone(l.fra1), l.ams1...) }

// run gives each node one agent run, on the puppetserver of its datacenter, and waits until PuppetDB has the reports.
func (l *lab) run(nodes ...string) map[string]stack.AgentResult {
	l.Helper()
	out := map[string]stack.AgentResult{}
	var wg sync.WaitGroup
	var mu sync.Mutex
	lanes := make(chan struct{}, 3)
	for _, n := range nodes {
		server := 0
		if strings.Contains(n, ".ams1.") {
			server = 1
		}
		wg.Go(func() {
			lanes <- struct{}{}
			defer func() { <-lanes }()
			r, err := l.stack.Agent(l.ctx, n, server)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				l.Errorf("agent %s: %v", n, err)
			}
			out[n] = r
		})
	}
	wg.Wait()
	l.must(l.stack.PuppetDB.WaitQueue(l.ctx))
	return out
}

// install puts sluice on the site as its documentation says: init, an edge on every puppetserver, sluiced.
func (l *lab) install() {
	l.Helper()
	out := l.sluiceAs(l.newToken("init", "init"), "init", "--track", "production=production", "--reason", "install sluice")
	l.Logf("sluice init:\n%s", out)
	for i := range l.stack.Puppetservers {
		l.edges = append(l.edges, l.newEdge(i))
	}
	l.config = filepath.Join(l.dir, "sluiced.yml")
	l.writeConfig("")
	l.startDaemon()
}

func (l *lab) newEdge(server int) *edgeHost {
	l.Helper()
	e := &edgeHost{host: fmt.Sprintf("puppet%d", server+1), server: server}
	dir := filepath.Join(l.dir, e.host)
	e.config, e.state = filepath.Join(dir, "enc.yml"), filepath.Join(dir, "state")
	l.must(os.MkdirAll(e.state, 0o755))
	token := l.newToken("edge-"+e.host, "edge "+e.host)
	l.must(os.WriteFile(filepath.Join(dir, "token"), []byte(token), 0o644))
	l.must(os.WriteFile(e.config, []byte(fmt.Sprintf(`state_dir: %s
host: %s
environment_path: %s
upstream: {command: %s, timeout: 10s}
limit: {nodes: 100000}
consul: {address: %s, token_file: %s}
`, e.state, e.host, l.stack.Puppetservers[server].EnvironmentPath, l.stack.SiteENC(), l.consul.Addr, filepath.Join(dir, "token"))), 0o644))
	l.must(exec.Command("chown", "-R", "puppet:puppet", dir).Run())
	hcl, err := os.ReadFile("../../deploy/consul-template/sluice-enc.hcl")
	l.must(err)
	templates, err := filepath.Abs("../../deploy/consul-template")
	l.must(err)
	for _, name := range []string{"flags.ctmpl", "manifest.ctmpl"} {
		data, err := os.ReadFile(filepath.Join(templates, name))
		l.must(err)
		l.must(os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	text := strings.NewReplacer("/etc/sluice/consul-template", dir, "/var/lib/sluice-enc", e.state,
		`"/usr/bin/sluice-enc", "accept"`, fmt.Sprintf(`"%s/sluice-enc", "--config.file=%s", "accept"`, l.bin, e.config)).Replace(string(hcl))
	e.template, err = l.stack.ConsulTemplate(e.host, text, "puppet", "CONSUL_HTTP_ADDR="+l.consul.Addr, "CONSUL_HTTP_TOKEN="+l.newToken("template", "template "+e.host))
	l.must(err)
	l.must(e.template.Start(l.ctx))
	l.startTimer(e)
	l.eventually("edge "+e.host+" accepts a document", func() string {
		if out, err := l.enc(e, "status"); err != nil {
			return out
		}
		return ""
	})
	l.must(l.stack.Puppetservers[server].SetExternalNodes(fmt.Sprintf("%s/sluice-enc --state.dir=%s", l.bin, e.state)))
	return e
}

// startTimer stands for the systemd timer: accept looks again now and then, rendered or not.
func (l *lab) startTimer(e *edgeHost) {
	ctx, cancel := context.WithCancel(l.ctx)
	e.timer = cancel
	e.done.Go(func() {
		for ctx.Err() == nil {
			_, _ = l.encContext(ctx, e, "accept")
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
		}
	})
	l.site.Cleanup(func() { cancel(); e.done.Wait() })
}

func (e *edgeHost) stopTimer() { e.timer(); e.done.Wait() }

// enc runs sluice-enc on an edge as user puppet, as puppetserver and the timer do.
func (l *lab) enc(e *edgeHost, args ...string) (string, error) {
	return l.encContext(l.ctx, e, args...)
}

func (l *lab) encContext(ctx context.Context, e *edgeHost, args ...string) (string, error) {
	argv := append([]string{"--reuid", "puppet", "--regid", "puppet", "--clear-groups", l.bin + "/sluice-enc", "--config.file=" + e.config}, args...)
	out, err := exec.CommandContext(ctx, "setpriv", argv...).CombinedOutput()
	return string(out), err
}

// writeConfig writes sluiced's configuration; more is appended.
func (l *lab) writeConfig(more string) {
	l.Helper()
	token := filepath.Join(l.dir, "leader.token")
	if _, err := os.Stat(token); err != nil {
		l.must(os.WriteFile(token, []byte(l.newToken("leader", "sluiced")), 0o600))
	}
	grafanaToken := filepath.Join(l.dir, "grafana.token")
	l.must(os.WriteFile(grafanaToken, []byte(grafanatest.Token), 0o600))
	p := l.stack.PuppetDB
	l.must(os.WriteFile(l.config, []byte(fmt.Sprintf(`
store: {consul: {address: %q, token_file: %q}}
puppetdb: {url: %q, ca: %q, cert: %q, key: %q, poll_interval: 1s, overlap: 3s, history: 1h, inventory_interval: 3s}
prometheus: {url: %q}
enc: {command: %q, refresh: 1h, concurrency: 4}
grafana: {url: %q, token_file: %q, dashboard_uid: puppet}
edges: {live: 60s, max_age: 30s}
controller: {interval: 1s, state_dir: %q}
web: {listen_address: "127.0.0.1:0"}
tracks: {production: {}}
segments:
  canary: {certnames: [%s]}
  fra1: '{enc.datacenter="fra1"}'
  other: {certnames: [%s]}
schedules:
  beside:
    growth: 20
    stages:
      - {name: other, segment: other, bake: {time: 3s, runs: 2}}
      - {name: everyone, bake: {time: 3s, runs: 2}}
  three:
    growth: 20
    stages:
      - {name: canary, segment: canary, bake: {time: 3s, runs: 2}}
      - {name: fra1, segment: fra1, bake: {time: 3s, runs: 2}}
      - {name: everyone, bake: {time: 3s, runs: 2}}
policies:
  default: {silence: {interval: 30m, splay: 30m}}
  errors:
    silence: {interval: 30m, splay: 30m}
    slis: [{name: error_ratio, query: 'app_errors', direction: increase, max: 1%%, required: true}]
  impatient: {silence: {interval: 20s, splay: 5s, min_reports: 1000}}
%s`, l.consul.Addr, token, p.TLSURL, p.CA, p.Cert, p.Key, l.stack.Prometheus.URL, l.stack.SiteENC(), l.grafana.URL, grafanaToken,
		filepath.Join(l.dir, "leader"), canary, other, more)), 0o644))
}

func (l *lab) startDaemon() {
	l.Helper()
	l.daemon = l.start("sluiced", l.bin+"/sluiced", "--config.file", l.config)
}

// sluice runs the operators' command line with an operator's token.
func (l *lab) sluice(args ...string) string {
	l.Helper()
	return l.sluiceAs(l.token, args...)
}

func (l *lab) sluiceAs(token string, args ...string) string {
	l.Helper()
	out, code := l.trySluice(token, args...)
	if code != 0 {
		l.Fatalf("sluice %s: exit code %d\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

func (l *lab) trySluice(token string, args ...string) (string, int) {
	cmd := exec.CommandContext(l.ctx, l.bin+"/sluice", args...)
	cmd.Env = append(os.Environ(), "CONSUL_HTTP_ADDR="+l.consul.Addr, "CONSUL_HTTP_TOKEN="+token)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// rollout is what the store says of a rollout.
func (l *lab) rollout(name string) tree.Rollout {
	l.Helper()
	var r tree.Rollout
	for what, v := range map[string]any{"spec": &r.Spec, "state": &r.State, "status": &r.Status} {
		pair, _, err := l.kv.Get("sluice/rollouts/"+name+"/"+what, nil)
		if err == nil && pair != nil {
			l.must(json.Unmarshal(pair.Value, v))
		}
	}
	return r
}

// closed names the closed gates of a rollout.
func (l *lab) closed(name string) string {
	var out []string
	for _, g := range l.rollout(name).Status.Gates {
		if !g.Open {
			out = append(out, g.Name+" ("+g.Reason+")")
		}
	}
	return strings.Join(out, "; ")
}

// eventually waits until check has nothing more to say.
func (l *lab) eventually(what string, check func() string) {
	l.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		why := check()
		if why == "" {
			return
		}
		if time.Now().After(deadline) {
			l.Fatalf("%s: %s", what, why)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// stage waits until a rollout is in the named stage, fully admitted and accepted by every edge.
func (l *lab) stage(name, stage string) {
	l.Helper()
	l.eventually(name+" reaches stage "+stage, func() string {
		s := l.rollout(name).State
		if i := s.Current(); i < 0 || s.Stages[i].Name != stage || s.Stages[i].Full.IsZero() || s.Phase.String() != "running" {
			return fmt.Sprintf("phase %s, %d stages, closed: %s", s.Phase, len(s.Stages), l.closed(name))
		}
		return ""
	})
	l.edgesCurrent()
}

func (l *lab) phase(name, phase string) {
	l.Helper()
	l.eventually(name+" becomes "+phase, func() string {
		if s := l.rollout(name).State; s.Phase.String() != phase {
			return fmt.Sprintf("phase %s, closed: %s; verdict: %s", s.Phase, l.closed(name), l.rollout(name).Status.Verdict.Reason)
		}
		return ""
	})
}

// edgesCurrent waits until every edge obeys the document that is in the store now.
func (l *lab) edgesCurrent() {
	l.Helper()
	l.eventually("the edges follow", func() string {
		pair, _, err := l.root.Get("sluice/enc/manifest", nil)
		if err != nil || pair == nil {
			return fmt.Sprint("no manifest: ", err)
		}
		var doc struct{ Generation uint64 }
		if err := json.Unmarshal(pair.Value, &doc); err != nil {
			return err.Error()
		}
		for _, e := range l.edges {
			var s struct {
				Generation uint64
				Refused    string
			}
			data, err := os.ReadFile(filepath.Join(e.state, "status.json"))
			if err == nil {
				err = json.Unmarshal(data, &s)
			}
			if err != nil || s.Generation < doc.Generation {
				return fmt.Sprintf("%s has generation %d of %d: %s %v", e.host, s.Generation, doc.Generation, s.Refused, err)
			}
		}
		return ""
	})
}

// ran gives the nodes that ever applied a catalog of the environment, from PuppetDB itself.
func (l *lab) ran(environment string) []string {
	l.Helper()
	query := fmt.Sprintf(`["extract",["certname"],["and",["=","environment",%q],["not",["null?","catalog_uuid",true]]]]`, environment)
	resp, err := http.Get(l.stack.PuppetDB.URL + "/pdb/query/v4/reports?query=" + url.QueryEscape(query))
	l.must(err)
	defer resp.Body.Close()
	var rows []struct{ Certname string }
	l.must(json.NewDecoder(resp.Body).Decode(&rows))
	names := map[string]bool{}
	for _, r := range rows {
		names[r.Certname] = true
	}
	out := []string{}
	for n := range names {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

// onlyRan asserts the set of nodes that ever ran an environment.
func (l *lab) onlyRan(environment string, want ...string) {
	l.Helper()
	want = slices.Clone(want)
	slices.Sort(want)
	if got := l.ran(environment); !slices.Equal(got, want) {
		l.Errorf("%s was run by %d nodes %v, want %d: %v", environment, len(got), got, len(want), want)
	}
}

// environmentOf gives what a node's last report says.
func (l *lab) environmentOf(node string) string {
	l.Helper()
	resp, err := http.Get(l.stack.PuppetDB.URL + "/pdb/query/v4/nodes/" + node)
	l.must(err)
	defer resp.Body.Close()
	var n struct {
		ReportEnvironment string `json:"report_environment"`
	}
	l.must(json.NewDecoder(resp.Body).Decode(&n))
	return n.ReportEnvironment
}

// deploy puts an environment on both puppetservers.
func (l *lab) deploy(name, more, signature string) {
	l.Helper()
	for _, p := range l.stack.Puppetservers {
		l.must(p.DeployEnvironment(name, environment(name, more), signature))
	}
}

// put is `consul kv put` with an operator's token.
func (l *lab) put(key, value string) {
	l.Helper()
	_, err := l.kv.Put(&api.KVPair{Key: "sluice/" + key, Value: []byte(value)}, nil)
	l.must(err)
}

func (l *lab) begin(name, environment string, more ...string) {
	l.Helper()
	args := append([]string{"start", name, "--track", "production", "--environment", environment, "--change", "c0ffee", "--schedule", "three", "--wait", "90s", "--reason", "test " + name}, more...)
	l.Logf("sluice %s:\n%s", strings.Join(args, " "), l.sluice(args...))
}

// process is one of our own programs.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

func (l *lab) start(name, path string, args ...string) *process {
	l.Helper()
	p := &process{log: filepath.Join(l.dir, fmt.Sprintf("%s-%d.log", name, time.Now().UnixNano())), done: make(chan struct{})}
	f, err := os.Create(p.log)
	l.must(err)
	p.cmd = exec.Command(path, args...)
	p.cmd.Stdout, p.cmd.Stderr = f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the parent-death signal comes when the starting thread ends
		err := p.cmd.Start()
		started <- err
		if err == nil {
			_ = p.cmd.Wait()
		}
		f.Close()
		close(p.done)
	}()
	l.must(<-started)
	l.site.Cleanup(p.kill)
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (l *lab) dump() {
	resp, err := http.Get(l.stack.PuppetDB.URL + "/pdb/query/v4/reports?query=" + url.QueryEscape(fmt.Sprintf(
		`["extract",["hash","environment","status","cached_catalog_status","start_time","producer_timestamp","catalog_uuid"],["=","certname",%q]]`, canary)) +
		"&order_by=" + url.QueryEscape(`[{"field":"producer_timestamp","order":"desc"}]`) + "&limit=6")
	if err == nil {
		data, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		l.Logf("the canary's last reports: %s", strings.ReplaceAll(string(data), "}", "}\n"))
	}
	logs, _ := filepath.Glob(filepath.Join(l.dir, "*.log"))
	for _, path := range logs {
		data, _ := os.ReadFile(path)
		l.Logf("%s:\n%s", filepath.Base(path), tail(string(data), 60))
	}
	for _, e := range l.edges {
		out, _ := l.enc(e, "explain", canary)
		l.Logf("edge %s:\n%s\n%s", e.host, out, e.template.LogTail(15))
	}
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
