package verb

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/words"
	"github.com/openinfrastructure/sluice/segments/selector"
)

func (r *run) holdAdd() error {
	h := gate.Hold{ID: r.ID, Selector: r.Selector, By: r.who(), Comment: r.Reason}
	if err := checkHold(h.ID); err != nil {
		return err
	}
	if _, err := selector.Parse(h.Selector); err != nil {
		return wrong("selector", "hold add: %v", err)
	}
	var err error
	if h.Until, err = r.end("hold"); err != nil {
		return err
	}
	version, err := r.vacant(h.ID)
	if err != nil {
		return err
	}
	if err := r.putHold(h, version); err != nil {
		return err
	}
	r.say("hold %s stands until %s (in %s): nodes of %s go no further; the rest of each rollout goes on.", h.ID, words.UTC(h.Until), words.Age(h.Until.Sub(r.Now())), h.Selector)
	r.say("Nodes that are admitted already keep the change. Whom it keeps, or that it matches nobody: sluice hold list")
	r.say("To end it: sluice hold expire %s --reason ...", h.ID)
	return nil
}

func checkHold(id string) error {
	if !schedule.ValidName(id) {
		return wrong("id", "hold: %q is no ID of a hold (lower-case letters, digits, - and _)", id)
	}
	return nil
}

// vacant gives the version of the key under which a hold may be written: there is none, or one that has ended. Where
// the store cannot be read as a whole, only a new key is safe.
func (r *run) vacant(id string) (uint64, error) {
	if r.Snap == nil {
		return 0, nil
	}
	for _, h := range r.Snap.Holds {
		if h.ID == id && StateOf(h, r.Now()) != HoldExpired {
			return 0, refused("hold %s exists, of %s: give this one another ID, or end that one with sluice hold expire %s", id, words.OrUnknown(h.By), id)
		}
	}
	return r.Snap.Versions[tree.HoldKey(id)], nil
}

func (r *run) putHold(h gate.Hold, version uint64) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return r.set(store.CAS(tree.HoldKey(h.ID), data, version))
}

func (r *run) holdExpire() error {
	id := r.ID
	if err := checkHold(id); err != nil {
		return err
	}
	i := slices.IndexFunc(r.Snap.Holds, func(h gate.Hold) bool { return h.ID == id })
	if i < 0 {
		return missing("id", "there is no hold %s; see: sluice hold list", id)
	}
	h, now := r.Snap.Holds[i], r.Now()
	if StateOf(h, now) == HoldExpired {
		return refused("hold %s ended at %s", id, words.UTC(h.Until))
	}
	h.Until, h.Err = now.UTC().Truncate(time.Second), ""
	h.Ended = "by " + r.who() + ": " + r.Reason
	if err := r.putHold(h, r.Snap.Versions[tree.HoldKey(id)]); err != nil {
		return err
	}
	r.say("hold %s has ended: its nodes come back when every gate of their rollout is open.", id)
	return nil
}

// What a hold does now.
const (
	HoldStands     = "stands"
	HoldExpired    = "expired"
	HoldUnreadable = "unreadable"
)

// StateOf says what a hold does now.
func StateOf(h gate.Hold, now time.Time) string {
	_, err := selector.Parse(h.Selector)
	switch {
	case h.Err == "" && !h.Until.IsZero() && !now.Before(h.Until):
		return HoldExpired
	case h.Err != "" || err != nil:
		return HoldUnreadable
	}
	return HoldStands
}
