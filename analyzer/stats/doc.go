// Package stats holds the statistics of the judge as pure functions: no clock,
// no I/O, no randomness, the same bytes for the same evidence.
//
// The unit of every test is the node: one value or one first event per node,
// never one per report. "Canary" is the first arm and "control" the second, so
// U, A12 and the shift are positive for "the canary is larger".
//
// Two families cover what the judge asks:
//
//   - magnitudes, such as run times: [MannWhitney], [MannWhitneyHistogram] and,
//     over strata, [VanElteren], looked at repeatedly within [Boundaries];
//   - events, such as failed runs: [ECS] while a stage runs, [EProcess] beyond it,
//     [HypergeometricUpper] for one look, and [ClopperPearsonUpper] and
//     [DifferenceUpper] for what a clean canary proves.
//
// Every p-value is at least the smallest positive float64 unless the outcome is
// impossible, and LogP carries the value below that. Data that cannot be judged
// (NaN, an empty arm) are errors, never a p-value.
package stats
