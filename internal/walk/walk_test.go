package walk

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

var (
	steps = flag.Int("walk.steps", 30_000, "steps of the random walk")
	short = flag.Bool("walk.shrink", true, "make a failing walk as short as it gets")
	seed  = flag.Uint64("walk.seed", 1, "seed of the first episode")
)

// How many steps are drawn before a new site is made: of every second episode fewer, because it ends in peace.
const (
	episode = 1500
	restive = 1000
)

// troubled is the weight below which a kind of op counts as trouble.
const troubled = 14

// opsOf draws an episode. Two of three are calm for the most part, so that rollouts come to their end.
func opsOf(seed uint64) []op {
	r := rand.New(rand.NewPCG(seed, 5))
	trouble := []float64{1, .3, .1}[seed%3]
	ops := make([]op, episode)
	if seed%2 == 0 {
		ops = ops[:restive]
	}
	for i := range ops {
		ops[i] = draw(r)
		for kinds[ops[i].kind].weight < troubled && r.Float64() > trouble {
			ops[i] = draw(r)
		}
	}
	return ops
}

// play takes the steps and says what broke, after how many. Peace comes after them, in a model without a fault.
func play(ops []op, mutation string, peace bool) (failed string, n int, w *world) {
	w = newWorld(mutation)
	for i, o := range ops {
		kinds[o.kind].do(w, o.a, o.b)
		if w.failed != "" {
			return w.failed, i + 1, w
		}
	}
	w.count()
	if n = len(ops); peace && mutation == "" {
		n += w.calm()
	}
	return w.failed, n, w
}

type played struct {
	seed uint64
	ops  []op
}

// The walk: verbs and events in any order, and the invariants after every step.
func TestWalk(t *testing.T) {
	work := make(chan played)
	var mu sync.Mutex
	reached, count := map[string]int{}, 0
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 2) {
		group.Go(func() {
			for e := range work {
				failed, n, w := play(e.ops, "", e.seed%2 == 0)
				mu.Lock()
				count += n
				for key, k := range w.did {
					reached[key] += k
				}
				mu.Unlock()
				if failed != "" {
					show(t, e.seed, failed, "")
				}
			}
		})
	}
	episodes := 0
	for planned := 0; planned < *steps && !t.Failed(); episodes++ {
		e := played{seed: *seed + uint64(episodes)}
		e.ops = opsOf(e.seed)
		planned += len(e.ops)
		work <- e
	}
	close(work)
	group.Wait()
	t.Logf("%d steps in %d episodes: %v", count, episodes, reached)
	for _, key := range []string{"completed", "backed_out", "superseded", "stages", "waiting", "running", "promoted", "promoted, settling", "skipped", "reverts", "reverts begun"} {
		if reached[key] == 0 && !t.Failed() {
			t.Errorf("no rollout came to %q: the walk looks at too little", key)
		}
	}
}

// count notes how far rollouts have come.
func (w *world) count() {
	for i := range w.kv.rollouts {
		s := &w.kv.rollouts[i].state
		w.did[s.Phase.String()]++
		w.did["stages"] += len(s.Stages)
	}
}

// Every fault that is put into the model on purpose is found, so that finding none means something.
func TestWalkFindsFaults(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for s := range uint64(400) {
				failed, n, _ := play(opsOf(1000+s), m.name, false)
				if failed == "" {
					continue
				}
				t.Logf("found in episode %d after %d steps: %s", s+1, n, failed)
				if invariant, _, _ := strings.Cut(failed, ":"); !slices.Contains(strings.Split(m.breaks, ", "), invariant) {
					t.Errorf("it is told by another invariant than %s", m.breaks)
				}
				return
			}
			t.Errorf("%s: not found in 400 episodes", m.what)
		})
	}
}
