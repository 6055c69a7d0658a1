package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// cutOutID names a cut-out by what it says, so that the same one has one key.
func cutOutID(rollout, where string) string {
	sum := sha256.Sum256([]byte(rollout + "\n" + where))
	return rollout[:min(len(rollout), 50)] + "-" + hex.EncodeToString(sum[:4])
}

// cutOut takes the change from the nodes that match, in one rollout.
func (w *writing) cutOut(name, where string) error {
	s, err := selector.Parse(where)
	if err != nil {
		return usage("backout: --where: %v", err)
	}
	if len(s.Names()) == 0 {
		return usage("backout: --where {} is every node: leave it out to back the whole rollout out")
	}
	if _, err := w.flagged(name); err != nil {
		return err
	}
	v := gate.Veto{ID: cutOutID(name, where), Rollout: name, Selector: where, By: oneLine(w.who), Comment: w.reason}
	if err := w.setJSON(tree.VetoKey(v.ID), v); err != nil {
		return err
	}
	w.say("nodes of %s get baseline instead of %s on the next run; the rest of it goes on. The leader does that: without one nothing happens yet.", where, name)
	w.say("It latches. Whom it keeps, and whether it matches anybody: sluice explain %s (gate hold)", name)
	w.say("To give the change back: sluice unveto %s --where %s --reason ...", name, v.ID)
	return nil
}

func (w *writing) setJSON(key string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.set(store.Set(key, data))
}

// unvetoPart asks the leader to give the change back to nodes that were cut out; where is an ID or the selector.
func (w *writing) unvetoPart(name, where string, wait time.Duration) error {
	w.verb = "unveto --where"
	r, err := w.flagged(name)
	if err != nil {
		return err
	}
	if r == nil {
		return fmt.Errorf("rollouts/%s cannot be read: %s", name, strings.Join(w.snap.Damaged, "; "))
	}
	id := where
	if !schedule.ValidName(where) {
		id = cutOutID(name, where) // its key may be gone, with what it said
	}
	for _, v := range w.snap.Vetoes {
		if v.Rollout == name && v.Selector == where {
			id = v.ID
		}
	}
	standing := slices.ContainsFunc(r.State.Caps, func(c gate.Cap) bool { return c.Standing() && c.Source() == gate.CapCutOut+"/"+id })
	version, there := w.snap.Versions[tree.VetoKey(id)]
	switch {
	case !standing && !there:
		return fmt.Errorf("no nodes are cut out of %s by %q; see: sluice explain %s (gate hold)", name, where, name)
	case !standing: // the leader has not seen it, or it matches nobody
		if err := w.set(store.DeleteCAS(tree.VetoKey(id), version)); err != nil {
			return err
		}
		w.say("the cut-out %s is gone; it kept nobody.", id)
		return nil
	}
	var with []store.Op
	if there {
		with = append(with, store.DeleteCAS(tree.VetoKey(id), version))
	}
	request := unvetoPrefix + name
	if err := w.put(request, tree.Request{Kind: tree.RequestUnveto, Rollout: name, Veto: id}, with...); err != nil {
		return err
	}
	taken, err := w.hand(request, wait)
	if taken {
		w.say("the cut-out %s of %s has ended: its nodes come back when every gate of the rollout is open.", id, name)
	}
	return err
}

func (p *program) vetoCommand() *cobra.Command {
	return p.writes(&cobra.Command{
		Use: "veto ENVIRONMENT", Short: "Keep an environment from being rolled out", Args: args(cobra.ExactArgs(1)),
		Long: `veto keeps an environment from being started, and takes it back where it is rolled out. unveto ENVIRONMENT ends it. To take
one rollout back, use backout, which the edges obey without a daemon.`,
		Example: `  sluice veto production_8f3c2d1a --reason "CVE-2026-1234 in the module"`,
	}, true, func(w *writing, args []string) error {
		if !segments.IsEnvironment(args[0]) {
			return usage("veto: %q is no environment (letters, digits and _)", args[0])
		}
		if w.snap != nil && slices.ContainsFunc(w.snap.Tracks, func(t tree.Track) bool { return t.Baseline == args[0] }) {
			return refused("%s is the baseline of its track: roll out another one, or revert", args[0])
		}
		v := gate.Veto{ID: "environment-" + args[0], Environment: args[0], By: oneLine(w.who), Comment: w.reason}
		if err := w.setJSON(tree.VetoKey(v.ID), v); err != nil {
			return err
		}
		w.say("%s is vetoed: it cannot be started, and the leader takes it back where it is rolled out.", args[0])
		w.say("To end that: sluice unveto %s --reason ...", args[0])
		return nil
	})
}

// unvetoEnvironment ends the veto of an environment, if there is one.
func (w *writing) unvetoEnvironment(name string) (done bool, err error) {
	key := tree.VetoKey("environment-" + name)
	version, there := w.snap.Versions[key]
	if !there || !segments.IsEnvironment(name) {
		return false, nil
	}
	if err := w.set(store.DeleteCAS(key, version)); err != nil {
		return true, err
	}
	w.say("the veto of %s is lifted; it may be started. A rollout that was taken back by it needs an unveto of its own.", name)
	return true, nil
}

func (p *program) pinCommand() *cobra.Command {
	var to, until, lasts, rollout string
	c := p.writes(&cobra.Command{
		Use: "pin CERTNAME --to baseline|candidate", Short: "Keep one node on baseline, or give it the candidate now", Args: args(cobra.ExactArgs(1)),
		Long: `pin keeps one node on baseline, whatever the stages say, or gives it the candidate of rollouts that are under way before its
turn, until a time. A pinned node is in neither cohort. Back-outs, vetoes and holds win over a pin to candidate. unpin ends it.`,
		Example: `  sluice pin db1.example.com --to baseline --for 2d --reason "restore under way"
  sluice pin web7.example.com --to candidate --rollout production_8f3c2d1a --until 2026-11-30T08:00:00Z --reason "try it by hand"`,
	}, false, func(w *writing, args []string) error {
		pin := gate.Pin{Certname: args[0], To: to, Rollout: rollout, By: oneLine(w.who), Comment: w.reason}
		if err := checkCertname(pin.Certname); err != nil {
			return err
		}
		if err := pin.Check(); err != nil {
			return usage("pin: --to %q: expected baseline or candidate", to)
		}
		if rollout != "" {
			if _, err := w.flagged(rollout); err != nil {
				return err
			}
		}
		var err error
		if pin.Until, err = endOf("pin", until, lasts, w.p.now()); err != nil {
			return err
		}
		if err := w.setJSON(tree.PinKey(pin.Certname), pin); err != nil {
			return err
		}
		w.say("%s is pinned to %s until %s (in %s): the leader publishes it at its next look, the edges obey it with the document.", pin.Certname, to, utc(pin.Until), age(pin.Until.Sub(w.p.now())))
		if to == segments.ToCandidate {
			w.say("It waits for the gates that stop everything (freeze, pause, sources, edges), and for the edges' speed limit.")
		}
		w.say("To end it: sluice unpin %s --reason ...", pin.Certname)
		return nil
	})
	c.Flags().StringVar(&to, "to", "", "baseline or candidate (required)")
	c.Flags().StringVar(&until, "until", "", "when it ends, such as 2026-01-31T08:00:00Z")
	c.Flags().StringVar(&lasts, "for", "", "how long it lasts, such as 90m, 6h, 2d or 1w")
	c.Flags().StringVar(&rollout, "rollout", "", "only in this rollout (default: in every one)")
	return c
}

func (p *program) unpinCommand() *cobra.Command {
	return p.writes(&cobra.Command{
		Use: "unpin CERTNAME", Short: "End a pin now", Args: args(cobra.ExactArgs(1)),
		Long:    `unpin ends a pin. A node that was kept on baseline gets what its stage has when every gate of the rollout is open.`,
		Example: `  sluice unpin db1.example.com --reason "restored"`,
	}, false, func(w *writing, args []string) error {
		if err := checkCertname(args[0]); err != nil {
			return err
		}
		version, there := w.snap.Versions[tree.PinKey(args[0])]
		if !there {
			return fmt.Errorf("there is no pin of %s", args[0])
		}
		if err := w.set(store.DeleteCAS(tree.PinKey(args[0]), version)); err != nil {
			return err
		}
		w.say("%s is not pinned any more.", args[0])
		return nil
	})
}

// checkCertname refuses what cannot be a certname, and would be another key.
func checkCertname(name string) error {
	bad := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", r) }
	if name == "" || len(name) > 255 || strings.ContainsFunc(name, bad) {
		return usage("%q is no certname (lower-case letters, digits, ., - and _)", name)
	}
	return nil
}

// chosen gives the rollouts that a verb is about: those named, or with --all or --select those under way. Where the store cannot
// be read as a whole, only names are certain.
func (w *writing) chosen(names []string, all bool, where string) ([]string, error) {
	if n := map[bool]int{true: 1}; (n[len(names) > 0] + n[all] + n[where != ""]) != 1 {
		return nil, usage("%s: expected the names of rollouts, --all, or --select", w.verb)
	}
	if len(names) > 0 {
		return names, nil
	}
	var match func(*tree.Rollout) bool
	if where != "" {
		var err error
		if match, err = rolloutSelector(where); err != nil {
			return nil, usage("%s: --select: %v", w.verb, err)
		}
	}
	if w.snap == nil {
		return nil, fmt.Errorf("%s: not everything can be read, so name the rollouts, or use sluice freeze", w.verb)
	}
	for i := range w.snap.Rollouts {
		if r := &w.snap.Rollouts[i]; !r.State.Phase.Ended() && (match == nil || match(r)) {
			names = append(names, r.Spec.Name)
		}
	}
	switch {
	case len(names) == 0:
		return nil, fmt.Errorf("%s: no rollout that has not ended matches", w.verb)
	case len(names) > mostChosen:
		return nil, fmt.Errorf("%s: %d rollouts match, at most %d are changed at once", w.verb, len(names), mostChosen)
	}
	return names, nil
}

// mostChosen keeps a verb within one transaction of the store.
const mostChosen = 50

// rolloutSelector reads a selector of rollouts: name, track, change, environment, kind, phase and by, in the syntax of nodes' selectors.
func rolloutSelector(text string) (func(*tree.Rollout) bool, error) {
	ms, err := selector.ParseWith(text, []string{"name", "track", "change", "environment", "kind", "phase", "by"})
	if err != nil {
		return nil, err
	}
	return func(r *tree.Rollout) bool {
		return ms.Matches(func(name string) string {
			return map[string]string{"name": r.Spec.Name, "track": r.Spec.Track, "change": r.Spec.Change, "environment": r.Spec.Candidate,
				"kind": r.Spec.Kind(), "phase": r.State.Phase.String(), "by": r.Spec.By}[name]
		})
	}, nil
}

// several adds the flags by which a verb acts on more than one rollout.
func several(c *cobra.Command, all *bool, where *string) {
	c.Flags().BoolVar(all, "all", false, "every rollout that has not ended")
	c.Flags().StringVarP(where, "select", "l", "", `those that match, such as track="production",kind="parameters" (name, track, change, environment, kind, phase, by)`)
}
