// Package edge is what sluice does on a puppetserver beside answering: it accepts documents, reports to
// the store, lays sluice's answer over the site's own ENC, and explains itself.
package edge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/enc/lookup"
)

// DefaultConfigFile is read when no other is named; it need not exist.
const DefaultConfigFile = "/etc/sluice/enc.yml"

// Config is an edge's configuration.
type Config struct {
	File            string   `yaml:"-"`                // where it was read
	StateDir        string   `yaml:"state_dir"`        // default lookup.DefaultDir
	Host            string   `yaml:"host"`             // name under edges/; default: this host's name
	EnvironmentPath string   `yaml:"environment_path"` // default /etc/puppetlabs/code/environments
	Manifest        string   `yaml:"manifest"`         // rendered by consul-template; default STATE_DIR/rendered/manifest
	Flags           string   `yaml:"flags"`            // default STATE_DIR/rendered/flags
	MetricsFile     string   `yaml:"metrics_file"`     // for node_exporter's textfile collector; "" = none
	Upstream        Upstream `yaml:"upstream"`
	Limit           Limit    `yaml:"limit"`
	Consul          Consul   `yaml:"consul"`
	Store           Store    `yaml:"store"`
	Code            Code     `yaml:"code"`
}

// Store is for a site without Consul.
type Store struct {
	// Dir is the directory that sluiced keeps its tree in: manifest and flags are read from there, not from rendered files.
	Dir string `yaml:"dir"`
}

// Upstream is the site's own ENC.
type Upstream struct {
	Command string        `yaml:"command"` // split on white space, the certname is appended; "" = none
	Timeout time.Duration `yaml:"timeout"` // default 10s; after it the last good answer is given
}

// Limit is the speed limit per hour, the larger of the two; see enc.Limit.
type Limit struct {
	Nodes *float64 `yaml:"nodes"` // default 10
	Share string   `yaml:"share"` // default "10%"
}

// Consul says how this edge reaches the store, for sets and for its report. The usual CONSUL_* variables
// hold where nothing is said.
type Consul struct {
	Address   string `yaml:"address"`
	Prefix    string `yaml:"prefix"` // default "sluice/"
	TokenFile string `yaml:"token_file"`
}

// LoadConfig reads the configuration strictly. A missing file is an error unless it is the default one.
func LoadConfig(path string) (Config, error) {
	c := Config{File: path}
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && path == DefaultConfigFile:
	case err != nil:
		return c, err
	default:
		dec := yaml.NewDecoder(bytes.NewReader(data))
		dec.KnownFields(true)
		if err := dec.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
			return c, fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := c.setDefaults(); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func (c *Config) setDefaults() error {
	orDefault(&c.StateDir, lookup.DefaultDir)
	orDefault(&c.EnvironmentPath, "/etc/puppetlabs/code/environments")
	orDefault(&c.Manifest, filepath.Join(c.StateDir, "rendered", "manifest"))
	orDefault(&c.Flags, filepath.Join(c.StateDir, "rendered", "flags"))
	orDefault(&c.Consul.Prefix, "sluice/")
	orDefault(&c.Limit.Share, "10%")
	if c.Limit.Nodes == nil {
		n := enc.DefaultLimit.Nodes
		c.Limit.Nodes = &n
	}
	if c.Host == "" {
		host, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("host: not set, and this host has no name: %w", err)
		}
		c.Host = host
	}
	if strings.ContainsAny(c.Host, "/ \t\n") {
		return fmt.Errorf("host: %q, expected a host name", c.Host)
	}
	if c.Upstream.Timeout == 0 {
		c.Upstream.Timeout = 10 * time.Second
	}
	if c.Upstream.Timeout < 0 {
		return fmt.Errorf("upstream.timeout: %s, expected a positive duration", c.Upstream.Timeout)
	}
	if cmd := strings.Fields(c.Upstream.Command); len(cmd) > 0 && !filepath.IsAbs(cmd[0]) {
		return fmt.Errorf("upstream.command: %q, expected an absolute path", cmd[0])
	}
	if c.Store.Dir != "" && (c.Consul.Address != "" || c.Consul.TokenFile != "") {
		return errors.New("store.dir: expected no consul.address and no consul.token_file beside it")
	}
	if c.Store.Dir != "" && !filepath.IsAbs(c.Store.Dir) {
		return fmt.Errorf("store.dir: %q, expected an absolute path", c.Store.Dir)
	}
	if err := c.Code.setDefaults(); err != nil {
		return err
	}
	_, err := c.limit()
	return err
}

func (c *Config) limit() (enc.Limit, error) {
	number, ok := strings.CutSuffix(strings.TrimSpace(c.Limit.Share), "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if !ok || err != nil || !(share >= 0 && share <= 100) {
		return enc.Limit{}, fmt.Errorf("limit.share: %q, expected a percentage of the fleet per hour from 0%% to 100%%", c.Limit.Share)
	}
	if !(*c.Limit.Nodes >= 0 && *c.Limit.Nodes < 1e12) {
		return enc.Limit{}, fmt.Errorf("limit.nodes: %v, expected a number of nodes per hour, 0 or more", *c.Limit.Nodes)
	}
	return enc.Limit{Nodes: *c.Limit.Nodes, Share: share / 100}, nil
}

func orDefault(s *string, value string) {
	if *s == "" {
		*s = value
	}
}
