package segments

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// counted counts how often a set is read from.
type counted struct {
	io.ReaderAt
	reads int
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, at)
}

// linesOf makes a set's bytes of any values, for spreads that no hash would give.
func linesOf(values []uint64) []byte {
	slices.Sort(values)
	var b bytes.Buffer
	for _, v := range slices.Compact(values) {
		fmt.Fprintf(&b, "%016x\n", v)
	}
	return b.Bytes()
}

// mostReads is the promise of Contains for any bytes: a few guesses, then halving down to a block.
func mostReads(lines int) int { return guesses + bits.Len(uint(lines/blockLines)) + 1 }

func TestContainsIsTheLinearSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 400), rapid.Uint64Range(math.MaxUint64-400, math.MaxUint64), rapid.Uint64Range(1<<40, 1<<40+2000))
		start, step := value.Draw(t, "start"), rapid.SampledFrom([]uint64{0, 1, 3, 1 << 20, 1 << 50}).Draw(t, "step")
		values := rapid.SliceOfN(value, 0, 300).Draw(t, "values")
		for i := range rapid.Uint64Range(0, 3000).Draw(t, "run") {
			values = append(values, start+i*step)
		}
		data := linesOf(values)
		probes := append(rapid.SliceOfN(value, 1, 20).Draw(t, "probes"), start, start-1, 0, math.MaxUint64)
		for _, v := range probes {
			print := fmt.Sprintf("%016x", v)
			c := &counted{ReaderAt: bytes.NewReader(data)}
			got, err := Contains(c, int64(len(data)), print)
			if want := strings.Contains(string(data), print+"\n"); err != nil || got != want {
				t.Fatalf("Contains(%s) in %d lines = %v, %v, want %v", print, len(data)/LineWidth, got, err, want)
			}
			if most := mostReads(len(data) / LineWidth); c.reads > most {
				t.Fatalf("%d reads in %d lines, at most %d expected", c.reads, len(data)/LineWidth, most)
			}
		}
	})
}

func TestContainsReadsLittleOfALargeSet(t *testing.T) {
	s := NewSet(names(200_000))
	total := 0
	for i := range 1000 {
		name := fmt.Sprintf("node%d.example.com", i*400) // half of them are members
		c := &counted{ReaderAt: bytes.NewReader(s.Data)}
		got, err := Contains(c, int64(len(s.Data)), Fingerprint(name))
		if err != nil || got != (i*400 < 200_000) {
			t.Fatalf("%s: %v %v", name, got, err)
		}
		total += c.reads
	}
	if total > 3500 {
		t.Errorf("%d reads for 1000 lookups, expected about two or three each", total)
	}
}

func TestContainsRefusesWhatIsNoSet(t *testing.T) {
	s := NewSet(names(1000))
	for name, c := range map[string]struct {
		data  []byte
		print string
	}{
		"torn":              {s.Data[:len(s.Data)-1], Fingerprint("a")},
		"zeroes":            {make([]byte, len(s.Data)), Fingerprint("a")},
		"no fingerprint":    {s.Data, "web1.example.com"},
		"short":             {s.Data, "abc"},
		"shifted by a byte": {append([]byte("x"), s.Data[:len(s.Data)-1]...), Fingerprint("a")},
	} {
		if in, err := Contains(bytes.NewReader(c.data), int64(len(c.data)), c.print); in || err == nil {
			t.Errorf("%s: %v, %v", name, in, err)
		}
	}
	if in, err := Contains(bytes.NewReader(nil), int64(len(s.Data)), Fingerprint("a")); in || err == nil {
		t.Errorf("a set that cannot be read: %v, %v", in, err)
	}
}

// Rollouts that share a segment ask for it once per node.
func TestDecideAsksForASetOnce(t *testing.T) {
	d := &Document{Tracks: []Track{{Name: "t", Baseline: "b"}}}
	for i := range 20 {
		d.Rollouts = append(d.Rollouts, Rollout{Name: fmt.Sprint(i), Track: "t", Candidate: "c", Stages: []Stage{{Name: "s", Set: "same", Threshold: All}}, Caps: []Cap{{ID: "c", Set: "other", Limit: None}}})
	}
	asked := map[string]int{}
	got, err := Decide(d, Stops{}, "t", "n", func(digest, _ string) (bool, error) { asked[digest]++; return digest == "same", nil })
	if err != nil || got.Environment != "c" || asked["same"] != 1 || asked["other"] != 1 {
		t.Errorf("%s, %v, asked %v", got.Environment, err, asked)
	}
}
