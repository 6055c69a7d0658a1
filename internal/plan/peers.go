package plan

import (
	"slices"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/segments"
)

// part is what nodes of one kind are in a stage.
type part uint8

const (
	elsewhere part = iota // not in its segment
	even                  // compared: in most of them earlier stages went as far
	uneven                // in them earlier stages of other segments went further, or less far
)

// parts gives, by kind, what the leader takes nodes for when stage i begins and the ones before it are full.
func (f *fleet) parts(state *gate.State, i int) []part {
	r := gate.ReachedBefore(state, i)
	places, sizes := make([]int32, len(f.kinds)), map[segments.Threshold]int{}
	for k := range f.kinds {
		places[k] = r.Place("", func(set string) bool { return f.kinds[k].in[slices.Index(f.segments, set)] })
		if places[k] != gate.Elsewhere {
			sizes[r.Threshold(places[k])] += f.kinds[k].nodes
		}
	}
	peers, out := r.Peers(sizes), make([]part, len(f.kinds))
	for k, place := range places {
		switch {
		case r.Compares(place, peers):
			out[k] = even
		case place != gate.Elsewhere:
			out[k] = uneven
		}
	}
	return out
}
