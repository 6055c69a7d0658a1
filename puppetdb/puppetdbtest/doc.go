// Package puppetdbtest is an in-memory PuppetDB for tests.
//
// Server speaks the parts of the API that package puppetdb uses: the query
// endpoints with the AST evaluated, the commands that store data, version and
// status. It can be told to misbehave in the ways of the real one. Contract is
// the list of behaviours that the client relies on; it runs against Server and
// against a real PuppetDB, so that the two cannot drift apart.
package puppetdbtest
