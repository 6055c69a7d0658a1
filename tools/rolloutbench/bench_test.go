package main

import "testing"

// TestWholeRollouts plays a few of both kinds to their end: good ones get through without a person in most cases and are not
// taken back, a change that breaks every node never gets beyond a hundredth of the fleet.
func TestWholeRollouts(t *testing.T) {
	b := bench{nodes: 1_000, seed: 1}
	for i, w := range worlds[1:4] {
		ends := b.play(w, none, 5, uint64(i)<<32)
		if back, held := count(ends, ending.back), count(ends, ending.waits); back > 1 || held > 2 {
			t.Errorf("%s: of 5 good changes %d were taken back, %d held", w.name, back, held)
		}
	}
	for _, e := range b.play(worlds[1], effects[len(effects)-1], 8, 99<<32) {
		if !e.backedOut || e.exposed > 10 {
			t.Errorf("a change that breaks everything: %+v", e)
		}
	}
}

// TestTheSameSeedTheSameTable: whatever the cores do.
func TestTheSameSeedTheSameTable(t *testing.T) {
	b := bench{nodes: 500, seed: 7}
	if x, y := b.play(worlds[0], effects[4], 6, 0), b.play(worlds[0], effects[4], 6, 0); len(x) != 6 {
		t.Fatal(len(x))
	} else {
		for i := range x {
			if x[i] != y[i] {
				t.Errorf("%+v, then %+v", x[i], y[i])
			}
		}
	}
}
