package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Load reads and checks the file at path. An error about what is in the file
// is a Problems, and the configuration beside any error is nil.
func Load(path string) (*Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		var reason *fs.PathError
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return nil, fmt.Errorf("%s: cannot be read: %w", path, err)
	}
	return Parse(path, data)
}

// Parse checks data, calling it name in errors. It reads no other file.
func Parse(name string, data []byte) (*Config, error) {
	root, problem := parseDocument(name, data)
	if problem != nil {
		return nil, Problems{*problem}
	}
	d := &decoder{file: name, lines: map[string]int{}}
	config := &Config{}
	d.value(root, reflect.ValueOf(config).Elem(), "")
	if root.Kind != yaml.MappingNode {
		return nil, d.problems.sorted()
	}
	v := &validator{decoder: d, config: config}
	v.validate()
	if problems := append(d.problems, v.problems...).sorted(); len(problems) > 0 {
		return nil, problems
	}
	config.resolve(filepath.Dir(name))
	return config, nil
}

// resolve makes names of files relative to the directory of the configuration
// file, as Prometheus does.
func (c *Config) resolve(dir string) {
	files := []*string{
		&c.Store.Consul.TokenFile, &c.Store.Consul.APITokenFile, &c.Store.Dir, &c.Edges.Local, &c.PuppetDB.CA, &c.PuppetDB.Cert, &c.PuppetDB.Key, &c.PuppetDB.TokenFile,
		&c.Controller.StateDir,
	}
	if c.Grafana != nil {
		files = append(files, &c.Grafana.TokenFile)
	}
	for name, freeze := range c.Freezes {
		if freeze.ICal != "" && !filepath.IsAbs(freeze.ICal) {
			freeze.ICal = filepath.Join(dir, freeze.ICal)
			c.Freezes[name] = freeze
		}
	}
	for i := range c.Webhooks {
		files = append(files, &c.Webhooks[i].TokenFile)
	}
	for _, file := range files {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(dir, *file)
		}
	}
}

// ReadToken returns the secret in a token file without blanks around it. An
// empty file is an error: without a token, requests would go out anonymous.
func ReadToken(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("token file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("token file %s is empty", path)
	}
	if strings.ContainsAny(token, "\r\n") {
		return "", fmt.Errorf("token file %s has more than one line", path)
	}
	return token, nil
}

// Argv is the command of the ENC divided at blanks, without the certname.
func (e ENC) Argv() []string { return strings.Fields(e.Command) }
