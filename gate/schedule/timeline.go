package schedule

import "time"

// Pace is how fast the nodes of a stage come in.
type Pace struct {
	// Waves is how often as many nodes as may be in flight are admitted.
	Waves int
	// Limit is the shortest time that the edges' speed limit leaves for the stage.
	Limit time.Duration
	// Skip is a stage that adds nobody: it ends as it begins.
	Skip bool
}

// Times is when a stage begins, has all its nodes and ends: at the earliest,
// if nodes ran the moment they are admitted, and as expected.
type Times struct {
	Stage    string  `json:"stage"`
	Earliest Passage `json:"earliest"`
	Expected Passage `json:"expected"`
	// Never says why the stage does not end; the times behind that are zero.
	Never string `json:"never,omitempty"`
}

// AfterNever is why a stage does not end that is behind one that does not.
const AfterNever = "the stage before it does not end"

// Passage is the way through a stage.
type Passage struct {
	Begin time.Time `json:"begin,omitzero"`
	Full  time.Time `json:"full,omitzero"`
	End   time.Time `json:"end,omitzero"`
}

// Timeline lays the stages along the calendar. run is the time between two runs
// of a node; pace has one entry per stage. Approvals are taken to be given at
// once.
func (s Schedule) Timeline(c Calendar, start time.Time, run time.Duration, pace []Pace) []Times {
	if s.Start != nil && s.Start.NotBefore.After(start) {
		start = s.Start.NotBefore
	}
	earliest, expected := start, start
	out := make([]Times, len(s.Stages))
	for i, stage := range s.Stages {
		t := Times{Stage: stage.Name}
		if i > 0 && out[i-1].Never != "" {
			t.Never = AfterNever
			out[i] = t
			continue
		}
		bake, runs := time.Duration(stage.Bake.Time), time.Duration(stage.Bake.Runs)*run
		if pace[i].Skip {
			bake, runs = 0, 0
		}
		t.Earliest, t.Never = c.passage(stage, earliest, 0, bake)
		if t.Never == "" {
			// A wave is seen when its last node has run.
			admit := max(time.Duration(max(pace[i].Waves-1, 0))*run, pace[i].Limit)
			t.Expected, t.Never = c.passage(stage, expected, admit, max(bake, runs))
		}
		earliest, expected = t.Earliest.End, t.Expected.End
		out[i] = t
	}
	return out
}

func (c Calendar) passage(s Stage, from time.Time, admit, bake time.Duration) (p Passage, never string) {
	if p.Begin, never = c.After(s, from, 0); never != "" {
		return p, never
	}
	if p.Full, never = c.After(s, p.Begin, admit); never != "" {
		return p, never
	}
	p.End = p.Full.Add(bake)
	return p, ""
}
