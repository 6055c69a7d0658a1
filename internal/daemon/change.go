package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/analyzer"
	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/internal/enc"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// change is what one look is about to write: everything in one transaction, or nothing.
type change struct {
	leader   *leader
	snap     *tree.Snapshot
	now      time.Time
	reading  flags.Reading
	latched  flags.Latched
	halt     string
	evidence map[string]analyzer.Evidence
	samples  map[string][]sampled // of SLIs, by rollout

	floor    uint64 // the next generation is above this one
	repair   bool   // the manifest in the store is not the one to keep
	specs    []gate.Spec
	unvetoed map[string]bool
	orders   map[string][]gate.Order // by rollout
	lifts    map[string]func()       // cut-outs that people take back, by rollout/veto/ID: to be called when it is done
	requests []store.Op
	entries  []tree.AuditEntry
}

// repairable looks for damage. A manifest that was torn, emptied or edited is written again; anything else that cannot
// be read keeps everything as it is, for a person to mend. A store that is behind its edges is a restored one.
func (c *change) repairable() error {
	c.evidence, c.unvetoed, c.lifts = map[string]analyzer.Evidence{}, map[string]bool{}, map[string]func(){}
	c.orders = map[string][]gate.Order{}
	var rest []string
	for _, d := range c.snap.Damaged {
		if strings.HasPrefix(d, tree.ManifestKey+":") {
			c.repair = true
			continue
		}
		rest = append(rest, d)
	}
	if !c.repair {
		rest = append(rest, c.movedTracks()...)
	}
	for _, r := range c.snap.Rollouts {
		if p := r.State.Phase; p != gate.Waiting && !p.Active() && !p.Ended() { // of a newer program, or written by hand
			rest = append(rest, fmt.Sprintf("%s: phase %q is not known to this program", tree.StateKey(r.Spec.Name), p))
		}
	}
	if len(rest) > 0 {
		return fmt.Errorf("the store is damaged: %s", strings.Join(rest, "; "))
	}
	ahead, host := uint64(0), ""
	for _, e := range c.snap.Edges {
		if e.Epoch == c.snap.Init.Epoch && e.Generation > ahead {
			ahead, host = e.Generation, e.Host
		}
	}
	if c.repair {
		last := c.leader.lastDocument
		if last.Generation == 0 && ahead == 0 {
			return fmt.Errorf("the store is damaged: %s, and neither this leader nor any edge knows the last generation", strings.Join(c.snap.Damaged, "; "))
		}
		c.floor = max(last.Generation, ahead)
		c.snap.Document = last
		c.snap.Document.Epoch, c.snap.Document.Generation = c.snap.Init.Epoch, c.floor
		c.audit(gate.Event{Kind: "repaired", Text: strings.Join(c.snap.Damaged, "; ") + ": written again", By: "sluice", Index: -1}, "", "")
		return nil
	}
	if last := c.leader.lastDocument; last.Epoch == c.snap.Init.Epoch && last.Generation > ahead {
		ahead, host = last.Generation, "" // the edges' reports were restored with the rest: this leader remembers
	}
	if ahead > c.snap.Document.Generation {
		c.floor = ahead
		c.leader.sets.have = map[string]segments.Set{} // what was written since the snapshot is not there any more
		who := "edge " + host + " has"
		if host == "" {
			who = "this leader wrote"
		}
		c.halt = fmt.Sprintf("%s generation %d, the store has %d: the store was restored from before; a person must confirm that (sluice confirm-restore)", who, ahead, c.snap.Document.Generation)
		return nil
	}
	c.leader.lastDocument = c.snap.Document
	return nil
}

// movedTracks lists tracks that are not where the document in force has them: both move in one transaction, so that
// somebody else moved one of them.
func (c *change) movedTracks() []string {
	var out []string
	for _, t := range c.snap.Document.Tracks {
		switch have := c.snap.Track(t.Name); {
		case have == nil:
			out = append(out, tree.TrackKey(t.Name)+": missing, although the document names it")
		case have.Baseline != t.Baseline:
			out = append(out, fmt.Sprintf("%s: baseline %s, the document in force says %s", tree.TrackKey(t.Name), have.Baseline, t.Baseline))
		}
	}
	return out
}

// takeRequests reads what people asked for.
func (c *change) takeRequests() {
	taken := 0
	for _, id := range enc.SortedKeys(c.snap.Requests) {
		r := c.snap.Requests[id]
		if r.Refused != "" || taken == mostNoted {
			continue
		}
		taken++
		if why := c.take(id, r); why != "" {
			r.Refused = why
			if r.Start != nil {
				r.Start.Parameters = nil // a refused request may have been too large to be kept
			}
			data, err := json.Marshal(r)
			if err != nil {
				continue
			}
			c.requests = append(c.requests, store.CAS(tree.RequestKey(id), data, c.snap.Versions[tree.RequestKey(id)]))
			c.audit(gate.Event{Kind: "refused", Rollout: r.Rollout, Text: why, By: r.By, Index: -1}, "", "")
		}
	}
}

// take carries a request out, or says why not.
func (c *change) take(id string, r tree.Request) string {
	done := func() {
		c.requests = append(c.requests, store.DeleteCAS(tree.RequestKey(id), c.snap.Versions[tree.RequestKey(id)]))
	}
	switch r.Kind {
	case tree.RequestStart:
		return c.start(r, done)
	case tree.RequestUnveto:
		if r.Veto != "" {
			return c.lift(r, done)
		}
		target := c.snap.Rollout(r.Rollout)
		if target == nil || target.State.Phase != gate.BackedOut {
			return "there is no backed-out rollout " + r.Rollout
		}
		target.State.Unvetoed = true
		c.unvetoed[r.Rollout] = true
		c.audit(gate.Event{Kind: "unvetoed", Rollout: r.Rollout, Text: r.Reason, By: r.By, Index: -1}, "", "")
		done()
	case tree.RequestPromote, tree.RequestSkip:
		return c.order(r, done)
	case tree.RequestConfirmRestore:
		if c.halt == "" {
			return "the store is not behind any edge"
		}
		c.halt, c.repair = "", true
		c.audit(gate.Event{Kind: "restore_confirmed", Text: r.Reason, By: r.By, Index: -1}, "", "")
		done()
	default:
		return fmt.Sprintf("unknown kind %q", r.Kind)
	}
	return ""
}

// order hands a person's order to the decision. The request stays until the rollout's state says so.
func (c *change) order(r tree.Request, done func()) string {
	target := c.snap.Rollout(r.Rollout)
	if target == nil {
		return "there is no rollout " + r.Rollout
	}
	o := gate.Order{Skip: r.Stage, By: r.By, Reason: r.Reason}
	if r.Kind == tree.RequestPromote {
		o = gate.Order{Promote: &gate.Promotion{Stage: r.Stage, By: r.By, Reason: r.Reason, At: r.At}, By: r.By, Reason: r.Reason}
	}
	if why := target.State.Refuse(o, &target.Spec.Schedule); why != "" {
		return why
	}
	if _, another := c.orders[r.Rollout]; another {
		return "" // one at a look
	}
	c.orders[r.Rollout] = []gate.Order{o}
	c.lifts[r.Rollout+"/order"] = done
	return ""
}

// lift takes a cut-out back. The request stays until the rollout's state says so.
func (c *change) lift(r tree.Request, done func()) string {
	target, source := c.snap.Rollout(r.Rollout), gate.CapCutOut+"/"+r.Veto
	switch {
	case target == nil || target.State.Phase.Ended():
		return "there is no rollout " + r.Rollout + " under way"
	case slices.ContainsFunc(c.snap.Vetoes, func(v gate.Veto) bool { return v.ID == r.Veto }):
		return tree.VetoKey(r.Veto) + " still cuts the nodes out: delete it first (sluice unveto does)"
	case !slices.ContainsFunc(target.State.Caps, func(k gate.Cap) bool { return k.Standing() && k.Source() == source }):
		return fmt.Sprintf("no nodes are cut out of %s by %s", r.Rollout, r.Veto)
	}
	c.lifts[r.Rollout+"/"+source] = func() {
		c.audit(gate.Event{Kind: "unvetoed", Rollout: r.Rollout, Text: source + ": " + r.Reason, By: r.By, Index: -1}, "", "")
		done()
	}
	return ""
}

func (c *change) start(r tree.Request, done func()) string {
	if c.snap.Rollout(r.Rollout) != nil {
		return "a rollout of that name exists; names are never used twice"
	}
	if c.halt != "" {
		return c.halt
	}
	if r.Start == nil {
		return "the request says nothing to start"
	}
	track := c.snap.Track(r.Start.Track)
	if track == nil {
		return fmt.Sprintf("track %q is not in the store (sluice init makes tracks)", r.Start.Track)
	}
	for _, v := range c.snap.Vetoes {
		if v.Environment != "" && v.Environment == r.Start.Environment {
			return fmt.Sprintf("%s is vetoed by %s (%s): sluice unveto %s", v.Environment, v.By, v.Comment, v.Environment)
		}
	}
	for _, o := range c.snap.Rollouts {
		same := o.Spec.Track == track.Name && o.Spec.Candidate == r.Start.Environment && reflect.DeepEqual(o.Spec.Parameters, r.Start.Parameters)
		if same && o.State.Phase == gate.BackedOut && !o.State.Unvetoed {
			return fmt.Sprintf("%s was backed out by rollout %s (%s) and is vetoed: sluice unveto %s", named(r.Start), o.Spec.Name, o.State.Reason, o.Spec.Name)
		}
		if same && !o.State.Phase.Ended() {
			return fmt.Sprintf("rollout %s is under way with the same change", o.Spec.Name)
		}
	}
	spec, err := freeze(c.leader.site.cfg, r.Rollout, r, track.Baseline, c.now)
	if err != nil {
		return err.Error()
	}
	if why := c.tooLarge(spec); why != "" {
		return why
	}
	c.specs = append(c.specs, spec)
	c.snap.Rollouts = append(c.snap.Rollouts, tree.Rollout{Spec: spec})
	c.audit(gate.Event{Kind: "queued", Rollout: spec.Name, Track: spec.Track, Text: spec.Reason, By: spec.By, Index: -1}, "", "")
	done()
	return ""
}

// named is a change in words.
func named(s *tree.Start) string {
	if s.Environment != "" {
		return s.Environment
	}
	return "parameters " + strings.Join(enc.SortedKeys(s.Parameters), ", ")
}

// tooLarge refuses a rollout that would not fit into the store, or would leave no room in the document for others.
func (c *change) tooLarge(spec gate.Spec) string {
	whole, err := json.Marshal(spec)
	if err != nil {
		return err.Error()
	}
	params, err := json.Marshal(spec.Parameters)
	if err != nil {
		return err.Error()
	}
	doc, err := json.Marshal(c.snap.Document)
	if err != nil {
		return err.Error()
	}
	switch {
	case len(params) > mostParameters:
		return fmt.Sprintf("its parameters have %d bytes, at most %d can go to every edge", len(params), mostParameters)
	case len(whole) > mostSpec:
		return fmt.Sprintf("with its schedule, segments and policy it has %d bytes, at most %d fit into the store: keep lists of certnames in PQL or selectors", len(whole), mostSpec)
	case len(doc)+len(params) > mostManifest:
		return fmt.Sprintf("the document has %d bytes already, at most %d fit: let other rollouts end first", len(doc), mostManifest)
	}
	return ""
}

// apply writes what was decided: one transaction, fenced by the lease, with every key checked against the version that
// the decision was made of. The evidence is kept before it, by decide.
func (c *change) apply(ctx context.Context, d gate.Decision, tracks map[string]*tracked) error {
	for _, key := range slices.Sorted(maps.Keys(c.lifts)) {
		name, _, _ := strings.Cut(key, "/")
		if _, changed := d.States[name]; changed {
			c.lifts[key]()
		}
	}
	ops := c.requests
	for _, s := range c.specs {
		ops = append(ops, put(tree.SpecKey(s.Name), s, 0))
		if _, changed := d.States[s.Name]; !changed {
			ops = append(ops, put(tree.StateKey(s.Name), gate.State{}, 0))
		}
	}
	c.states(d, &ops)
	for i := range d.Tracks {
		t := tracks[d.Tracks[i].Name]
		if moved := t.Baseline != d.Tracks[i].Baseline || !reflect.DeepEqual(t.Parameters, d.Tracks[i].Parameters); moved || t.changed {
			t.Baseline, t.Parameters = d.Tracks[i].Baseline, d.Tracks[i].Parameters
			ops = append(ops, put(tree.TrackKey(t.Name), t.Track, c.snap.Versions[tree.TrackKey(t.Name)]))
		}
	}
	published, err := c.publish(ctx, d, &ops)
	if err != nil {
		return err
	}
	c.flagChanges(&ops)
	head, err := c.chain(&ops)
	if err != nil {
		return err
	}
	if len(ops) == 0 {
		return nil
	}
	if err := c.leader.store.Txn(ctx, append([]store.Op{c.leader.lease.Check()}, ops...)...); err != nil {
		return err
	}
	c.snap.Audit = head
	if published {
		c.leader.published()
		c.leader.lastDocument = c.snap.Document
	}
	for _, e := range c.entries {
		c.leader.log.Info().Str("kind", e.Kind).Str("rollout", e.Rollout).Str("stage", e.Stage).Str("by", e.By).Msg(e.Text)
	}
	if err := c.leader.appendAudit(ctx, head); err != nil {
		c.leader.log.Warn().Err(err).Msg("the audit is not in the local file yet") // the next look begins with it
	}
	return nil
}

// states writes the states that changed, and the audit of why.
func (c *change) states(d gate.Decision, ops *[]store.Op) {
	for i := range c.snap.Rollouts {
		r := &c.snap.Rollouts[i]
		name := r.Spec.Name
		next, changed := d.States[name]
		if !changed {
			if c.unvetoed[name] { // the only change a request makes to a state
				*ops = append(*ops, put(tree.StateKey(name), r.State, c.snap.Versions[tree.StateKey(name)]))
			}
			continue
		}
		for _, e := range d.Events {
			if e.Rollout == name {
				c.audit(e, describe(r.State), describe(next))
			}
		}
		*ops = append(*ops, put(tree.StateKey(name), next, c.snap.Versions[tree.StateKey(name)]))
		r.State = next
	}
}

func describe(s gate.State) string {
	if i := s.Current(); i >= 0 && !s.Phase.Ended() {
		return fmt.Sprintf("%s, stage %s, threshold %s", s.Phase, s.Stages[i].Name, s.Stages[i].Threshold)
	}
	return s.Phase.String()
}

// publish writes a document when it says something new, when the one in the store is not whole, and now and then
// to keep the edges' allowance small.
func (c *change) publish(ctx context.Context, d gate.Decision, ops *[]store.Op) (bool, error) {
	if !d.Republish && !c.repair && c.now.Sub(c.snap.Document.Written) < gate.KeepAlive {
		return false, nil
	}
	doc := d.Document
	doc.Epoch, doc.Written = c.snap.Init.Epoch, c.now
	doc.Generation = max(c.snap.Document.Generation, c.floor) + 1
	if c.halt != "" && !c.repair {
		return false, nil // the edges would refuse it, and a person has to look first
	}
	for digest := range doc.Sets {
		if _, before := c.snap.Document.Sets[digest]; !before {
			if err := c.leader.ensureSet(ctx, digest); err != nil {
				return false, err
			}
		}
	}
	data, err := enc.Encode(doc)
	if err != nil {
		return false, err
	}
	*ops = append(*ops, store.CAS(tree.ManifestKey, data, c.snap.Versions[tree.ManifestKey]))
	c.snap.Document = doc
	return true, nil
}

// flagChanges notes in the audit what people wrote since the last look.
func (c *change) flagChanges(ops *[]store.Op) {
	seen := c.snap.Stops.Seen
	keys := slices.Sorted(maps.Keys(c.snap.Flags))
	for k := range seen {
		if _, ok := c.snap.Flags[k]; !ok {
			keys = append(keys, k)
		}
	}
	next := tree.Stops{Latched: c.living(), Seen: maps.Clone(seen)}
	if next.Seen == nil {
		next.Seen = map[string]string{}
	}
	noted := 0
	for _, k := range keys {
		value, there := c.snap.Flags[k]
		old, was := seen[k]
		if c.dead(k) {
			delete(next.Seen, k)
			continue
		}
		if there == was && value == old || noted == mostNoted {
			continue // the rest at the next look: a transaction holds 64 operations
		}
		noted++
		if next.Seen[k] = value; !there {
			delete(next.Seen, k)
		}
		text := fmt.Sprintf("flags/%s = %q", k, value)
		if !there {
			text = fmt.Sprintf("flags/%s is gone; that ends no stop", k)
		}
		name, _, nested := strings.Cut(k, "/")
		if !nested {
			name = ""
		}
		c.audit(gate.Event{Kind: "flag", Rollout: name, Text: text, By: "consul-kv (unverified)", Index: -1}, "", "")
	}
	next.Asked = c.askedChanges(noted)
	a, _ := json.Marshal(next)
	b, _ := json.Marshal(c.snap.Stops)
	if string(a) != string(b) {
		*ops = append(*ops, put(tree.StopsKey, next, c.snap.Versions[tree.StopsKey]))
	}
}

// mostNoted is how many flags, and how many requests, one look deals with: with the changes of gate.Decide they fit into
// one transaction.
const mostNoted = 3

// Sizes that a start request may have, so that no key outgrows the store: its parameters go to every edge.
const (
	mostSpec       = 48_000
	mostParameters = 4_000
	mostManifest   = 80_000
)

// dead says whether a flag is of a rollout that has ended.
func (c *change) dead(key string) bool {
	name, _, nested := strings.Cut(key, "/")
	r := c.snap.Rollout(name)
	return nested && r != nil && r.State.Phase.Ended()
}

// living are the stops in force, without those of rollouts that have ended.
func (c *change) living() flags.Latched {
	l := flags.Latched{Freeze: c.latched.Freeze, Pause: maps.Clone(c.latched.Pause), BackOut: maps.Clone(c.latched.BackOut)}
	for i := range c.snap.Rollouts {
		if r := &c.snap.Rollouts[i]; r.State.Phase.Ended() {
			delete(l.Pause, r.Spec.Name)
			delete(l.BackOut, r.Spec.Name)
		}
	}
	return l
}

func (c *change) audit(e gate.Event, before, after string) {
	entry := tree.AuditEntry{At: c.now, Kind: e.Kind, Rollout: e.Rollout, Track: e.Track, Stage: e.Stage, Index: e.Index, By: e.By, Text: e.Text, Before: before, After: after}
	if e.Verdict != nil {
		entry.Result, entry.Evidence = e.Verdict.Result.String(), e.Verdict.Evidence
	}
	c.entries = append(c.entries, entry)
}

// chain seals the entries and moves the head, in the same transaction as what they speak of.
func (c *change) chain(ops *[]store.Op) (tree.AuditHead, error) {
	head := c.snap.Audit
	for i := range c.entries {
		next, err := c.entries[i].Chain(head)
		if err != nil {
			return head, err
		}
		head = next
		line, err := json.Marshal(c.entries[i])
		if err != nil {
			return head, err
		}
		// Set, not CAS: the head is what is checked, and a line that hangs on no head must not block the next one.
		*ops = append(*ops, store.Set(tree.AuditKey(head.Seq), line))
		if head.Seq > tree.AuditKept {
			*ops = append(*ops, store.Delete(tree.AuditKey(head.Seq-tree.AuditKept)))
		}
	}
	if len(c.entries) > 0 {
		*ops = append(*ops, put(tree.AuditHeadKey, head, c.snap.Versions[tree.AuditHeadKey]))
	}
	return head, nil
}

// put writes v under key if the key is as it was read; version 0 creates it.
func put(key string, v any, version uint64) store.Op {
	data, err := json.Marshal(v)
	if err != nil { // the types above always marshal
		panic(fmt.Sprintf("%s: %v", key, err))
	}
	return store.CAS(key, data, version)
}

// matcherOf reads the selector of a hold or veto, which may be known to be unreadable already.
func matcherOf(text, wrong string) (func(*node) bool, error) {
	if wrong != "" {
		return nil, fmt.Errorf("%s", wrong)
	}
	s, err := selector.Parse(text)
	if err != nil {
		return nil, err
	}
	return func(n *node) bool { return s.Matches(n.attributes()) }, nil
}
