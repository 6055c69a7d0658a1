// Package pdbserver answers PuppetDB's API, as far as package puppetdb uses it:
// the query endpoints with the AST evaluated, the commands that store data,
// version and status. Its rows are in memory, or are made by a Backend. It can be
// told to misbehave in the ways of the real one.
//
// puppetdbtest.Contract holds it and a real PuppetDB to the same behaviour.
package pdbserver
