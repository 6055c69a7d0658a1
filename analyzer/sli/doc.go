// Package sli reads service-level indicators from Prometheus: one instant
// PromQL query per check, its series mapped to nodes by a label rule.
//
// The package only reads. What a value means is the judge's business, so
// everything that would let a bad answer look like a good one is an error
// here: two series for one node, a histogram where a number is expected, a
// truncated body, an empty result.
package sli
