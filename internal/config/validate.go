package config

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// validator checks what a filled configuration means.
type validator struct {
	decoder  *decoder
	config   *Config
	problems Problems
	made     map[string]string // segments that templates made, with the path of the template
	broken   map[string]bool   // schedules whose templates make nothing
}

// add notes a problem at the line of the nearest key that was written. What
// the decoder could not read is not judged a second time.
func (v *validator) add(path, format string, args ...any) {
	for _, problem := range v.decoder.problems {
		if problem.Path != "" && within(path, problem.Path) {
			return
		}
	}
	line, at := 0, path
	for line == 0 {
		line = v.decoder.lines[at]
		if at == "" {
			break
		}
		at = parent(at)
	}
	reason := fmt.Sprintf(format, args...)
	v.problems = append(v.problems, Problem{File: v.decoder.file, Line: line, Path: path, Reason: reason})
}

// addAll notes every error of a domain type below path.
func (v *validator) addAll(path string, err error) {
	if err == nil {
		return
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range several.Unwrap() {
			v.addAll(path, one)
		}
		return
	}
	var field *schedule.FieldError
	if errors.As(err, &field) {
		v.add(field.Path, "%s", field.Reason)
		return
	}
	if at, reason, ok := strings.Cut(err.Error(), ": "); ok && fieldPath.MatchString(at) {
		v.add(join(path, at), "%s", reason)
		return
	}
	v.add(path, "%s", err.Error())
}

var fieldPath = regexp.MustCompile(`\A[a-z_]+(\[\d+\])?(\.[a-z_]+(\[\d+\])?)*\z`)

func (v *validator) validate() {
	c := v.config
	v.store()
	v.puppetDB()
	if c.Prometheus != nil {
		v.url("prometheus.url", c.Prometheus.URL)
	}
	v.enc()
	v.tracks()
	v.expand()
	v.segments()
	v.windows()
	v.freezes()
	v.schedules()
	v.policies()
	v.edges()
	v.blast()
	v.outputs()
	v.listenAddress()
	v.positive("controller.interval", c.Controller.Interval)
	v.filled("controller.state_dir", c.Controller.StateDir, "a directory")
	if n := c.Controller.History; n < leastHistory {
		v.add("controller.history", "expected %d or more, got %d", leastHistory, n)
	}
}

// leastHistory is enough to revert what was completed last, whatever was backed out since.
const leastHistory = 10

func (v *validator) store() {
	consul := v.config.Store.Consul
	if v.config.Store.Dir != "" {
		if consul != (Consul{}) {
			v.add("store", "expected exactly one of consul and dir")
		}
		return
	}
	if v.config.Edges.Local != "" {
		v.add("edges.local", "expected store.dir: with Consul the edge has consul-template")
	}
	if consul.Address != "" {
		v.consulAddress(consul.Address)
	}
	if !consulPrefix.MatchString(consul.Prefix) {
		v.add("store.consul.prefix", "expected a prefix such as sluice/, without a slash before and with one after it, got %q", consul.Prefix)
	}
}

var consulPrefix = regexp.MustCompile(`\A([A-Za-z0-9._-]+/)+\z`)

// consulAddress takes what CONSUL_HTTP_ADDR takes.
func (v *validator) consulAddress(address string) {
	const path = "store.consul.address"
	switch {
	case strings.HasPrefix(address, "unix://"):
		if !strings.HasPrefix(address, "unix:///") {
			v.add(path, "expected the absolute path of a socket after unix://, got %q", address)
		}
	case strings.Contains(address, "://"):
		v.url(path, address)
	default:
		if !hostPort(address) {
			v.add(path, "expected host:port, http://, https:// or unix://, got %s", safe(address))
		}
	}
}

// mostMeasured bounds puppetdb.measured: more nodes would cost PuppetDB more than all else that sluiced asks.
const mostMeasured = 20_000

func (v *validator) puppetDB() {
	p := v.config.PuppetDB
	v.url("puppetdb.url", p.URL)
	if (p.Cert == "") != (p.Key == "") {
		v.add("puppetdb", "expected both cert and key, or neither")
	}
	if strings.HasPrefix(p.URL, "http://") && (p.Cert != "" || p.CA != "") {
		v.add("puppetdb.url", "expected https:// with ca, cert and key, which http:// does not use")
	}
	v.positive("puppetdb.poll_interval", p.PollInterval)
	v.positive("puppetdb.max_lag", p.MaxLag)
	v.positive("puppetdb.overlap", p.Overlap)
	v.positive("puppetdb.history", p.History)
	v.positive("puppetdb.inventory_interval", p.Inventory)
	v.atLeastOne("puppetdb.max_queue_depth", p.MaxQueueDepth)
	if p.Measured < 0 || p.Measured > mostMeasured {
		v.add("puppetdb.measured", "%d, expected 0 to %d nodes", p.Measured, mostMeasured)
	}
	if p.Proof != ProofCatalog && p.Proof != ProofRun {
		v.add("puppetdb.parameters_proof", "%q, expected %s or %s", p.Proof, ProofCatalog, ProofRun)
	}
}

func (v *validator) enc() {
	e := v.config.ENC
	if e == nil {
		return
	}
	if argv := e.Argv(); len(argv) == 0 || !strings.HasPrefix(argv[0], "/") {
		v.add("enc.command", "expected the absolute path of a command and its arguments, got %q", e.Command)
	}
	v.positive("enc.timeout", e.Timeout)
	v.positive("enc.refresh", e.Refresh)
	v.atLeastOne("enc.concurrency", e.Concurrency)
}

func (v *validator) edges() {
	e := v.config.Edges
	v.positive("edges.live", e.Live)
	v.positive("edges.max_age", e.MaxAge)
	if e.Live > 0 && e.MaxAge > e.Live {
		v.add("edges.max_age", "%s is more than edges.live, %s: an edge would no longer count before it is late", e.MaxAge, e.Live)
	}
}

func (v *validator) blast() {
	b := v.config.Blast
	if b == nil {
		return
	}
	for path, a := range map[string]*schedule.Amount{"blast.limit": b.Limit, "blast.domain_limit": b.DomainLimit} {
		if a != nil && (a.Nodes < 0 || a.Percent > schedule.Hundred || a.Nodes == 0 && a.Percent == 0) {
			v.add(path, "expected a number of nodes above 0 or up to 100%%, got %s", *a)
		}
	}
	if b.Limit == nil && b.DomainLimit == nil {
		v.add("blast", "expected limit, or by and domain_limit")
	}
	if (b.By == "") != (b.DomainLimit == nil) {
		v.add("blast.by", "expected by and domain_limit together")
	}
	if _, err := selector.Parse("{" + strconv.Quote(b.By) + `=""}`); b.By != "" && err != nil {
		v.add("blast.by", "expected an attribute such as facts.datacenter or enc.datacenter, got %q", b.By)
	}
}

func (v *validator) outputs() {
	if g := v.config.Grafana; g != nil {
		v.url("grafana.url", g.URL)
		v.filled("grafana.token_file", g.TokenFile, "the file of a service account token")
	}
	seen := map[string]int{}
	for i, hook := range v.config.Webhooks {
		path := fmt.Sprintf("webhooks[%d]", i)
		v.hookURL(path+".url", hook.URL)
		if first, twice := seen[hook.URL]; twice && hook.URL != "" {
			v.add(path+".url", "is the URL of webhooks[%d] too", first)
		}
		seen[hook.URL] = i
		v.positive(path+".timeout", hook.Timeout)
	}
}

func (v *validator) listenAddress() {
	if address := v.config.Web.ListenAddress; !hostPort(address) {
		v.add("web.listen_address", "expected host:port such as 127.0.0.1:9631, got %q", address)
	}
}

func (v *validator) positive(path string, d model.Duration) {
	if d <= 0 {
		v.add(path, "expected a duration above zero, got %s", time.Duration(d))
	}
}

func (v *validator) atLeastOne(path string, n int) {
	if n < 1 {
		v.add(path, "expected at least 1, got %d", n)
	}
}

func (v *validator) filled(path, value, what string) {
	if strings.TrimSpace(value) == "" {
		v.add(path, "expected %s", what)
	}
}

// hostPort says whether an address is host:port with a number as port.
func hostPort(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, "/@ ") {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// within says whether path is outer or lies below it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// parent takes the last key or index off a path.
func parent(path string) string {
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}
