// Package walk holds no code, only a test: a random walk of verbs and events over gate, segments and an edge's accept, all in
// memory, with the invariants of the design asked after every step.
//
//	model_test.go       the site: nodes, store, leaders, edges
//	ops_test.go         what can happen, drawn from a seed
//	leader_test.go      a leader's look and its transaction
//	orders_test.go      promotions, skipped stages and reverts
//	blast_test.go       where changes are not past their bake
//	departed_test.go    nodes that leave, and that are built anew
//	calm_test.go        the end of a walk: nothing stops, and every rollout ends
//	people_test.go      whom people keep from a rollout, as a leader finds out
//	edge_test.go        a puppetserver's accept
//	oracle_test.go      what must be closed, told from what people wrote and what nodes did
//	standing_test.go    the same by the oracle's own reading, and who has the change
//	invariants_test.go  what must hold after a step
//	mutation_test.go    faults put into the model on purpose, each of which must be found
//	program_test.go     the same with faults put into the program
//	shrink_test.go      from a failing walk to a short one
package walk
