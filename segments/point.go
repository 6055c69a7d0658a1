package segments

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
)

// Point is a position as a number: what its 16 hex digits say, in a quarter of the room. Points sort as positions do.
type Point uint64

// PointOf is Position(salt, certname) as a number.
func PointOf(salt, certname string) Point {
	sum := sha256.Sum256([]byte(salt + "/" + certname))
	return Point(binary.BigEndian.Uint64(sum[:Digits/2]))
}

// ParsePoint reads a position: 16 lower-case hex digits.
func ParsePoint(u string) (Point, error) {
	n, err := strconv.ParseUint(u, 16, 64)
	if err != nil || string(fromUint(n)) != u {
		return 0, fmt.Errorf("position %q: expected %d lower-case hex digits", u, Digits)
	}
	return Point(n), nil
}

// String is the position.
func (u Point) String() string { return string(fromUint(uint64(u))) }

// Above is the smallest threshold that still admits the node at u.
func (u Point) Above() Threshold {
	if u == 1<<64-1 {
		return All
	}
	return fromUint(uint64(u) + 1)
}

// AllBelow counts the points, which are sorted, that a threshold admits. One that is none admits nobody.
func AllBelow(points []Point, t Threshold) int {
	if t == All {
		return len(points)
	}
	limit, err := ParsePoint(string(t))
	if err != nil {
		return 0
	}
	n, _ := slices.BinarySearch(points, limit)
	return n
}
