package puppetdb

import (
	"errors"
	"fmt"
	"time"
)

// FeedState is what a Feed has to know to go on where another one was: which slices of time were read when, and of each how many
// reports came, with the sum of their fingerprints. It does not hold the reports: who resumes a Feed must have all of them.
type FeedState struct {
	Start  time.Time     `json:"start"` // of slice 0
	Width  time.Duration `json:"width"` // of a slice, in nanoseconds
	First  int           `json:"first"` // index of Slices[0]; older ones are final
	Slices []SliceState  `json:"slices"`
	Now    time.Time     `json:"now"` // of the last Poll
}

// SliceState is one slice.
type SliceState struct {
	Read  time.Time `json:"read,omitzero"` // zero: never
	Count int       `json:"count,omitempty"`
	Sum   uint64    `json:"sum,omitempty"`
}

// State is what the feed knows after a Poll.
func (f *Feed) State() FeedState {
	s := &f.state
	out := FeedState{Start: s.start, Width: s.opts.Width, First: s.first, Slices: make([]SliceState, len(s.read)), Now: f.now}
	for i := range s.read {
		d := f.seen[i].digest()
		out.Slices[i] = SliceState{Read: s.read[i], Count: d.count, Sum: d.sum}
	}
	return out
}

// ResumeFeed returns a feed that goes on from a state. Slices that have not changed since bring nothing; of those that have all reports
// come, also what came before. A clock that is behind the state's is an error of the first Poll.
func ResumeFeed(source Source, from FeedState, opts Options) (*Feed, error) {
	f, err := NewFeed(source, from.Start, opts)
	if err != nil {
		return nil, err
	}
	s := &f.state
	switch {
	case !from.Start.Equal(s.start):
		return nil, errors.New("report feed: the state's start is no whole millisecond")
	case from.Width != s.opts.Width:
		return nil, fmt.Errorf("report feed: the state has slices of %s, expected %s", from.Width, s.opts.Width)
	case from.First < 0 || from.Now.IsZero():
		return nil, fmt.Errorf("report feed: the state begins with slice %d at %s, expected 0 or more, and a time", from.First, wire(from.Now))
	}
	s.first, f.now = from.First, from.Now
	for i, sl := range from.Slices {
		if sl.Count < 0 || sl.Read.IsZero() && sl.Count > 0 || sl.Read.After(from.Now) {
			return nil, fmt.Errorf("report feed: slice %d of the state has %d reports, read at %s: expected 0 or more, read by %s", i, sl.Count, wire(sl.Read), wire(from.Now))
		}
		s.read = append(s.read, sl.Read)
		f.seen = append(f.seen, prints{past: digest{sl.Count, sl.Sum}})
	}
	f.through = s.through(from.Now)
	return f, nil
}
