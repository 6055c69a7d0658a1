package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// Names of requests beside those of rollouts.
const (
	unvetoPrefix     = "unveto-"
	confirmRestoreID = "confirm-restore"
)

func requestOp(id string, r tree.Request, version uint64) (store.Op, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return store.Op{}, fmt.Errorf("request %s: %w", id, err)
	}
	return store.CAS(tree.RequestKey(id), data, version), nil
}

// await waits until the leader has taken a request up, at most wait. A refusal and the lack of a leader are errors
// with their own exit codes; the request stays.
func await(ctx context.Context, s store.Store, id string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	changed, join := changes(ctx, s, "requests/")
	defer join()
	defer cancel()
	for {
		e, err := s.Get(ctx, tree.RequestKey(id))
		switch {
		case errors.Is(err, store.ErrNotFound):
			return nil
		case err == nil:
			var r tree.Request
			if err := json.Unmarshal(e.Value, &r); err != nil {
				return fmt.Errorf("%s: %w", tree.RequestKey(id), err)
			}
			if r.Refused != "" {
				return refused("the leader refused: %s", r.Refused)
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
func (w *writing) queued(wait time.Duration) error {
	ctx, cancel := context.WithTimeout(w.ctx, 10*time.Second)
	defer cancel()
	return &exitError{ExitTimeout, fmt.Sprintf("queued: no leader took it up within %s (%s); it stays queued", wait, leaderLine(ctx, w.store))}
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
		return "nobody leads since " + utc(h.Since)
	}
	return fmt.Sprintf("the last to lead is %s, since %s", h.Who, utc(h.Since))
}

// hand waits for the leader, unless wait is 0.
func (w *writing) hand(id string, wait time.Duration) (taken bool, err error) {
	if wait == 0 {
		w.say("queued for the leader (%s)", leaderLine(w.ctx, w.store))
		return false, nil
	}
	err = await(w.ctx, w.store, id, wait)
	switch {
	case w.ctx.Err() != nil:
		return false, errors.New("interrupted; the request stays queued")
	case errors.Is(err, context.DeadlineExceeded):
		return false, w.queued(wait)
	}
	return err == nil, err
}

func waitFlag(c *cobra.Command, wait *time.Duration) {
	c.Flags().DurationVar(wait, "wait", 30*time.Second, "wait so long for the leader; 0 = do not wait")
}

func (p *program) unvetoCommand() *cobra.Command {
	var wait time.Duration
	var where string
	c := p.writes(&cobra.Command{
		Use: "unveto NAME", Short: "Allow a backed-out change to be started again", Args: args(cobra.ExactArgs(1)),
		Long: `unveto releases the back-out flag and asks the leader to lift the veto. Nothing starts by it: start the change again,
under a new name. With --where it gives the change back to nodes that were cut out; with an environment that was vetoed, it ends that.`,
		Example: `  sluice unveto production_8f3c2d1a --reason "it was the disk, not the change"
  sluice unveto production_8f3c2d1a --where '{enc.datacenter="fra1"}' --reason "switches are back"`,
		ValidArgsFunction: p.completeRollouts,
	}, false, func(w *writing, args []string) error {
		if wait < 0 {
			return usage("unveto: --wait %s: expected 0 or more", wait)
		}
		name := args[0]
		if where != "" {
			return w.unvetoPart(name, where, wait)
		}
		if done, err := w.unvetoEnvironment(name); done {
			return err
		}
		if err := w.mayUnveto(name); err != nil {
			return err
		}
		// Both at once: the leader lifts no veto while a flag says back out.
		id := unvetoPrefix + name
		release := store.Set(tree.FlagKey(name, "backout"), w.toggle("false"))
		if err := w.put(id, tree.Request{Kind: tree.RequestUnveto, Rollout: name}, release); err != nil {
			return err
		}
		taken, err := w.hand(id, wait)
		if taken {
			w.say("the veto of %s is lifted; its change may be started again under a new name.", name)
		}
		return err
	})
	c.Flags().StringVar(&where, "where", "", "give the change back to nodes that were cut out: the selector of the cut-out, or its ID")
	waitFlag(c, &wait)
	return c
}

func (w *writing) mayUnveto(name string) error {
	if !schedule.ValidName(name) {
		return usage("unveto: %q is no name of a rollout (lower-case letters, digits, - and _)", name)
	}
	r := w.snap.Rollout(name)
	switch {
	case r == nil:
		return noRollout(w.snap, name)
	case r.State.Unvetoed:
		return refused("the veto of %s is lifted already", name)
	case r.State.Phase == gate.BackedOut:
		return nil
	case stopsOf(w.snap).BackedOut(name):
		// Releasing the flag now could undo the stop at an edge that has not seen it.
		return refused("%s is being backed out: the leader has not recorded it yet", name)
	}
	return refused("%s: it is not backed out, it is %s", name, r.State.Phase)
}

func (p *program) confirmRestoreCommand() *cobra.Command {
	var wait time.Duration
	c := p.writes(&cobra.Command{
		Use: "confirm-restore", Short: "Say that the store was restored on purpose", Args: args(cobra.NoArgs),
		Long: `confirm-restore tells a leader that stands still because an edge is ahead of the store (a restored snapshot) that the
store is right. Look at "sluice list" before: what was decided after the snapshot is lost.`,
		Example: `  sluice confirm-restore --reason "Consul was restored from Tuesday's snapshot"`,
	}, false, func(w *writing, _ []string) error {
		if wait < 0 {
			return usage("confirm-restore: --wait %s: expected 0 or more", wait)
		}
		if err := w.put(confirmRestoreID, tree.Request{Kind: tree.RequestConfirmRestore}); err != nil {
			return err
		}
		taken, err := w.hand(confirmRestoreID, wait)
		if taken {
			w.say("the leader takes the store for right and goes on.")
		}
		return err
	})
	waitFlag(c, &wait)
	return c
}
