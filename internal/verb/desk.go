package verb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/words"
)

// Desk is where a verb is carried out.
type Desk struct {
	Store store.Store
	Snap  *tree.Snapshot // nil where it cannot be read: only what stops goes on then
	Who   string         // the name for the audit; who reaches the desk has proven it
	Now   func() time.Time
	Say   func(line string) // what it means, a line each; nil is nobody
}

// run is one verb under way.
type run struct {
	*Desk
	Ask
	ctx  context.Context
	verb string
	out  Outcome
}

func (r *run) say(format string, args ...any) {
	if r.Say != nil {
		r.Say(fmt.Sprintf(format, args...))
	}
}

func (r *run) who() string { return words.OneLine(r.Who) }

// flagged finds a rollout whose flags still count. nil without an error: it is there, and cannot be read.
func (r *run) flagged(field, name string) (*tree.Rollout, error) {
	found, err := r.known(field, name)
	if err != nil || found == nil {
		return found, err
	}
	return found, r.alive(found)
}

// known finds a rollout by name, whatever it is doing.
func (r *run) known(field, name string) (*tree.Rollout, error) {
	if !schedule.ValidName(name) {
		return nil, wrong(field, "%s: %q is no name of a rollout (lower-case letters, digits, - and _)", r.verb, name)
	}
	if r.Snap == nil {
		return nil, nil
	}
	found := r.Snap.Rollout(name)
	if found == nil && !slices.Contains(Rollouts(r.Snap), name) {
		return nil, NoRollout(r.Snap, field, name)
	}
	return found, nil
}

// alive refuses a verb that has no meaning in the phase of a rollout.
func (r *run) alive(found *tree.Rollout) error {
	phase := found.State.Phase
	if e, known := gate.EffectOf(r.verb, phase); known && e.Refused != "" {
		return phased(found, e)
	}
	if e, _ := gate.EffectOf("pause", phase); phase.Ended() {
		return phased(found, e)
	}
	return nil
}

func phased(found *tree.Rollout, e gate.Effect) error {
	name, phase := found.Spec.Name, found.State.Phase
	return in(phase, of(name, refused("%s is %s since %s: %s", name, phase, words.UTC(found.State.Since), strings.ReplaceAll(e.Refused, "NAME", name))))
}

// whole finds a rollout that has not ended and can be read.
func (r *run) whole(field, name string) (*tree.Rollout, error) {
	found, err := r.flagged(field, name)
	if err == nil && found == nil {
		err = r.cannotRead(name)
	}
	return found, err
}

func (r *run) cannotRead(name string) error {
	return of(name, unreadable("rollouts/%s cannot be read: %s", name, strings.Join(r.Snap.Damaged, "; ")))
}

// NoRollout says that there is no rollout of that name, and which may have been meant. field is where the name stands.
func NoRollout(snap *tree.Snapshot, field, name string) error {
	if g, gone := snap.Gone[name]; gone {
		return missing(field, "no rollout %q any more: %s", name, g)
	}
	names := Rollouts(snap)
	if len(names) == 0 {
		return missing(field, "no rollout %q: there is none at all", name)
	}
	if meant := words.Near(name, names); len(meant) > 0 {
		return missing(field, "no rollout %q%s", name, words.DidYouMean(meant))
	}
	return missing(field, "no rollout %q; there are %s", name, words.Some(names, len(names)))
}

// Rollouts are the names in the store, the newest first, those with a damaged spec last: people must be able to stop
// these too.
func Rollouts(snap *tree.Snapshot) []string {
	var names []string
	for i := range snap.Rollouts {
		names = append(names, snap.Rollouts[i].Spec.Name)
	}
	slices.Reverse(names)
	var damaged []string
	for key := range snap.Versions {
		if name, _, ok := tree.RolloutOf(key); ok && snap.Rollout(name) == nil && !slices.Contains(damaged, name) {
			damaged = append(damaged, name)
		}
	}
	slices.Sort(damaged)
	return append(names, damaged...)
}

// Stops are the stops in force as an edge sees them: what has latched, and flags that the leader may not have seen yet.
func Stops(snap *tree.Snapshot) flags.Latched {
	return flags.Latch(snap.Stops.Latched, flags.Read(snap.Flags), snap.Document.Generation, func(name string) uint64 {
		if r := snap.Document.Rollout(name); r != nil {
			return r.Unvetoed
		}
		return 0
	})
}

// set writes keys, all or none, and looks whether they are there where the store's answer was lost.
func (r *run) set(ops ...store.Op) error {
	err := r.Store.Txn(r.ctx, ops...)
	if !errors.Is(err, store.ErrUnavailable) {
		return err
	}
	for _, op := range ops {
		e, readErr := r.Store.Get(r.ctx, op.Key)
		if readErr != nil || !bytes.Equal(e.Value, op.Value) {
			return fmt.Errorf("%s may not have been written, say it again: %w", op.Key, err)
		}
	}
	return nil
}

func (r *run) setJSON(key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return r.set(store.Set(key, data))
}

// toggle is the value of a flag: the word that counts, and who and why for people.
func (r *run) toggle(word string) []byte {
	return fmt.Appendf(nil, "%s by=%s: %s", word, r.who(), r.Reason)
}
