package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

// writing is one verb that changes something.
type writing struct {
	ctx         context.Context
	p           *program
	verb        string
	store       store.Store
	snap        *tree.Snapshot // nil where it cannot be read: only stops go on then
	who, reason string
	out, errOut io.Writer
}

// writes makes a command of a verb that needs a reason. A verb that stops goes on where the rest of the store
// cannot be read: stopping must not depend on it.
func (p *program) writes(c *cobra.Command, stops bool, do func(w *writing, args []string) error) *cobra.Command {
	var reason string
	c.Flags().StringVar(&reason, "reason", "", "why, one sentence for the audit (required)")
	c.RunE = func(c *cobra.Command, args []string) error {
		w := &writing{ctx: c.Context(), p: p, verb: strings.TrimPrefix(c.CommandPath(), "sluice "), reason: oneLine(reason), out: c.OutOrStdout(), errOut: c.ErrOrStderr()}
		if w.reason == "" {
			return usage("%s: --reason is required: why, one sentence for the audit", w.verb)
		}
		if len(w.reason) > maxReason {
			return usage("%s: --reason has %d bytes, at most %d fit", w.verb, len(w.reason), maxReason)
		}
		s, done, err := p.connect()
		if err != nil {
			return err
		}
		defer done()
		w.store = s
		if w.snap, err = tree.Read(w.ctx, s); err != nil {
			if !stops || errors.Is(err, tree.ErrNotInitialised) {
				return err
			}
			w.snap = nil
			fmt.Fprintln(w.errOut, "sluice: not everything can be read, so the name is not checked:", err)
		}
		w.who = p.who(w.ctx, s, w.errOut)
		return do(w, args)
	}
	return c
}

const maxReason = 2000

// oneLine makes one line of a text: a flag's value is one.
func oneLine(s string) string { return strings.Join(strings.Fields(safe(s)), " ") }

// flagged finds a rollout whose flags still count. nil without an error: it is there, and cannot be read.
func (w *writing) flagged(name string) (*tree.Rollout, error) {
	if !schedule.ValidName(name) {
		return nil, usage("%s: %q is no name of a rollout (lower-case letters, digits, - and _)", w.verb, name)
	}
	if w.snap == nil {
		return nil, nil
	}
	r := w.snap.Rollout(name)
	switch {
	case r == nil && slices.Contains(rolloutNames(w.snap), name):
		return nil, nil
	case r == nil:
		return nil, noRollout(w.snap, name)
	}
	if e, known := gate.EffectOf(w.verb, r.State.Phase); known && e.Refused != "" {
		return nil, w.refusedIn(r, e)
	}
	if e, _ := gate.EffectOf("pause", r.State.Phase); r.State.Phase.Ended() {
		return nil, w.refusedIn(r, e)
	}
	return r, nil
}

// refusedIn says that a verb has no meaning in the phase of a rollout.
func (w *writing) refusedIn(r *tree.Rollout, e gate.Effect) error {
	name := r.Spec.Name
	return refused("%s is %s since %s: %s", name, strings.ReplaceAll(r.State.Phase.String(), "_", " "), utc(r.State.Since), strings.ReplaceAll(e.Refused, "NAME", name))
}

// set writes flags, all or none, and looks whether they are there where the store's answer was lost.
func (w *writing) set(ops ...store.Op) error {
	err := w.store.Txn(w.ctx, ops...)
	if !errors.Is(err, store.ErrUnavailable) {
		return err
	}
	for _, op := range ops {
		e, readErr := w.store.Get(w.ctx, op.Key)
		if readErr != nil || !bytes.Equal(e.Value, op.Value) {
			return fmt.Errorf("%s may not have been written, say it again: %w", op.Key, err)
		}
	}
	return nil
}

// toggle is the value of a flag: the word that counts, and who and why for people.
func (w *writing) toggle(word string) []byte {
	return fmt.Appendf(nil, "%s by=%s: %s", word, oneLine(w.who), w.reason)
}

func (w *writing) say(format string, args ...any) { fmt.Fprintf(w.out, format+"\n", args...) }

// put leaves a request for the leader, and writes what goes with it. A request that was refused gives way, one
// that waits does not.
func (w *writing) put(id string, r tree.Request, with ...store.Op) error {
	r.By, r.Reason, r.At = w.who, w.reason, w.p.now().UTC().Truncate(time.Millisecond)
	if was, ok := w.snap.Requests[id]; ok && was.Refused == "" {
		return refused("%s: %s asked for it already, at %s; it waits for a leader", id, was.By, utc(was.At))
	}
	op, err := requestOp(id, r, w.snap.Versions[tree.RequestKey(id)])
	if err != nil {
		return err
	}
	return w.set(append(with, op)...)
}
