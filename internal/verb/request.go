package verb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/internal/words"
)

// Names of requests beside those of rollouts.
const (
	unvetoPrefix     = "unveto-"
	promotePrefix    = "promote-"
	skipPrefix       = "skip-"
	revertPrefix     = "revert-"
	ConfirmRestoreID = "confirm-restore"
)

// leave leaves a request for the leader, and writes what goes with it. A request that was refused gives way, one
// that waits does not.
func (r *run) leave(id string, q tree.Request, with ...store.Op) error {
	q.By, q.Reason, q.At = r.Who, r.Reason, r.Now().UTC().Truncate(time.Millisecond)
	if was, ok := r.Snap.Requests[id]; ok && was.Refused == "" {
		return refused("%s: %s asked for it already, at %s; it waits for a leader", id, was.By, words.UTC(was.At))
	}
	data, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("request %s: %w", id, err)
	}
	if err := r.set(append(with, store.CAS(tree.RequestKey(id), data, r.Snap.Versions[tree.RequestKey(id)]))...); err != nil {
		return err
	}
	r.out.Request = id
	return nil
}

// hand waits for the leader as long as was asked, and says done when it took the request up.
func (r *run) hand(done string, args ...any) error {
	wait, err := r.wait(r.verb)
	if err != nil {
		return err
	}
	if wait == 0 {
		r.say("queued for the leader (%s)", leaderLine(r.ctx, r.Store))
		return nil
	}
	err = await(r.ctx, r.Store, r.out.Request, wait)
	switch {
	case r.ctx.Err() != nil:
		return errors.New("interrupted; the request stays queued")
	case errors.Is(err, context.DeadlineExceeded):
		return r.queued(wait)
	case err != nil:
		return err
	}
	r.out.Taken = true
	if done != "" {
		r.say(done, args...)
	}
	return nil
}

// await waits until the leader has taken a request up, at most wait. A refusal and the lack of a leader are errors
// of their own kinds; the request stays.
func await(ctx context.Context, s store.Store, id string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	changed, join := store.Changes(ctx, s, "requests/")
	defer join()
	defer cancel()
	for {
		e, err := s.Get(ctx, tree.RequestKey(id))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err == nil:
			var q tree.Request
			if err := json.Unmarshal(e.Value, &q); err != nil {
				return fmt.Errorf("%s: %w", tree.RequestKey(id), err)
			}
			if q.Refused != "" {
				return refused("the leader refused: %s", q.Refused)
			}
		case !errors.Is(err, store.ErrUnavailable):
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// queued explains why nobody took a request up.
func (r *run) queued(wait time.Duration) error {
	ctx, cancel := context.WithTimeout(r.ctx, 10*time.Second)
	defer cancel()
	return &Error{Kind: Queued, format: "queued: no leader took it up within %s (%s); it stays queued", args: []any{wait, leaderLine(ctx, r.Store)}}
}

// leaderLine says what the leader key says. After a crash it names the one that was.
func leaderLine(ctx context.Context, s store.Store) string {
	e, err := s.Get(ctx, tree.LeaderKey)
	if errors.Is(err, store.ErrNotFound) {
		return "no sluiced has ever led here"
	}
	if err != nil {
		return "who leads cannot be read: " + err.Error()
	}
	h, err := store.ParseHolder(e.Value)
	switch {
	case err != nil:
		return err.Error()
	case h.Who == "":
		return "nobody leads since " + words.UTC(h.Since)
	}
	return fmt.Sprintf("the last to lead is %s, since %s", h.Who, words.UTC(h.Since))
}

func (r *run) unveto() error {
	name := r.Name
	if r.Where != "" {
		return r.unvetoPart(name, r.Where)
	}
	if done, err := r.unvetoEnvironment(name); done {
		return err
	}
	if err := r.mayUnveto(name); err != nil {
		return err
	}
	// Both at once: the leader lifts no veto while a flag says back out.
	release := store.Set(tree.FlagKey(name, "backout"), r.toggle("false"))
	if err := r.leave(unvetoPrefix+name, tree.Request{Kind: tree.RequestUnveto, Rollout: name}, release); err != nil {
		return err
	}
	return r.hand("the veto of %s is lifted; its change may be started again under a new name.", name)
}

func (r *run) mayUnveto(name string) error {
	if !schedule.ValidName(name) {
		return wrong("name", "unveto: %q is no name of a rollout (lower-case letters, digits, - and _)", name)
	}
	found := r.Snap.Rollout(name)
	if found == nil {
		return NoRollout(r.Snap, "name", name)
	}
	switch phase := found.State.Phase; {
	case found.State.Unvetoed:
		return of(name, refused("the veto of %s is lifted already", name))
	case phase == gate.BackedOut:
		return nil
	case Stops(r.Snap).BackedOut(name):
		// Releasing the flag now could undo the stop at an edge that has not seen it.
		return of(name, refused("%s is being backed out: the leader has not recorded it yet", name))
	default:
		return in(phase, of(name, refused("%s: it is not backed out, it is %s", name, phase)))
	}
}

func (r *run) confirmRestore() error {
	if err := r.leave(ConfirmRestoreID, tree.Request{Kind: tree.RequestConfirmRestore}); err != nil {
		return err
	}
	return r.hand("the leader takes the store for right and goes on.")
}
