package walk

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math/bits"
	"reflect"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/segments"
)

var limit = enc.Limit{Nodes: 3, Share: .10}

func (w *world) set(e *edge) func(string, int) ([]byte, error) {
	return func(digest string, count int) ([]byte, error) {
		s, ok := w.sets[digest]
		if !ok || e.setsGone || s.Count != count {
			return nil, errors.New("set " + digest + " cannot be had")
		}
		return s.Data, nil
	}
}

// keep writes down a set that an edge has made of others.
func (w *world) keep(digest string, data []byte) {
	m := mask(0)
	for i, n := range w.nodes {
		held, err := segments.Contains(bytes.NewReader(data), int64(len(data)), n.print)
		if err != nil {
			w.fail("bad documents change nothing", "a set that an edge made cannot be read: %v", err)
		}
		if held {
			m |= 1 << i
		}
	}
	w.sets[digest], w.members[digest] = segments.Set{Digest: digest, Count: bits.OnesCount32(m), Data: data}, m
}

// render is what consul-template leaves on a puppetserver.
func (w *world) render(e *edge, how int) {
	e.kind, e.manifest = "good", w.kv.manifest
	known := slices.ContainsFunc(w.kv.doc.Rollouts, func(r segments.Rollout) bool { return e.state.Published.Rollout(r.Name) != nil })
	if !known && (how == 4 || how == 5) { // an edge that never heard of any of it believes what it is told first
		how = 3
	}
	switch how {
	case 1:
		e.manifest = w.manifests[0]
		e.kind = "older"
	case 2:
		e.manifest, e.kind = w.kv.manifest[:len(w.kv.manifest)/2], "torn"
	case 3:
		e.manifest, e.kind = nil, "empty"
	case 4:
		e.manifest, e.kind = w.forged(func(d *segments.Document) { d.Epoch = "e2" }), "foreign"
	case 5:
		e.manifest, e.kind = w.forged(func(d *segments.Document) {
			for i := range d.Rollouts {
				d.Rollouts[i].Salt = "forged"
			}
		}), "salt"
	case 6:
		e.flags = &toggles{}
		return
	case 7:
		return // the flags of before
	}
	e.flags = w.kv.flags
}

// forged is a document that nobody published, of the generation that comes next.
func (w *world) forged(change func(*segments.Document)) []byte {
	d := w.kv.doc
	d.Rollouts = slices.Clone(d.Rollouts)
	d.Generation++
	change(&d)
	data, err := enc.Encode(d)
	if err != nil {
		panic(err)
	}
	return data
}

func (w *world) accept(e *edge) {
	prev := e.state
	now := w.now.Add(e.offset)
	in := enc.Input{Manifest: e.manifest, Flags: e.flags.read(), Limit: limit, Stop: e.stop, Now: now, Set: w.set(e)}
	from := prev
	switch w.mutation {
	case "edge takes older":
		from.Published.Generation = 0
	case "edge unlimited":
		in.Limit = enc.Limit{Nodes: 1e9}
		from.Saved = 1e9
	case "edge goes on paused":
		in.Flags.Freeze, in.Flags.Rollouts = flags.Released, map[string]*flags.Rollout{}
		from.Stops.Pause, from.Stops.Freeze = nil, nil
		in.Stop = false
	}
	out := enc.Accept(from, in)
	for digest, data := range out.Sets {
		w.keep(digest, data)
	}
	if w.mutation == "edge takes older" && !out.Accepted {
		out.State.Published = prev.Published
	}
	if w.mutation == "edge lifts caps" {
		for i := range out.State.Effective.Rollouts {
			out.State.Effective.Rollouts[i].Caps = nil
		}
	}
	if w.mutation == "empty document" && e.kind == "empty" {
		out.State.Effective.Rollouts = nil
	}
	e.state = out.State
	w.checkAccept(e, prev, in, out)
}

// report tells the store how the edge stands.
func (w *world) report(e *edge) {
	st := e.state
	g := gate.Edge{Host: e.host, At: w.now, Ready: st.Effective.Epoch != "", Generation: st.Published.Generation, Code: map[string]string{}}
	for _, d := range []segments.Document{st.Published, st.Effective} {
		for _, t := range d.Tracks {
			g.Code[t.Baseline] = "sig-" + t.Baseline
		}
		for _, r := range d.Rollouts {
			if r.Candidate != "" {
				g.Code[r.Candidate] = "sig-" + r.Candidate
			}
		}
	}
	for _, r := range st.Effective.Rollouts {
		if r.BackedOut || st.Stops.BackedOut(r.Name) {
			g.BackedOut = append(g.BackedOut, r.Name)
		}
	}
	if e.stop {
		g.Local = append(g.Local, "stop")
	}
	if e.baseline {
		g.Local = append(g.Local, "baseline")
	}
	w.kv.edges = maps.Clone(w.kv.edges)
	w.kv.edges[e.host] = report{edge: g, stops: st.Stops}
}

// restart reads the edge's state back from what it wrote.
func (w *world) restart(e *edge) {
	data, err := json.Marshal(e.state)
	if err != nil {
		panic(err)
	}
	var back enc.State
	if err := json.Unmarshal(data, &back); err != nil {
		w.fail("restart", "an edge cannot read its state: %v", err)
	}
	if w.mutation == "edge forgets stops" {
		back.Stops = flags.Latched{}
	}
	e.state = back
	if again := w.ask(e); e.answers != nil && !reflect.DeepEqual(again, e.answers) {
		w.fail("restart", "%s answers otherwise after a restart", e.host)
	}
}

// decide is a lookup of one node.
func (w *world) decide(e *edge, i int) (segments.Decision, error) {
	stops := segments.Stops{Baseline: e.baseline, BackedOut: map[string]bool{}}
	for name := range e.state.Stops.BackOut {
		stops.BackedOut[name] = true
	}
	return segments.Decide(&e.state.Effective, stops, track, w.nodes[i].name, func(digest, print string) (bool, error) { return w.in(digest, w.index[print]), nil })
}

// ask looks up every node: admissions by rollout and node.
func (w *world) ask(e *edge) map[string][]segments.Admission {
	out := map[string][]segments.Admission{}
	if e.state.Effective.Epoch == "" {
		return out
	}
	for i, n := range w.nodes {
		d, err := w.decide(e, i)
		if err != nil {
			w.fail("lookup", "%s: %v", n.name, err)
			return out
		}
		for _, a := range d.Rollouts {
			if out[a.Rollout] == nil {
				out[a.Rollout] = make([]segments.Admission, len(w.nodes))
			}
			out[a.Rollout][i] = a
		}
	}
	return out
}

// accrue is the oracle's own allowance, never smaller than the edge's: what time allows since the last document was accepted,
// an hour's worth at least, a day's at most, for the largest fleet there can be.
func (e *edge) accrue(now time.Time, prev *enc.State) {
	rate := max(limit.Nodes, limit.Share*mostNodes)
	most := rate * 24
	if prev.Published.Epoch == "" {
		e.bucket = most
	} else {
		e.bucket += rate * min(max(now.Sub(e.counted), 0).Hours(), 24)
		most = rate * min(max(now.Sub(prev.AcceptedAt).Hours(), 1), 24)
	}
	e.bucket, e.counted = min(e.bucket, most), now
}
