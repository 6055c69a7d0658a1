// Package analyzer turns evidence about one stage of a rollout into a verdict.
//
// It is pure: it reads no clock, opens nothing and draws nothing at random. The
// same policy and the same evidence, in whatever order its lists come, give the
// same bytes, so a stored verdict can be replayed from its stored evidence.
//
// The verdict fails closed. A pass needs positive proof of every condition; an
// error, a gap, an empty set or a zero value can only end as inconclusive, which
// is the zero value of Result. A failure needs less: one clock or one scope that
// shows it is enough.
package analyzer
