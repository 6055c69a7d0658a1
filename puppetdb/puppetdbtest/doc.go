// Package puppetdbtest puts a PuppetDB in memory on loopback for tests, and holds
// it to the real one.
//
// Contract is the list of behaviours that the client relies on; it runs against
// Server and against a real PuppetDB, so that the two cannot drift apart.
package puppetdbtest
