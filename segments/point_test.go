package segments

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPoint: a point sorts, admits and reads as its position does.
func TestPoint(t *testing.T) {
	edge := rapid.OneOf(rapid.SampledFrom([]uint64{0, 1, 1<<64 - 1, 1<<63 - 1, 1 << 63}), rapid.Uint64())
	rapid.Check(t, func(t *rapid.T) {
		a, b := Point(edge.Draw(t, "a")), Point(edge.Draw(t, "b"))
		if (a < b) != (a.String() < b.String()) {
			t.Fatalf("%s and %s sort otherwise", a, b)
		}
		if back, err := ParsePoint(a.String()); err != nil || back != a || len(a.String()) != Digits {
			t.Fatalf("%s was read as %s: %v", a, back, err)
		}
		if up := a.Above(); !up.Admits(a.String()) || up != All && up.Admits((a+1).String()) || (up == All) != (a == 1<<64-1) {
			t.Fatalf("above %s is %s", a, up)
		}
		name := rapid.String().Draw(t, "name")
		if got, want := PointOf("salt", name).String(), Position("salt", name); got != want {
			t.Fatalf("%s, expected %s", got, want)
		}
		points := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Point { return Point(edge.Draw(t, "point")) })).Draw(t, "points")
		slices.Sort(points)
		for _, limit := range []Threshold{b.Above(), Threshold(b.String()), All, None, "", "7", "ALL"} {
			want := 0
			for _, u := range points {
				if _, err := ParseThreshold(string(limit)); err == nil && limit.Admits(u.String()) {
					want++
				}
			}
			if got := AllBelow(points, limit); got != want {
				t.Fatalf("%d of %v below %q, expected %d", got, points, limit, want)
			}
		}
	})
	for _, bad := range []string{"", "7", "000000000000000g", "000000000000000A", "all", "00000000000000000", "+00000000000000f"} {
		if u, err := ParsePoint(bad); err == nil {
			t.Errorf("%q was read as %s", bad, u)
		}
	}
}
