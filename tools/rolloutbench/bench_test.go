package main

import (
	"testing"
	"time"
)

// TestWholeRollouts plays a few of both kinds to their end: good ones get through without a person in most cases and are not
// taken back, a change that breaks every node never gets beyond a hundredth of the fleet.
func TestWholeRollouts(t *testing.T) {
	b := bench{seed: 1}
	for i, w := range worlds[1:4] {
		ends := b.play(w, none, 1_000, 5, uint64(i), planFor(1_000))
		if back, held := count(ends, ending.back), count(ends, ending.waits); back > 1 || held > 2 {
			t.Errorf("%s: of 5 good changes %d were taken back, %d held", w.name, back, held)
		}
	}
	for _, e := range b.play(worlds[1], effects[len(effects)-1], 1_000, 8, 99, planFor(1_000)) {
		if !e.backedOut || e.exposed > 10 {
			t.Errorf("a change that breaks everything: %+v", e)
		}
	}
}

// TestDeafRollouts go on after they were taken back: what does nothing is certified, what breaks a third never would be.
func TestDeafRollouts(t *testing.T) {
	b, p := bench{seed: 2}, planFor(1_000)
	p.through, p.deaf, p.patience = true, true, 3*time.Hour
	good := b.play(worlds[1], none, 1_000, 4, 1, p)
	bad := b.play(worlds[1], effect{name: "a third", fails: .3, shared: true}, 1_000, 4, 2, p)
	for k := range good {
		if g := good[k]; g.backedOut || g.held || !g.certified || !g.excluded {
			t.Errorf("a change that does nothing: %+v", g)
		}
		if e := bad[k]; !e.backedOut || e.certified || e.excluded || e.took < 6*time.Hour {
			t.Errorf("a change that breaks a third: %+v", e)
		}
	}
}

// TestTheSameSeedTheSameTable: whatever the cores do.
func TestTheSameSeedTheSameTable(t *testing.T) {
	b := bench{seed: 7}
	play := func() []ending { return b.play(worlds[0], effects[4], 500, 6, 0, planFor(500)) }
	if x, y := play(), play(); len(x) != 6 {
		t.Fatal(len(x))
	} else {
		for i := range x {
			if x[i] != y[i] {
				t.Errorf("%+v, then %+v", x[i], y[i])
			}
		}
	}
}

// TestPlansKeepToTheGrowth: a clean pass admits at most four times what is exposed, and no pass is certified that cannot be.
func TestPlansKeepToTheGrowth(t *testing.T) {
	for _, n := range []int{16, 50, 200, 499, 500, 1_000, 2_000, 4_999, 5_000, 20_000, 100_000} {
		p := planFor(n)
		if len(p.targets) != len(p.certified) {
			t.Fatalf("%d nodes: %+v", n, p)
		}
		for k, target := range p.targets {
			last := 0
			if k > 0 {
				last = p.targets[k-1]
			}
			if target <= last || target > n || k > 0 && !p.certified[k-1] && n >= 500 && target-last > 4*last {
				t.Errorf("%d nodes: %+v", n, p)
			}
		}
	}
}

// TestContest: all rules see the same rollouts, stop those with an effect that nobody could miss, and few others.
func TestContest(t *testing.T) {
	b := bench{seed: 3}
	for _, e := range []effect{{name: "a tenth", fails: .1, shared: true}, none} {
		all := spread(b, worlds[1], e, 5_000, 8, 5, func(f *fleet) [rules]found { return contest(f, planFor(5_000)) })
		for rule, name := range ruleNames {
			stopped := count(all, func(x [rules]found) bool { return x[rule].exposed > 0 })
			if rule != kayentaRule && (e.fails > 0 && stopped != 8 || e.fails == 0 && stopped > 2) {
				t.Errorf("%s, %s: %d of 8", e.name, name, stopped)
			}
		}
	}
}
