// Package config reads the configuration of sluiced: strict YAML, in which an
// unknown key, a key given twice or a value of the wrong type is an error with
// its file, line and path, and all errors are told at once. Secrets are never
// in it, only the names of files that hold them.
package config

import (
	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

// Config is a checked configuration with every default filled in. Paths of
// files are absolute or relative to the working directory: Parse resolves them
// against the directory of the configuration file.
type Config struct {
	Store    Store    `yaml:"store"`
	PuppetDB PuppetDB `yaml:"puppetdb"`
	// Prometheus is nil where there is none; then no policy has SLIs.
	Prometheus *Prometheus `yaml:"prometheus,omitempty"`
	// ENC is the site's own classifier, nil where there is none.
	ENC *ENC `yaml:"enc,omitempty"`
	// Tracks by name; names match \A\w+\z because environments begin with them.
	Tracks map[string]Track `yaml:"tracks"`
	// Segments, Windows, Schedules and Policies by name, see
	// schedule.ValidName. There is always a policy called "default".
	Segments map[string]Segment `yaml:"segments,omitempty"`
	// Freezes by name hold every rollout; they are not frozen with one.
	Freezes   map[string]schedule.FreezeRule `yaml:"freezes,omitempty"`
	Windows   map[string]schedule.Window     `yaml:"windows,omitempty"`
	Schedules map[string]schedule.Schedule   `yaml:"schedules"`
	Policies  map[string]analyzer.Policy     `yaml:"policies,omitempty"`
	Edges     Edges                          `yaml:"edges"`
	// Blast bounds unproven change over all rollouts together; nil bounds nothing.
	Blast *Blast `yaml:"blast,omitempty"`
	// Grafana is nil where no annotations are wanted.
	Grafana    *Grafana   `yaml:"grafana,omitempty"`
	Webhooks   []Webhook  `yaml:"webhooks,omitempty"`
	Web        Web        `yaml:"web"`
	Controller Controller `yaml:"controller"`
}

// Store is where flags and state live: in Consul, or in a directory of this host.
type Store struct {
	Consul Consul `yaml:"consul,omitempty"`
	// Dir is the directory of a site without Consul.
	Dir string `yaml:"dir,omitempty"`
}

// Consul is the key-value store. Whatever is not set here comes from the
// environment variables that the consul command takes.
type Consul struct {
	// Address is host:port or a URL; "" is CONSUL_HTTP_ADDR.
	Address string `yaml:"address,omitempty"`
	// Prefix of every key, ending in a slash; default "sluice/".
	Prefix string `yaml:"prefix"`
	// TokenFile holds the ACL token of sluiced.
	TokenFile string `yaml:"token_file,omitempty"`
	// APITokenFile holds the token by which the API writes what people ask it for; "" is the one of sluiced.
	APITokenFile string `yaml:"api_token_file,omitempty"`
}

// PuppetDB is where reports, facts and nodes come from.
type PuppetDB struct {
	URL string `yaml:"url"`
	// CA, Cert and Key are PEM files of the Puppet CA.
	CA   string `yaml:"ca,omitempty"`
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`
	// TokenFile holds a token to send besides, or instead.
	TokenFile string `yaml:"token_file,omitempty"`
	// PollInterval is the time between two looks at new reports; default 30s.
	PollInterval model.Duration `yaml:"poll_interval"`
	// MaxQueueDepth and MaxLag close the sources gate when PuppetDB has more
	// commands waiting (default 1000) or is further behind (default 10m).
	MaxQueueDepth int `yaml:"max_queue_depth"`
	// Measured is of how many nodes of each cohort the metrics of reports are read, which are most of a report; 0 = of none.
	Measured int            `yaml:"measured"`
	MaxLag   model.Duration `yaml:"max_lag"`
	// Overlap is how long the recent past stays provisional, because reports become visible late and out of
	// order; default 15m. No stage is left before reports are complete beyond its start.
	Overlap model.Duration `yaml:"overlap"`
	// History is how far back reports are read at the start; default 25h.
	History model.Duration `yaml:"history"`
	// Inventory is the time between two readings of nodes and facts; default 5m.
	Inventory model.Duration `yaml:"inventory_interval"`
	// Proof says what proves that a node has a parameters rollout's change: ProofCatalog (default) or ProofRun.
	Proof string `yaml:"parameters_proof,omitempty"`
}

// What proves that a node was given parameters.
const (
	ProofCatalog = "catalog" // the class sluice in the catalog that it applied
	ProofRun     = "run"     // a run that began after its admission was accepted
)

// Prometheus answers the queries of SLIs.
type Prometheus struct {
	URL string `yaml:"url"`
}

// ENC is a command that prints a node's classification when its certname is
// added as the last argument.
type ENC struct {
	// Command is an absolute path with arguments, divided at blanks; no shell
	// reads it.
	Command string `yaml:"command"`
	// Timeout of one call; default 10s.
	Timeout model.Duration `yaml:"timeout"`
	// Concurrency is how many calls may run at once; default 4.
	Concurrency int `yaml:"concurrency"`
	// Refresh is the time after which a node is asked about again; default 10m.
	Refresh model.Duration `yaml:"refresh"`
}

// Track is a line of environments that succeed each other.
type Track struct{}

// Segment is a named part of the fleet. Exactly one of Selector, PQL,
// Certnames, AnyOf, AllOf and Not is set.
type Segment struct {
	Selector string `yaml:"selector,omitempty"`
	PQL      string `yaml:"pql,omitempty"`
	// Certnames are certnames and globs such as "web*.example.com".
	Certnames []string `yaml:"certnames,omitempty"`
	// AnyOf, AllOf and Not are names of segments.
	AnyOf []string `yaml:"any_of,omitempty"`
	AllOf []string `yaml:"all_of,omitempty"`
	Not   string   `yaml:"not,omitempty"`
	// Membership is gate.Live (default) or gate.Snapshot.
	Membership string `yaml:"membership,omitempty"`
	// Percent cuts the segment to a part of itself; nil is all of it.
	Percent *schedule.Percent `yaml:"percent,omitempty"`
}

// Edges says which puppetservers count.
type Edges struct {
	// Live is how long an edge counts as live after its last word; default 5m.
	Live model.Duration `yaml:"live"`
	// MaxAge is how long a live edge may stay behind the newest document
	// before the edges gate closes; default 60s, at most Live.
	MaxAge model.Duration `yaml:"max_age"`
	// AllowUnpinned goes on although nothing tells one version of an environment's code from another. Code that
	// changes under a rollout is not seen then.
	AllowUnpinned bool `yaml:"allow_unpinned,omitempty"`
	// Local is the enc.yml of the edge on this host: sluiced accepts for it after every change. Only with store.dir, where
	// no consul-template does it.
	Local string `yaml:"local,omitempty"`
}

// Blast bounds how many nodes may have, over all rollouts together, a change that is not past its bake on them.
type Blast struct {
	// Limit is of the nodes on all tracks, nil is none.
	Limit *schedule.Amount `yaml:"limit,omitempty"`
	// By is an attribute; DomainLimit is of the nodes of each of its values. Both or neither is set.
	By          string           `yaml:"by,omitempty"`
	DomainLimit *schedule.Amount `yaml:"domain_limit,omitempty"`
}

// Grafana gets annotations.
type Grafana struct {
	URL          string   `yaml:"url"`
	TokenFile    string   `yaml:"token_file"`
	DashboardUID string   `yaml:"dashboard_uid,omitempty"`
	Tags         []string `yaml:"tags,omitempty"`
}

// Webhook gets every event as JSON.
type Webhook struct {
	// URL may hold a secret in its path, so String masks it.
	URL       string `yaml:"url"`
	TokenFile string `yaml:"token_file,omitempty"`
	// Timeout of one attempt; default 10s.
	Timeout model.Duration `yaml:"timeout"`
}

// Web is where sluiced listens.
type Web struct {
	ListenAddress string `yaml:"listen_address"` // default 127.0.0.1:9631
}

// Controller drives the gates.
type Controller struct {
	// Interval is the longest time between two looks at the gates; default 10s.
	Interval model.Duration `yaml:"interval"`
	// StateDir keeps the audit chain and evidence; default /var/lib/sluice.
	StateDir string `yaml:"state_dir"`
	// History is how many ended rollouts of a track are remembered, the newest; default 100. Those that veto a change
	// because they were backed out always are.
	History int `yaml:"history"`
}
