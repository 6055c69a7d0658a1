package segments

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// LineWidth is the width of one member in a set's bytes: 16 hex digits and a line feed.
const LineWidth = Digits + 1

// ShardLines is how many members one KV value holds at most: 17 bytes each stay below the 100 kB
// that a value may have.
const ShardLines = 5600

// Set is a published segment: the fingerprints of its members, sorted, one per line, fixed width.
// It is immutable and named by its content.
type Set struct {
	Digest string // first 32 hex digits of SHA-256(Data)
	Count  int
	Data   []byte
}

// NewSet makes the set of the given certnames; order and repetition do not matter.
func NewSet(certnames []string) Set {
	prints := make([]string, len(certnames))
	for i, c := range certnames {
		prints[i] = Fingerprint(c)
	}
	slices.Sort(prints)
	prints = slices.Compact(prints)
	data := make([]byte, 0, len(prints)*LineWidth)
	for _, p := range prints {
		data = append(data, p...)
		data = append(data, '\n')
	}
	return Set{Digest: DigestOf(data), Count: len(prints), Data: data}
}

// DigestOf names the bytes of a set.
func DigestOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// Shards cuts the set into pieces that fit into one KV value each. An empty set has one empty shard
// so that it can be told from a missing one.
func (s Set) Shards() [][]byte {
	const size = ShardLines * LineWidth
	shards := [][]byte{}
	for rest := s.Data; len(rest) > 0; {
		n := min(size, len(rest))
		shards = append(shards, rest[:n])
		rest = rest[n:]
	}
	if len(shards) == 0 {
		shards = append(shards, []byte("\n"))
	}
	return shards
}

// JoinShards puts a set together again and checks it against the digest and count that the document
// states. Every difference is an error: a torn set must not be taken for a small one.
func JoinShards(digest string, count int, shards [][]byte) (Set, error) {
	data := slices.Concat(shards...)
	if string(data) == "\n" {
		data = nil
	}
	if err := CheckSet(digest, count, data); err != nil {
		return Set{}, err
	}
	return Set{Digest: digest, Count: count, Data: data}, nil
}

// CheckSet checks the shape, the order, the digest and the count of a set's bytes.
func CheckSet(digest string, count int, data []byte) error {
	if len(data)%LineWidth != 0 || len(data)/LineWidth != count {
		return fmt.Errorf("set %s: %d bytes, expected %d members of %d bytes", digest, len(data), count, LineWidth)
	}
	if got := DigestOf(data); got != digest {
		return fmt.Errorf("set %s: content has digest %s", digest, got)
	}
	for i := LineWidth; i < len(data); i += LineWidth {
		if string(data[i-LineWidth:i-1]) >= string(data[i:i+Digits]) {
			return fmt.Errorf("set %s: member %d is not in order", digest, i/LineWidth)
		}
	}
	return nil
}

var (
	errWidth = errors.New("not a whole number of lines")
	errPrint = errors.New("not a fingerprint of 16 hex digits")
)

// blockLines is how many members Contains reads at a time.
const blockLines = 64

// guesses is how often Contains trusts that fingerprints are spread evenly before it only halves.
const guesses = 4

// Contains looks a fingerprint up in a set's bytes. Fingerprints are spread evenly, so it reads a block
// of members where this one should be: two or three reads in a set of a million, and never more than halving
// takes after the first few, whatever the bytes are. Bytes that are no fingerprint are an error.
func Contains(r io.ReaderAt, size int64, print string) (bool, error) {
	if size%LineWidth != 0 {
		return false, errWidth
	}
	want, err := value(print)
	if err != nil {
		return false, err
	}
	var block [blockLines * LineWidth]byte
	lo, hi := int64(0), size/LineWidth // the member can only be in lines [lo, hi)
	low, high := uint64(0), uint64(math.MaxUint64)
	for probe := 0; lo < hi; probe++ {
		mid := lo + (hi-lo)/2
		if probe < guesses && low < high {
			mid = lo + int64(float64(hi-lo)*(float64(want-low)/float64(high-low)))
		}
		first := max(lo, min(mid-blockLines/2, hi-blockLines))
		n := int(min(blockLines, hi-first))
		lines := block[:n*LineWidth]
		if _, err := r.ReadAt(lines, first*LineWidth); err != nil {
			return false, err
		}
		head, err := value(string(lines[:Digits]))
		if err != nil {
			return false, err
		}
		tail, err := value(string(lines[len(lines)-LineWidth : len(lines)-1]))
		if err != nil {
			return false, err
		}
		switch {
		case want < head:
			hi, high = first, head
		case want > tail:
			lo, low = first+int64(n), tail
		default:
			_, found := sort.Find(n, func(i int) int { return strings.Compare(print, string(lines[i*LineWidth:i*LineWidth+Digits])) })
			return found, nil
		}
	}
	return false, nil
}

// value is a fingerprint as a number.
func value(print string) (uint64, error) {
	if len(print) != Digits {
		return 0, errPrint
	}
	n, err := strconv.ParseUint(print, 16, 64)
	if err != nil {
		return 0, errPrint
	}
	return n, nil
}

// Added counts the members of next that prev does not have; both are a set's bytes.
func Added(prev, next []byte) int {
	n := 0
	for len(next) >= LineWidth {
		switch {
		case len(prev) < LineWidth || string(next[:Digits]) < string(prev[:Digits]):
			n++
			next = next[LineWidth:]
		case string(next[:Digits]) == string(prev[:Digits]):
			next, prev = next[LineWidth:], prev[LineWidth:]
		default:
			prev = prev[LineWidth:]
		}
	}
	return n
}

// Common makes the set of the members that both have; both are a set's bytes.
func Common(a, b []byte) Set {
	var out []byte
	for len(a) >= LineWidth && len(b) >= LineWidth {
		switch x, y := string(a[:Digits]), string(b[:Digits]); {
		case x == y:
			out, a, b = append(out, a[:LineWidth]...), a[LineWidth:], b[LineWidth:]
		case x < y:
			a = a[LineWidth:]
		default:
			b = b[LineWidth:]
		}
	}
	return Set{Digest: DigestOf(out), Count: len(out) / LineWidth, Data: out}
}

// Grow makes the set of everything that is in data (a set's bytes) and of the given certnames. Sets grow and
// never shrink by themselves.
func Grow(data []byte, certnames []string) Set {
	fresh := NewSet(certnames)
	out := make([]byte, 0, len(data)+len(fresh.Data))
	a, b := data, fresh.Data
	for len(a) >= LineWidth || len(b) >= LineWidth {
		switch {
		case len(b) < LineWidth || len(a) >= LineWidth && string(a[:Digits]) < string(b[:Digits]):
			out, a = append(out, a[:LineWidth]...), a[LineWidth:]
		case len(a) < LineWidth || string(b[:Digits]) < string(a[:Digits]):
			out, b = append(out, b[:LineWidth]...), b[LineWidth:]
		default:
			out, a, b = append(out, a[:LineWidth]...), a[LineWidth:], b[LineWidth:]
		}
	}
	return Set{Digest: DigestOf(out), Count: len(out) / LineWidth, Data: out}
}
