// Package stack runs the real components around sluice for end-to-end tests: PostgreSQL, PuppetDB, two puppetservers
// that share one certificate authority, Puppet agents, Prometheus and consul-template, as Debian 12 packages them.
//
// Everything lives on free loopback ports below one temporary directory, so that several stacks can run at once; nothing
// under /etc is changed. It needs root (each daemon runs as its own user, each agent in namespaces of its own) and what
// tools/setup.sh installs. No process outlives the test binary, even when that dies of a panic or a timeout: the
// kernel kills them with their parent.
package stack
