// Package replay shows recorded history to the judge as if it happened again: reports in the
// order in which PuppetDB received them, admissions at their time, and a look at every step of
// the clock that brought something new. It keeps of a node what the daemon keeps, so a
// million reports are read and judged in seconds.
//
//	history.go      what happened
//	ndjson.go       reports from a file
//	assignments.go  who was in which cohort
//	fleet.go        what is known of every node by now
//	play.go         the looks
//	placebo.go      random cohorts: how often the judge would have been wrong here
package replay
