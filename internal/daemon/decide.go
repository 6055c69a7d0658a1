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
func (c *change) decide(ctx context.Context, w *gate.World) (gate.Decision, error) {
	err := c.writable(ctx)
	if errors.Is(err, store.ErrUnavailable) {
		return gate.Decision{}, err
	}
	if err == nil {
		d := gate.Decide(*w)
		var named bool
		if named, err = c.keep(d, w); err == nil && named {
			d = gate.Decide(*w) // the same, with the evidence named
		}
		if err == nil {
			return d, nil
		}
	}
	for i := range w.Rollouts { // what could not be written down is not named either
		if v := &w.Rollouts[i].Verdict; v.Evidence == unwritten {
			v.Evidence = ""
		}
	}
	w.Sources.Fresh = false
	w.Sources.Reasons = append(slices.Clone(w.Sources.Reasons), "decisions cannot be written down: "+err.Error())
	return gate.Decide(*w), nil
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

// unwritten stands for the digest of evidence until it is known that something rests on it: at a million nodes it takes
// longer than all the rest of a look.
const unwritten = "unwritten"

// restsOn says whether a state names evidence that is not written.
func restsOn(s gate.State) bool {
	return s.Verdict != nil && s.Verdict.Evidence == unwritten ||
		slices.ContainsFunc(s.Stages, func(st gate.StageState) bool { return st.Verdict == unwritten })
}

// keep stores the evidence of every rollout that is to move, before it does, and names it in the verdict. A back-out does
// not wait for that.
func (c *change) keep(d gate.Decision, w *gate.World) (named bool, err error) {
	var errs []error
	for i := range w.Rollouts {
		r := &w.Rollouts[i]
		next, changed := d.States[r.Spec.Name]
		e, judged := c.evidence[r.Spec.Name]
		moves := len(next.Stages) != len(r.State.Stages) || next.Phase != r.State.Phase || restsOn(next)
		if !changed || !judged || !moves {
			continue
		}
		digest, err := keepEvidence(c.leader.site.cfg.Controller.StateDir, e)
		if err != nil && next.Phase != gate.BackedOut {
			errs = append(errs, fmt.Errorf("evidence of rollout %s: %w", r.Spec.Name, err))
			continue
		}
		if err != nil {
			digest, _ = e.WriteCanonical(nil)
		}
		r.Verdict.Evidence, named = digest, true
	}
	return named, errors.Join(errs...)
}
