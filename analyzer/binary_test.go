package analyzer

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// binaryForm is what is kept in a file.
type binaryForm interface {
	AppendBinary([]byte) []byte
	CutBinary([]byte) ([]byte, error)
}

// TestBinaryForms: what is read is what was written, and nothing less than all of it is taken.
func TestBinaryForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		onset := rapid.Custom(func(t *rapid.T) Onset {
			return Onset{At: rapid.Int64().Draw(t, "at"), Seen: rapid.Int64().Draw(t, "seen"), Before: rapid.Bool().Draw(t, "before")}
		})
		var recent Recent
		for range rapid.IntRange(0, 12).Draw(t, "runs") {
			m := mark{at: rapid.Uint32().Draw(t, "at"), length: rapid.Uint16().Draw(t, "length"), skew: rapid.Int16().Draw(t, "skew"), env: rapid.Uint16().Draw(t, "env"), flags: rapid.Byte().Draw(t, "flags")}
			if int(recent.n) < len(recent.marks) && (recent.n == 0 || m.at >= recent.marks[recent.n-1].at) {
				recent.marks[recent.n] = m
				recent.n++
			}
		}
		sum := Summary{Habit: Habit{Reports: rapid.Int32().Draw(t, "reports"), Typical: rapid.Uint16().Draw(t, "typical"), Enforced: rapid.Bool().Draw(t, "enforced"),
			Usual: Quarters(rapid.Uint32().Draw(t, "usual")), Longest: Quarters(rapid.Uint32().Draw(t, "longest")), Last: rapid.Int64().Draw(t, "last")},
			Seen: rapid.Int64().Draw(t, "seen"), Runs: rapid.Int32().Draw(t, "runs"), Slower: Slower{Bins: rapid.Int16Range(-mostBins, mostBins).Draw(t, "bins"), Runs: rapid.Byte().Draw(t, "slower")}}
		if rapid.Bool().Draw(t, "odd") {
			sum.Odd = &Odd{Convergence: onset.Draw(t, "convergence"), Silence: onset.Draw(t, "silence")}
		}
		progress := Progress{first: rapid.Uint32().Draw(t, "first"), reset: rapid.Uint32().Draw(t, "reset"), runs: rapid.Uint16().Draw(t, "counted")}
		for _, pair := range [][2]binaryForm{{&recent, &Recent{}}, {&sum, &Summary{}}, {&progress, &Progress{}}} {
			data := pair[0].AppendBinary(nil)
			rest, err := pair[1].CutBinary(append(bytes.Clone(data), "rest"...))
			if err != nil || string(rest) != "rest" || !reflect.DeepEqual(pair[0], pair[1]) {
				t.Fatalf("%+v became %+v, %q, %v", pair[0], pair[1], rest, err)
			}
			if _, err := pair[1].CutBinary(data[:rapid.IntRange(0, len(data)-1).Draw(t, "cut")]); err == nil {
				t.Fatal("half of it was taken")
			}
		}
	})
}
