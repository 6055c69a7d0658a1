package enc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/segments"
)

var t0 = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// edge drives Accept the way a puppetserver does.
type edge struct {
	t     testing.TB
	state State
	now   time.Time
	tree  map[string]string
	sets  map[string]segments.Set
	limit Limit
	stop  bool
	last  Outcome
}

func newEdge(t testing.TB) *edge {
	return &edge{t: t, now: t0, tree: map[string]string{}, sets: map[string]segments.Set{}, limit: Limit{Nodes: 1e9}}
}

func (e *edge) accept(manifest []byte) Outcome {
	e.last = Accept(e.state, Input{
		Manifest: manifest, Flags: flags.Read(e.tree), Limit: e.limit, Stop: e.stop, Now: e.now,
		Set: func(digest string, count int) ([]byte, error) {
			s, ok := e.sets[digest]
			if !ok {
				return nil, errors.New("set " + digest + " is not here")
			}
			return s.Data, segments.CheckSet(digest, count, s.Data)
		},
	})
	e.state = e.last.State
	for digest, data := range e.last.Sets {
		e.sets[digest] = segments.Set{Digest: digest, Count: len(data) / segments.LineWidth, Data: data}
	}
	return e.last
}

func (e *edge) publish(d segments.Document) Outcome {
	e.t.Helper()
	m, err := Encode(d)
	if err != nil {
		e.t.Fatal(err)
	}
	return e.accept(m)
}

func (e *edge) environment(certname string) string {
	e.t.Helper()
	backed := map[string]bool{}
	for name := range e.state.Stops.BackOut {
		backed[name] = true
	}
	d, err := segments.Decide(&e.state.Effective, segments.Stops{BackedOut: backed}, "production", certname,
		func(digest, print string) (bool, error) {
			s := e.sets[digest]
			return segments.Contains(strings.NewReader(string(s.Data)), int64(len(s.Data)), print)
		})
	if err != nil {
		e.t.Fatal(err)
	}
	return d.Environment
}

// on counts who of 1000 nodes has the candidate.
func (e *edge) on() int {
	n := 0
	for i := range 1000 {
		if e.environment(fmt.Sprintf("n%d", i)) != "old" {
			n++
		}
	}
	return n
}

func published(generation uint64, stages ...segments.Stage) segments.Document {
	d := segments.Document{
		Format: segments.Format, Epoch: "e1", Generation: generation, Written: t0,
		Tracks: []segments.Track{{Name: "production", Baseline: "old", Nodes: 1000}},
	}
	if stages != nil {
		d.Rollouts = []segments.Rollout{{Name: "ntp", Track: "production", Candidate: "new", Stages: stages}}
	}
	return d
}

func everyone(parts uint64) segments.Stage {
	return segments.Stage{Name: "everyone", Threshold: segments.FromShare(parts)}
}

const percent = segments.Billion / 100

func TestManifestRoundTripAndDamage(t *testing.T) {
	m, err := Encode(published(3, everyone(5*percent)))
	if err != nil {
		t.Fatal(err)
	}
	if d, _, err := Decode(m); err != nil || d.Generation != 3 {
		t.Fatalf("%+v %v", d, err)
	}
	if len(m) > 300+220 {
		t.Errorf("a document with one rollout has %d bytes", len(m))
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "blank": []byte(" \n"), "torn": m[:len(m)-9], "torn early": m[:20], "no digest": []byte(`{"format":1}`),
		"twice": append(append([]byte{}, m...), m...), "edited": []byte(strings.Replace(string(m), `"generation":3`, `"generation":4`, 1)),
		"html": []byte("<html>502 Bad Gateway</html>"),
	} {
		if _, _, err := Decode(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Invariant 5: whatever arrives instead of a newer good document changes no node's answer.
func TestBadDocumentsChangeNothing(t *testing.T) {
	good, _ := Encode(published(5, everyone(20*percent)))
	other := published(9, everyone(90*percent))
	other.Epoch = "e2"
	moved := published(9, everyone(90*percent))
	moved.Rollouts[0].Candidate = "evil"
	salted := published(9, everyone(90*percent))
	salted.Rollouts[0].Salt = "x"
	missing := published(9, segments.Stage{Name: "s", Set: strings.Repeat("a", 32), Threshold: segments.All})
	missing.Sets = map[string]int{strings.Repeat("a", 32): 3}
	trackless := published(9)
	trackless.Tracks[0].Name = "other"
	enc := func(d segments.Document) []byte { m, err := Encode(d); must(t, err); return m }
	for name, c := range map[string]struct {
		manifest []byte
		refused  string
	}{
		"nothing":              {nil, "empty"},
		"torn":                 {good[:len(good)/2], "torn"},
		"older":                {enc(published(4, everyone(90*percent))), "older"},
		"same generation":      {enc(published(5, everyone(90*percent))), "another content"},
		"another epoch":        {enc(other), "epoch"},
		"another candidate":    {enc(moved), "frozen when it starts"},
		"another salt":         {enc(salted), "frozen when it starts"},
		"a set nobody has":     {enc(missing), "is not here"},
		"the track is missing": {enc(trackless), "is gone"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			e.accept(good)
			before := e.on()
			out := e.accept(c.manifest)
			if !strings.Contains(out.Refused, c.refused) || out.Accepted {
				t.Errorf("refused %q, want %q in it", out.Refused, c.refused)
			}
			if after := e.on(); after != before || before == 0 {
				t.Errorf("%d nodes had the candidate, now %d", before, after)
			}
			// Stops act all the same, and the next good document is taken.
			e.tree["ntp/backout"] = "true"
			if e.accept(c.manifest); e.on() != 0 {
				t.Error("a back-out did not act beside a bad document")
			}
			if out := e.publish(published(10, everyone(90*percent))); out.Refused != "" || e.on() != 0 {
				t.Errorf("after it: refused %q, %d nodes", out.Refused, e.on())
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNeverAccepted(t *testing.T) {
	e := newEdge(t)
	out := e.accept(nil)
	if out.Refused == "" || e.state.Effective.Epoch != "" {
		t.Errorf("%+v", out)
	}
}

// Invariant 6: a large step is clamped, saved up for at most a day, and what nobody sees accrue is not there.
func TestSpeedLimit(t *testing.T) {
	e := newEdge(t)
	e.limit = DefaultLimit // 100 of 1000 nodes an hour
	e.publish(published(1))
	e.now = e.now.Add(time.Minute)
	e.publish(published(2, everyone(100*percent)))
	if n := e.on(); n < 80 || n > 125 { // an hour's worth: the first document was a minute ago
		t.Fatalf("%d of 1000 nodes at once", n)
	}
	share := func() float64 { return e.state.Effective.Rollouts[0].Stages[0].Threshold.Share() }
	same, _ := Encode(published(2, everyone(100*percent)))
	for i := range 8 {
		before := share()
		e.now = e.now.Add(30 * time.Minute)
		e.accept(same)
		if got := share() - before; got < .049 || got > .051 {
			t.Fatalf("half hour %d: %+.4f of the fleet", i, got)
		}
	}
	before := share()
	e.now = e.now.Add(-48 * time.Hour) // the clock jumps back: nothing
	e.accept(same)
	if share() != before {
		t.Error("a clock that jumped back moved nodes")
	}
	e.now = e.now.Add(1000 * time.Hour) // and far ahead: a day's worth at most, here enough for all
	e.accept(same)
	if e.last.State.Saved > 24*100 {
		t.Errorf("%v nodes saved", e.last.State.Saved)
	}
}

func TestConnectedEdgeSavesAnHour(t *testing.T) {
	e := newEdge(t)
	e.limit = DefaultLimit
	for g := uint64(1); g < 50; g++ { // a quiet day with a keep-alive generation every half hour
		e.publish(published(g))
		e.now = e.now.Add(30 * time.Minute)
	}
	e.publish(published(50, everyone(100*percent)))
	if n := e.on(); n > 125 {
		t.Errorf("%d of 1000 nodes at once after a quiet day", n)
	}
}

func TestForceIsForOneGeneration(t *testing.T) {
	e := newEdge(t)
	e.limit = Limit{Nodes: 1}
	e.publish(published(1))
	e.now = e.now.Add(time.Minute)
	e.tree["force"] = "2"
	e.publish(published(2, everyone(50*percent)))
	if n := e.on(); n < 400 {
		t.Errorf("forced generation moved %d", n)
	}
	n := e.on()
	e.publish(published(3, everyone(100*percent)))
	if e.on() > n+30 {
		t.Errorf("the next generation moved %d more", e.on()-n)
	}
}

func TestPauseHoldsThresholds(t *testing.T) {
	for _, how := range []string{"pause", "freeze", "stop"} {
		t.Run(how, func(t *testing.T) {
			e := newEdge(t)
			e.publish(published(1, everyone(10*percent)))
			before := e.on()
			switch how {
			case "pause":
				e.tree["ntp/pause"] = "true"
			case "freeze":
				e.tree["freeze"] = "maybe"
			case "stop":
				e.stop = true
			}
			e.publish(published(2, everyone(100*percent)))
			if e.on() != before || len(e.last.Clamped) == 0 {
				t.Fatalf("went from %d to %d, clamped %v", before, e.on(), e.last.Clamped)
			}
			e.tree, e.stop = map[string]string{}, false // everything about it vanishes
			e.publish(published(3, everyone(100*percent)))
			if e.on() != before && how != "stop" {
				t.Fatalf("an absent flag let it go on")
			}
			e.publish(published(4, everyone(5*percent))) // back is always allowed
			if e.on() >= before {
				t.Fatal("a stop slowed a move back")
			}
			e.tree = map[string]string{"ntp/pause": "false", "freeze": "false"}
			if e.publish(published(5, everyone(100*percent))); e.on() != 1000 {
				t.Fatalf("after the release: %d", e.on())
			}
		})
	}
}

func TestBackOutLatchesUntilUnveto(t *testing.T) {
	e := newEdge(t)
	e.publish(published(1, everyone(100*percent)))
	e.tree["ntp/backout"] = "true"
	e.publish(published(1, everyone(100*percent)))
	if e.on() != 0 {
		t.Fatal("not backed out")
	}
	e.tree = map[string]string{} // Consul is restored from before the flag
	if e.publish(published(2, everyone(100*percent))); e.on() != 0 {
		t.Fatal("a vanished flag undid a back-out")
	}
	d := published(3, everyone(30*percent))
	d.Rollouts[0].Unvetoed = 3
	e.tree["ntp/backout"] = "false"
	if e.publish(d); e.on() < 200 {
		t.Fatalf("after the unveto: %d", e.on())
	}
}

// An edge that was cut off over the end of a rollout reaches the new baseline by itself, within its limit.
func TestBaselineMoves(t *testing.T) {
	finished := func(g uint64) segments.Document {
		d := published(g)
		d.Tracks[0].Baseline = "new"
		return d
	}
	e := newEdge(t)
	e.publish(published(1, everyone(100*percent)))
	if e.publish(finished(2)); e.on() != 1000 || e.state.Effective.Tracks[0].Baseline != "new" {
		t.Fatalf("accepted for everyone, then the baseline: %d on it", e.on())
	}
	for name, first := range map[string]segments.Document{"knew the rollout": published(1, everyone(10*percent)), "never heard of it": published(1)} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			e.publish(first)
			before := e.on()
			e.limit, e.state.Saved, e.now = DefaultLimit, 0, e.now.Add(time.Hour)
			e.publish(finished(7))
			if n := e.on(); n < before+50 || n > before+150 || e.state.Effective.Tracks[0].Baseline != "old" {
				t.Fatalf("from %d to %d nodes", before, n)
			}
			same, _ := Encode(finished(7))
			for range 11 {
				e.now = e.now.Add(time.Hour)
				e.accept(same)
			}
			if e.state.Effective.Tracks[0].Baseline != "new" || e.on() != 1000 {
				t.Errorf("never got there: %d", e.on())
			}
		})
	}
	t.Run("backed out here", func(t *testing.T) {
		e := newEdge(t)
		e.publish(published(1, everyone(100*percent)))
		e.tree["ntp/backout"] = "true"
		e.publish(finished(2))
		if e.on() != 0 {
			t.Errorf("%d nodes have a change that was backed out here", e.on())
		}
	})
}

func TestSetsGrowWithinTheLimit(t *testing.T) {
	e := newEdge(t)
	e.limit = Limit{Nodes: 10}
	small, big := segments.NewSet([]string{"n1", "n2"}), segments.NewSet(func() (all []string) {
		for i := range 500 {
			all = append(all, fmt.Sprintf("n%d", i))
		}
		return
	}())
	e.sets[small.Digest], e.sets[big.Digest] = small, big
	with := func(g uint64, s segments.Set) segments.Document {
		d := published(g, segments.Stage{Name: "canary", Set: s.Digest, Threshold: segments.All})
		d.Sets = map[string]int{s.Digest: s.Count}
		return d
	}
	e.publish(with(1, small))
	if e.on() != 2 {
		t.Fatalf("%d", e.on())
	}
	e.now = e.now.Add(time.Minute)
	if e.publish(with(2, big)); e.on() != 2 || len(e.last.Clamped) != 1 {
		t.Fatalf("%d nodes, clamped %v", e.on(), e.last.Clamped)
	}
	delete(e.sets, small.Digest) // the disk loses the set in force: no answer may change
	e.now = e.now.Add(100 * time.Hour)
	before := e.state.Effective
	if out := e.accept(nil); out.Refused == "" || out.State.Effective.Rollouts[0].Stages[0] != before.Rollouts[0].Stages[0] {
		t.Errorf("%+v", out)
	}
}

func TestLiftedCapIsAMoveForward(t *testing.T) {
	e := newEdge(t)
	held := published(1, everyone(100*percent))
	held.Rollouts[0].Caps = []segments.Cap{{ID: "h1", Limit: segments.FromShare(percent)}}
	e.publish(held)
	before := e.on()
	e.limit, e.state.Saved, e.now = DefaultLimit, 0, e.now.Add(time.Hour)
	e.publish(published(2, everyone(100*percent)))
	if n := e.on(); n < before+50 || n > before+150 {
		t.Errorf("lifting a hold moved %d nodes at once", n-before)
	}
}

// A cap whose set grows keeps more nodes and gives none: it costs no allowance. One that lost a member gives that one.
func TestGrownCapLiftsNobody(t *testing.T) {
	e := newEdge(t)
	e.limit = Limit{Nodes: 300}
	names := func(from, to int) (out []string) {
		for i := from; i < to; i++ {
			out = append(out, fmt.Sprintf("n%d", i))
		}
		return out
	}
	small, large, other := segments.NewSet(names(0, 400)), segments.NewSet(names(0, 500)), segments.NewSet(names(100, 500))
	for _, s := range []segments.Set{small, large, other} {
		e.sets[s.Digest] = s
	}
	with := func(generation uint64, s segments.Set) segments.Document {
		d := published(generation, segments.Stage{Name: "everyone", Threshold: segments.All})
		d.Rollouts[0].Caps = []segments.Cap{{ID: "hold/fra1", Set: s.Digest, Limit: segments.None}}
		d.Sets = map[string]int{s.Digest: s.Count}
		return d
	}
	e.publish(with(1, small))
	if n := e.on(); n != 600 {
		t.Fatalf("%d have it under the cap, want 600", n)
	}
	saved := 300.0 // an hour's worth: what a connected edge keeps
	e.publish(with(2, large))
	if n := e.on(); n != 500 || e.state.Saved < saved {
		t.Errorf("%d have it under the larger cap, %g of %g nodes saved", n, e.state.Saved, saved)
	}
	e.now = e.now.Add(time.Second)
	e.state.Saved = 0
	e.publish(with(3, other))
	if n := e.on(); n > 501 {
		t.Errorf("%d have it: a smaller set gave the change past the speed limit", n)
	}
}

// Against any sequence of documents, flags and clock jumps: within a step no more nodes go forward than
// the allowance, and a node backed out stays back.
func TestAcceptKeepsItsInvariants(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := newEdge(t)
		e.limit = DefaultLimit
		e.publish(published(1))
		generation := uint64(1)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			e.now = e.now.Add(time.Duration(rapid.IntRange(-120, 180).Draw(rt, "minutes")) * time.Minute)
			generation += uint64(rapid.IntRange(-1, 2).Draw(rt, "generation"))
			if rapid.Bool().Draw(rt, "flag") {
				e.tree[rapid.SampledFrom([]string{"ntp/pause", "ntp/backout", "freeze"}).Draw(rt, "key")] = rapid.SampledFrom([]string{"true", "false", "", "x"}).Draw(rt, "value")
			}
			before, saved := shareOf(e.state), e.state.Saved
			was := e.state
			d := published(max(1, generation), everyone(rapid.Uint64Range(0, 100).Draw(rt, "percent")*percent))
			e.publish(d)
			gained := 1000 * (shareOf(e.state) - before)
			allowed := DefaultLimit.accrue(was, 1000, e.now)
			if gained > allowed+1e-6 {
				rt.Fatalf("%.1f nodes forward with %.1f allowed (%.1f saved before)", gained, allowed, saved)
			}
			if was.Stops.BackedOut("ntp") && e.on() != 0 {
				rt.Fatal("a backed-out change came back")
			}
		}
	})
}

func shareOf(s State) float64 {
	if len(s.Effective.Rollouts) == 0 || s.Effective.Rollouts[0].BackedOut {
		return 0
	}
	return s.Effective.Rollouts[0].Stages[0].Threshold.Share()
}

func TestDecodeFlags(t *testing.T) {
	tree, err := DecodeFlags([]byte("\"ntp/pause\" \"true\"\n\"freeze\" \"a \\\"b\\\"\\n\"\nend\n"))
	if err != nil || tree["ntp/pause"] != "true" || tree["freeze"] != "a \"b\"\n" {
		t.Errorf("%v %v", tree, err)
	}
	tree, err = DecodeFlags([]byte("\"ntp/pause\" \"true\"\n\"ntp/backo"))
	if err == nil || tree["ntp/pause"] != "true" {
		t.Errorf("torn: %v %v", tree, err)
	}
}

func FuzzDecode(f *testing.F) {
	m, _ := Encode(published(3, everyone(5*percent)))
	f.Add(m)
	f.Fuzz(func(t *testing.T, data []byte) {
		d, digest, err := Decode(data)
		if err == nil && (d.Validate() != nil || digest == "") {
			t.Fatal("decoded a document that is not valid")
		}
	})
}

func FuzzDecodeFlags(f *testing.F) {
	f.Add([]byte("\"a\" \"b\"\nend\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tree, _ := DecodeFlags(data)
		flags.Read(tree)
	})
}
