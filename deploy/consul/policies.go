// Package policies carries the Consul ACL policies of this directory, so that tests
// and harnesses run with the very files that are shipped.
package policies

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

//go:embed *.hcl
var files embed.FS

// hostName keeps a host from ending the string that it is put into.
var hostName = regexp.MustCompile(`\A[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\z`)

// Rules returns the rules of a policy: a file name without ".hcl", or "edge-" and
// the name of a puppetserver for the filled-in edge-HOST.
func Rules(name string) (string, error) {
	host, edge := strings.CutPrefix(name, "edge-")
	if edge {
		if !hostName.MatchString(host) {
			return "", fmt.Errorf("policy %q: want a host name after edge-", name)
		}
		name = "edge-HOST"
	}
	rules, err := files.ReadFile(name + ".hcl")
	if err != nil {
		return "", fmt.Errorf("policy %q: want one of %s: %w", name, strings.Join(Names(), ", "), err)
	}
	if edge {
		return strings.ReplaceAll(string(rules), "edges/HOST", "edges/"+host), nil
	}
	return string(rules), nil
}

// Names lists the shipped policies, sorted, "edge-HOST" as it is.
func Names() []string {
	paths, _ := fs.Glob(files, "*.hcl") // fails on a malformed pattern only
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(p, ".hcl")
	}
	return names
}
