// Package segments decides who may have a change: positions, thresholds, sets and the one
// admission function that the ENC, the daemon and `sluice why` share.
//
// It imports nothing beyond the standard library's hashes, because it is linked into sluice-enc,
// which puppetserver starts once per catalog. Selectors are in the package selector below it.
package segments

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
)

// Digits is the width of a position, a threshold and a fingerprint: 16 hex digits, 64 bits.
const Digits = 16

// Billion is the number of parts that a share is given in: a share of 1 is 1e9 parts.
const Billion = 1_000_000_000

// Position is u(salt, certname): the first 16 hex digits (lower case) of
// SHA-256(salt + "/" + certname), uniform over [0, 2^64). A node keeps its position for as long
// as the salt lives, so 5 % is inside 25 % by construction.
func Position(salt, certname string) string {
	sum := sha256.Sum256([]byte(salt + "/" + certname))
	return hex.EncodeToString(sum[:Digits/2])
}

// Fingerprint stands for a certname in a published set: the first 16 hex digits of
// SHA-256(certname).
func Fingerprint(certname string) string {
	sum := sha256.Sum256([]byte(certname))
	return hex.EncodeToString(sum[:Digits/2])
}

// Threshold is a limit on positions: 16 lower-case hex digits, or the literal "all". A node is
// below it when its position sorts before it as a string, which shell, Puppet code and
// consul-template can repeat. The zero value "" is read as None: nobody.
type Threshold string

const (
	// None admits nobody.
	None Threshold = "0000000000000000"
	// All admits everybody, the node at the very top included.
	All Threshold = "all"
)

// ParseThreshold reads a threshold and refuses everything but 16 lower-case hex digits or "all".
func ParseThreshold(s string) (Threshold, error) {
	if s == string(All) {
		return All, nil
	}
	if len(s) != Digits {
		return None, fmt.Errorf("threshold %q: expected %d hex digits or \"all\"", s, Digits)
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return None, fmt.Errorf("threshold %q: expected %d lower-case hex digits or \"all\"", s, Digits)
		}
	}
	return Threshold(s), nil
}

// FromShare is the threshold that lies above the given share of all positions; parts of 1e9.
// 0 is None and 1e9 or more is All.
func FromShare(parts uint64) Threshold {
	switch {
	case parts == 0:
		return None
	case parts >= Billion:
		return All
	}
	q, _ := bits.Div64(parts, 0, Billion) // floor(parts * 2^64 / 1e9); parts < 1e9, so it fits
	return fromUint(q)
}

// Admits says whether a node at position u is below the threshold.
func (t Threshold) Admits(u string) bool {
	return t == All || (t != "" && u < string(t))
}

// Share is the share of all positions below the threshold, in [0, 1].
func (t Threshold) Share() float64 {
	if t == All {
		return 1
	}
	n, err := strconv.ParseUint(string(t), 16, 64)
	if err != nil {
		return 0
	}
	return float64(n) / (1 << 64)
}

// Less orders thresholds: None first, All last.
func (t Threshold) Less(o Threshold) bool {
	switch {
	case t == o || t == All:
		return false
	case o == All:
		return true
	case t == "":
		return o > None
	case o == "":
		return false
	}
	return t < o
}

// Lower is the smaller of two thresholds.
func Lower(a, b Threshold) Threshold {
	if b.Less(a) {
		return b
	}
	return a
}

// Higher is the larger of two thresholds.
func Higher(a, b Threshold) Threshold {
	if a.Less(b) {
		return b
	}
	return a
}

// ThresholdAt is the threshold at the share f in [0, 1] of all positions; used where an allowance
// in nodes is turned into a threshold. It rounds down, except that 1 and more is All.
func ThresholdAt(f float64) Threshold {
	switch {
	case f >= 1:
		return All
	case !(f > 0): // NaN included
		return None
	}
	return fromUint(uint64(f * (1 << 64)))
}

func fromUint(n uint64) Threshold {
	const hexdigits = "0123456789abcdef"
	var b [Digits]byte
	for i := Digits - 1; i >= 0; i-- {
		b[i] = hexdigits[n&15]
		n >>= 4
	}
	return Threshold(b[:])
}
