package flags

import "maps"

// Latched holds the stops that are in force. A stop stays until it is ended on purpose: a pause or
// a freeze by an explicit release, a back-out only by a later generation in which the leader recorded a
// person's unveto. A flag that vanishes, with its key, its folder or all of Consul, ends nothing.
type Latched struct {
	Freeze  *Stop           `json:"freeze,omitempty"`
	Pause   map[string]Stop `json:"pause,omitempty"`
	BackOut map[string]Stop `json:"backout,omitempty"`
}

// Stop is one latched stop.
type Stop struct {
	Value      string `json:"value"`      // what was written, or why it is read as a stop
	Generation uint64 `json:"generation"` // the document's generation when it latched
}

// Latch adds what the reading says to the stops in force. cleared gives, per rollout, the generation in
// which the leader recorded an unveto (0: never); generation is that of the document in force. A
// rollout that has no flag keeps its stops.
func Latch(prev Latched, r Reading, generation uint64, cleared func(rollout string) uint64) Latched {
	next := Latched{Freeze: prev.Freeze, Pause: maps.Clone(prev.Pause), BackOut: maps.Clone(prev.BackOut)}
	if next.Pause == nil {
		next.Pause = map[string]Stop{}
	}
	if next.BackOut == nil {
		next.BackOut = map[string]Stop{}
	}
	switch {
	case r.Freeze == Released:
		next.Freeze = nil
	case r.Freeze.Stops() && next.Freeze == nil:
		next.Freeze = &Stop{Value: describe(r.Freeze), Generation: generation}
	}
	for name, stop := range next.BackOut {
		// A flag that still says back out outlives the unveto: people take it down with the unveto.
		if f := r.Rollouts[name]; cleared(name) > stop.Generation && (f == nil || f.BackOut != Set) {
			delete(next.BackOut, name)
		}
	}
	for name, f := range r.Rollouts {
		switch {
		case f.Pause == Released:
			delete(next.Pause, name)
		case f.Pause.Stops():
			if _, ok := next.Pause[name]; !ok {
				next.Pause[name] = Stop{Value: describe(f.Pause), Generation: generation}
			}
		}
		if _, ok := next.BackOut[name]; f.BackOut == Set && !ok {
			next.BackOut[name] = Stop{Value: describe(f.BackOut), Generation: generation}
		}
	}
	return next
}

// Join adds the stops that an edge remembers and that nobody has ended since: a restored store ends none. It changes maps of l,
// which must come from Latch.
func (l Latched) Join(edge Latched, r Reading) Latched {
	if edge.Freeze != nil && l.Freeze == nil && r.Freeze != Released {
		l.Freeze = edge.Freeze
	}
	for name, stop := range edge.Pause {
		f := r.Rollouts[name]
		if _, ok := l.Pause[name]; !ok && (f == nil || f.Pause != Released) {
			l.Pause[name] = stop
		}
	}
	for name, stop := range edge.BackOut {
		if _, ok := l.BackOut[name]; !ok {
			l.BackOut[name] = stop
		}
	}
	return l
}

// Frozen says whether nothing may go forward, and Paused whether this rollout may not.
func (l Latched) Frozen() bool { return l.Freeze != nil }

// Paused says whether thresholds of this rollout stay where they are.
func (l Latched) Paused(rollout string) bool {
	_, ok := l.Pause[rollout]
	return ok || l.Freeze != nil
}

// BackedOut says whether this rollout is taken back.
func (l Latched) BackedOut(rollout string) bool {
	_, ok := l.BackOut[rollout]
	return ok
}

// UnreadableStop is the value of a stop that was read from what cannot be read.
const UnreadableStop = "unreadable"

func describe(t Toggle) string {
	if t == Unreadable {
		return UnreadableStop
	}
	return "true"
}
