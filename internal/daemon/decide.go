package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/internal/store"
)

// decide lets gate decide. Where the decision could not be written down, with its evidence, before it is carried out,
// nothing goes forward; what has to be taken back is taken back all the same.
func (c *change) decide(ctx context.Context, w gate.World) (gate.Decision, error) {
	err := c.writable(ctx)
	if errors.Is(err, store.ErrUnavailable) {
		return gate.Decision{}, err
	}
	if err == nil {
		d := gate.Decide(w)
		if err = c.keep(d, w); err == nil {
			return d, nil
		}
	}
	w.Sources.Fresh = false
	w.Sources.Reasons = append(slices.Clone(w.Sources.Reasons), "decisions cannot be written down: "+err.Error())
	return gate.Decide(w), nil
}

// writable brings the local audit up to the store's, and tries whether more could be written.
func (c *change) writable(ctx context.Context) error {
	if err := c.leader.appendAudit(ctx, c.snap.Audit); err != nil {
		return err
	}
	dir := c.leader.site.cfg.Controller.StateDir
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "audit.jsonl"), os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	return f.Close()
}

// keep stores the evidence of every rollout that is to move, before it does. A back-out does not wait for that.
func (c *change) keep(d gate.Decision, w gate.World) error {
	var errs []error
	for i := range w.Rollouts {
		r := &w.Rollouts[i]
		next, changed := d.States[r.Spec.Name]
		e, judged := c.evidence[r.Spec.Name]
		if !changed || !judged || len(next.Stages) == len(r.State.Stages) && next.Phase == r.State.Phase {
			continue
		}
		if err := keepEvidence(c.leader.site.cfg.Controller.StateDir, e, r.Verdict.Evidence); err != nil && next.Phase != gate.BackedOut {
			errs = append(errs, fmt.Errorf("evidence of rollout %s: %w", r.Spec.Name, err))
		}
	}
	return errors.Join(errs...)
}
