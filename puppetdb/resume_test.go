package puppetdb

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAResumedFeedLosesNothing: whenever a feed ends and another one goes on from its state, through JSON, all that it delivered before
// and what the other delivers is everything.
func TestAResumedFeedLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &archive{}
		for n := range rapid.IntRange(1, 80).Draw(t, "reports") {
			produced := noon.Add(time.Duration(rapid.IntRange(0, 4*3600_000).Draw(t, "produced")) * time.Millisecond)
			a.add(n, produced, produced.Add(time.Duration(rapid.OneOf(rapid.IntRange(-600, 900), rapid.IntRange(0, 5*3600)).Draw(t, "lag"))*time.Second))
		}
		o := Options{Width: 10 * time.Minute, Exact: time.Hour}
		var source Source = a
		if rapid.Bool().Draw(t, "counting") {
			source = counting{a}
		}
		f := newTestFeed(t, a, noon, o)
		f.source, f.few = source, 1
		got := map[string]int{}
		for a.now = noon; a.now.Before(noon.Add(16 * time.Hour)); a.now = a.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "step")) * time.Minute) {
			b, err := f.Poll(t.Context(), a.now)
			if err = errors.Join(err, b.Incomplete); err != nil {
				t.Fatal(err)
			}
			for _, r := range b.Reports {
				got[r.Hash]++
			}
			if rapid.IntRange(0, 5).Draw(t, "resume") > 0 {
				continue
			}
			data, err := json.Marshal(f.State())
			if err != nil {
				t.Fatal(err)
			}
			var state FeedState
			if err := json.Unmarshal(data, &state); err != nil {
				t.Fatal(err)
			}
			through := b.Through
			if f, err = ResumeFeed(source, state, o); err != nil {
				t.Fatal(err)
			}
			if f.few = 1; !f.through.Equal(through) {
				t.Fatalf("through was %s, is %s", through, f.through)
			}
		}
		for _, r := range a.all {
			if got[r.Hash] == 0 {
				t.Fatalf("the report of %s, visible at %s, never came", r.ProducerTimestamp, r.visible)
			}
		}
	})
}

// TestAFeedDoesNotResumeNonsense: nor with a clock that is behind.
func TestAFeedDoesNotResumeNonsense(t *testing.T) {
	good := FeedState{Start: noon, Width: time.Minute, Now: noon.Add(time.Hour), Slices: []SliceState{{Read: noon.Add(time.Hour), Count: 3, Sum: 7}}}
	for name, spoil := range map[string]func(*FeedState){
		"no start":             func(s *FeedState) { s.Start = time.Time{} },
		"split milliseconds":   func(s *FeedState) { s.Start = s.Start.Add(1) },
		"another width":        func(s *FeedState) { s.Width = time.Second },
		"before the first":     func(s *FeedState) { s.First = -1 },
		"no time":              func(s *FeedState) { s.Now = time.Time{} },
		"fewer than none":      func(s *FeedState) { s.Slices[0].Count = -1 },
		"reports without read": func(s *FeedState) { s.Slices[0].Read = time.Time{} },
		"read in the future":   func(s *FeedState) { s.Slices[0].Read = s.Now.Add(1) },
	} {
		s := good
		s.Slices = append([]SliceState(nil), good.Slices...)
		spoil(&s)
		if _, err := ResumeFeed(&archive{}, s, Options{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	f, err := ResumeFeed(&archive{}, good, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Poll(t.Context(), noon); err == nil {
		t.Error("a clock that is an hour behind was taken")
	}
}
