package daemon

import (
	"context"
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
		ops = append(ops, tree.Put(tree.SpecKey(s.Name), s, 0))
		if _, changed := d.States[s.Name]; !changed {
			ops = append(ops, tree.Put(tree.StateKey(s.Name), gate.State{}, 0))
		}
	}
	c.states(d, &ops)
	for i := range d.Tracks {
		t := tracks[d.Tracks[i].Name]
		if moved := t.Baseline != d.Tracks[i].Baseline || !reflect.DeepEqual(t.Parameters, d.Tracks[i].Parameters); moved || t.changed {
			t.Baseline, t.Parameters = d.Tracks[i].Baseline, d.Tracks[i].Parameters
			ops = append(ops, tree.Put(tree.TrackKey(t.Name), t.Track, c.snap.Versions[tree.TrackKey(t.Name)]))
		}
	}
	if len(ops) == 0 && len(c.snap.Damaged) == 0 && c.halt == "" {
		c.letGo(&ops)
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
	turned := false // one page of the past at a look
	write := func(r *tree.Rollout, next gate.State) {
		written := c.snap.PutState(r, next, !turned)
		turned = turned || len(written) > 1
		*ops = append(*ops, written...)
	}
	for i := range c.snap.Rollouts {
		r := &c.snap.Rollouts[i]
		name := r.Spec.Name
		next, changed := d.States[name]
		if !changed {
			if c.unvetoed[name] { // the only change a request makes to a state
				write(r, r.State)
			}
			continue
		}
		for _, e := range d.Events {
			if e.Rollout == name {
				c.audit(e, describe(r.State), describe(next))
			}
		}
		write(r, next)
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
