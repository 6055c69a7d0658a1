package config

import (
	"reflect"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate/schedule"
)

// DefaultPolicyName is the policy that exists without being configured.
const DefaultPolicyName = "default"

// seeds are the values that named sections start from.
var seeds = map[reflect.Type]func() reflect.Value{
	reflect.TypeFor[analyzer.Policy](): func() reflect.Value { return reflect.ValueOf(analyzer.DefaultPolicy()) },
}

func nothing(string) bool { return false }

// SetDefaults fills in the sections that were left out.
func (c *Config) SetDefaults(given func(key string) bool) {
	for key, section := range map[string]defaulter{
		"store": &c.Store, "puppetdb": &c.PuppetDB, "edges": &c.Edges, "web": &c.Web, "controller": &c.Controller,
	} {
		if !given(key) {
			section.SetDefaults(nothing)
		}
	}
	if _, ok := c.Policies[DefaultPolicyName]; !ok {
		if c.Policies == nil {
			c.Policies = map[string]analyzer.Policy{}
		}
		c.Policies[DefaultPolicyName] = analyzer.DefaultPolicy()
	}
	for name, window := range c.Windows {
		window.Name = name
		c.Windows[name] = window
	}
}

// SetDefaults fills in Consul where neither it nor a directory was given.
func (s *Store) SetDefaults(given func(key string) bool) {
	if !given("consul") && !given("dir") {
		s.Consul.SetDefaults(nothing)
	}
}

// SetDefaults fills in the prefix.
func (c *Consul) SetDefaults(given func(key string) bool) {
	fill(given, "prefix", &c.Prefix, "sluice/")
}

// SetDefaults fills in the limits.
func (p *PuppetDB) SetDefaults(given func(key string) bool) {
	fill(given, "poll_interval", &p.PollInterval, model.Duration(30*time.Second))
	fill(given, "max_queue_depth", &p.MaxQueueDepth, 1000)
	fill(given, "measured", &p.Measured, 2000)
	fill(given, "max_lag", &p.MaxLag, model.Duration(10*time.Minute))
	fill(given, "overlap", &p.Overlap, model.Duration(15*time.Minute))
	fill(given, "history", &p.History, model.Duration(25*time.Hour))
	fill(given, "inventory_interval", &p.Inventory, model.Duration(5*time.Minute))
	fill(given, "parameters_proof", &p.Proof, ProofCatalog)
}

// SetDefaults fills in how the command is called.
func (e *ENC) SetDefaults(given func(key string) bool) {
	fill(given, "timeout", &e.Timeout, model.Duration(10*time.Second))
	fill(given, "concurrency", &e.Concurrency, 4)
	fill(given, "refresh", &e.Refresh, model.Duration(10*time.Minute))
}

// SetDefaults fills in the times.
func (e *Edges) SetDefaults(given func(key string) bool) {
	fill(given, "live", &e.Live, model.Duration(5*time.Minute))
	fill(given, "max_age", &e.MaxAge, model.Duration(time.Minute))
}

// SetDefaults fills in the timeout.
func (w *Webhook) SetDefaults(given func(key string) bool) {
	fill(given, "timeout", &w.Timeout, model.Duration(10*time.Second))
}

// SetDefaults fills in the address.
func (w *Web) SetDefaults(given func(key string) bool) {
	fill(given, "listen_address", &w.ListenAddress, "127.0.0.1:9631")
}

// SetDefaults fills in the interval, the directory and how much is remembered.
func (c *Controller) SetDefaults(given func(key string) bool) {
	fill(given, "interval", &c.Interval, model.Duration(10*time.Second))
	fill(given, "state_dir", &c.StateDir, "/var/lib/sluice")
	fill(given, "history", &c.History, 100)
}

func (s *Segment) setShorthand(text string) { s.Selector = text }

// usePresets defines the windows that stages name and only sluice knows.
func (c *Config) usePresets() {
	for name, window := range schedule.Presets() {
		if _, own := c.Windows[name]; own {
			continue
		}
		for _, s := range c.Schedules {
			if slices.ContainsFunc(s.Stages, func(stage schedule.Stage) bool { return slices.Contains(stage.Windows, name) }) {
				if c.Windows == nil {
					c.Windows = map[string]schedule.Window{}
				}
				c.Windows[name] = window
			}
		}
	}
}

func fill[T any](given func(key string) bool, key string, target *T, value T) {
	if !given(key) {
		*target = value
	}
}
