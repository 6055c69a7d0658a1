package walk

import "github.com/openinfrastructure/sluice/segments"

// pointOf reads a position that the walk has made itself.
func pointOf(u string) segments.Point {
	p, err := segments.ParsePoint(u)
	if err != nil {
		panic(err)
	}
	return p
}
