package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/openinfrastructure/sluice/gate"
	"github.com/openinfrastructure/sluice/gate/flags"
	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
)

func (p *program) pauseCommand() *cobra.Command {
	var all bool
	var where string
	c := p.writes(&cobra.Command{
		Use: "pause NAME...", Short: "Keep a rollout where it is", Args: args(cobra.ArbitraryArgs),
		Long: `pause keeps every threshold of a rollout where it is, here and at the edges, until resume. Nodes that are
admitted and have not run yet still get the change on their next run; backout takes it back.`,
		Example: `  sluice pause production_8f3c2d1a --reason "link flaps in fra1"
  sluice pause --all --reason "incident 4711"
  sluice pause -l 'track="production"' --reason "incident 4711"`,
		ValidArgsFunction: p.completeRollouts,
	}, true, func(w *writing, args []string) error {
		return w.flagEach(args, all, where, "pause", "true", func(name string, r *tree.Rollout) {
			w.say("%s is paused: its thresholds stay where they are, here and at the edges.", name)
			w.say("%s", stillToRun(r))
			w.say("It goes on with: sluice resume %s --reason ...", name)
		})
	})
	several(c, &all, &where)
	return c
}

// flagEach writes the same flag for every rollout that is chosen, all or none, and says what that means for each.
func (w *writing) flagEach(names []string, all bool, where, flag, word string, say func(name string, r *tree.Rollout)) error {
	names, err := w.chosen(names, all, where)
	if err != nil {
		return err
	}
	var ops []store.Op
	found := map[string]*tree.Rollout{}
	for _, name := range names {
		if found[name], err = w.flagged(name); err != nil {
			return err
		}
		ops = append(ops, store.Set(tree.FlagKey(name, flag), w.toggle(word)))
	}
	if err := w.set(ops...); err != nil {
		return err
	}
	for _, name := range names {
		if w.snap != nil {
			w.snap.Flags[name+"/"+flag] = string(w.toggle(word))
		}
		say(name, found[name])
	}
	return nil
}

// stillToRun says what a pause does not stop.
func stillToRun(r *tree.Rollout) string {
	switch {
	case r == nil || r.State.Phase.Active() && r.Status.At.IsZero():
		return "How many admitted nodes will still get the change on their next run is not known."
	case !r.State.Phase.Active():
		return "No node has been admitted yet."
	}
	return fmt.Sprintf("%s that %s admitted will still get the change on the next run (counted %s); sluice backout %s takes it back.",
		plural(r.Status.StillToRun, "node"), map[bool]string{true: "is", false: "are"}[r.Status.StillToRun == 1], utc(r.Status.At), r.Spec.Name)
}

func (p *program) resumeCommand() *cobra.Command {
	var all bool
	var where string
	c := p.writes(&cobra.Command{
		Use: "resume NAME...", Short: "End a pause", Args: args(cobra.ArbitraryArgs),
		Example:           `  sluice resume production_8f3c2d1a --reason "link is stable"`,
		ValidArgsFunction: p.completeRollouts,
	}, false, func(w *writing, args []string) error {
		return w.flagEach(args, all, where, "pause", "false", func(name string, _ *tree.Rollout) {
			left := stopsLeft(w.snap, name)
			if len(left) == 0 {
				w.say("%s goes on when every gate is open: sluice explain %s", name, name)
				return
			}
			w.say("the pause by flags/%s/pause has ended, but %s does not go on:", name, name)
			for _, l := range left {
				w.say("  %s", l)
			}
		})
	})
	several(c, &all, &where)
	return c
}

// stopsLeft are the stops that still keep a rollout ("" = any) from going on.
func stopsLeft(snap *tree.Snapshot, name string) []string {
	stops, reading := stopsOf(snap), flags.Read(snap.Flags)
	var left []string
	if stops.Frozen() {
		left = append(left, said(snap, tree.FreezeKey, "everything is frozen"))
	}
	if _, ok := stops.Pause[name]; ok {
		left = append(left, "it is paused still")
	}
	if stops.BackedOut(name) {
		left = append(left, said(snap, "flags/"+name+"/backout", "backed out"))
	}
	for _, l := range reading.Loud {
		if len(left) > 0 {
			left = append(left, l)
		}
	}
	return left
}

func (p *program) freezeCommand() *cobra.Command {
	var end bool
	c := p.writes(&cobra.Command{
		Use: "freeze", Short: "Keep every rollout where it is", Args: args(cobra.NoArgs),
		Example: `  sluice freeze --reason "incident 4711"
  sluice freeze --end --reason "incident 4711 is over"`,
	}, true, func(w *writing, _ []string) error {
		if !end {
			if err := w.set(store.Set(tree.FreezeKey, w.toggle("true"))); err != nil {
				return err
			}
			w.say("everything is frozen: no threshold grows, here and at the edges.")
			w.sayFrozen()
			w.say("It ends with: sluice freeze --end --reason ...")
			return nil
		}
		if w.snap == nil {
			return fmt.Errorf("freeze --end: not while the store cannot be read")
		}
		value := w.toggle("false")
		if err := w.set(store.Set(tree.FreezeKey, value)); err != nil {
			return err
		}
		w.snap.Flags["freeze"] = string(value)
		if left := stopsLeft(w.snap, ""); len(left) > 0 {
			w.say("flags/freeze is released, but: %s", strings.Join(left, "; "))
			return nil
		}
		w.say("the freeze has ended: rollouts go on when every gate of theirs is open.")
		return nil
	})
	c.Flags().BoolVar(&end, "end", false, "end the freeze")
	return c
}

// sayFrozen names what a freeze does not stop.
func (w *writing) sayFrozen() {
	if w.snap == nil {
		return
	}
	for i := range w.snap.Rollouts {
		if r := &w.snap.Rollouts[i]; r.State.Phase.Active() {
			w.say("%s: %s", r.Spec.Name, stillToRun(r))
		}
	}
}

func (p *program) delayCommand() *cobra.Command {
	var end bool
	c := p.writes(&cobra.Command{
		Use: "delay NAME DURATION|TIME", Short: "Keep a rollout where it is for a while", Args: args(cobra.RangeArgs(1, 2)),
		Long: `delay keeps a rollout where it is until a time (2026-01-31T08:00:00Z) or for a duration (90m, 2h, 1d, 1w), which
counts from when the leader first sees it. It is the leader who waits: to stop the edges too, use pause.`,
		Example: `  sluice delay production_8f3c2d1a 2h --reason "backup runs"
  sluice delay production_8f3c2d1a 2026-01-31T08:00:00+01:00 --reason "after the weekend"
  sluice delay production_8f3c2d1a --end --reason "backup is done"`,
		ValidArgsFunction: p.completeRollouts,
	}, false, func(w *writing, args []string) error {
		word, text := "false", "the delay of "+args[0]+" has ended."
		switch {
		case end == (len(args) == 2):
			return usage("delay: expected a duration, a time, or --end")
		case !end:
			var err error
			if word, text, err = delayOf(args[0], args[1], w.p.now()); err != nil {
				return err
			}
		}
		if _, err := w.flagged(args[0]); err != nil {
			return err
		}
		if err := w.set(store.Set(tree.FlagKey(args[0], "delay"), w.toggle(word))); err != nil {
			return err
		}
		w.say("%s", text)
		return nil
	})
	c.Flags().BoolVar(&end, "end", false, "end the delay")
	return c
}

// delayOf checks a delay with the reader that the leader uses: what that cannot read holds without end.
func delayOf(name, word string, now time.Time) (value, text string, err error) {
	d := flags.ReadDelay(word)
	switch {
	case strings.ContainsFunc(word, func(r rune) bool { return r == ' ' || r == '\t' }) || d.Endless || d.Raw == "":
		return "", "", usage("delay: %q is neither a time nor a duration (expected 90m, 2h, 1d or 2026-01-31T08:00:00Z)", word)
	case !d.Until.IsZero() && !d.Until.After(now):
		return "", "", usage("delay: %s is over: it is %s now", word, utc(now))
	case !d.Until.IsZero():
		return word, fmt.Sprintf("%s does not go on before %s (in %s).", name, utc(d.Until), age(d.Until.Sub(now))), nil
	}
	return word, fmt.Sprintf("%s does not go on for %s from when the leader sees this, about %s.", name, word, utc(now.Add(d.For))), nil
}

func (p *program) backoutCommand() *cobra.Command {
	var all bool
	var choose, where string
	c := p.writes(&cobra.Command{
		Use: "backout NAME...", Short: "Give baseline back to every admitted node", Args: args(cobra.ArbitraryArgs),
		Long: `backout takes a rollout back, at the edges at once and without a daemon. It asks nothing and it latches: the change
does not come back by itself, whatever happens to the flag. unveto allows it to be started again.

With --where it takes the change from the nodes that match, and from nobody else: they get baseline, and the rest of the rollout goes on. That
latches, too, and is the leader's to do.`,
		Example: `  sluice backout production_8f3c2d1a --reason "sshd does not start on el7"
  sluice backout production_8f3c2d1a --where '{enc.datacenter="fra1"}' --reason "only fra1 has the old switches"`,
		ValidArgsFunction: p.completeRollouts,
	}, true, func(w *writing, args []string) error {
		if where != "" {
			if len(args) != 1 || all || choose != "" {
				return usage("backout: --where is for one rollout, by its name")
			}
			return w.cutOut(args[0], where)
		}
		return w.flagEach(args, all, choose, "backout", "true", func(name string, r *tree.Rollout) {
			admitted := "the admitted nodes get"
			if r != nil && !r.Status.At.IsZero() {
				n := r.Status.Verdict.Counts.Admitted
				admitted = fmt.Sprintf("%s admitted (counted %s) %s", plural(n, "node"), utc(r.Status.At), map[bool]string{true: "gets", false: "get"}[n == 1])
			}
			w.say("%s is backed out: %s baseline on the next run.", name, admitted)
			w.say("This latches where it is seen: deleting or changing the flag brings nothing back, and the change is vetoed.")
			w.say("To let the change be started again: sluice unveto %s --reason ...", name)
		})
	})
	c.Flags().StringVar(&where, "where", "", "only nodes that this selector of nodes matches; the rest goes on")
	several(c, &all, &choose)
	return c
}

func (p *program) approvalCommand(verb string) *cobra.Command {
	word, done, short := "true", "approved", "Approve that a stage begins"
	if verb == "deny" {
		word, done, short = "false", "denied", "Deny that a stage begins"
	}
	return p.writes(&cobra.Command{
		Use: verb + " NAME STAGE", Short: short, Args: args(cobra.ExactArgs(2)),
		Example:           fmt.Sprintf(`  sluice %s production_8f3c2d1a quarter --reason "change board 12 May"`, verb),
		ValidArgsFunction: p.completeRollouts,
	}, false, func(w *writing, args []string) error {
		name, stage := args[0], args[1]
		r, err := w.flagged(name)
		if err != nil {
			return err
		}
		if r == nil {
			return fmt.Errorf("rollouts/%s cannot be read: %s", name, strings.Join(w.snap.Damaged, "; "))
		}
		if err := mayDecide(r, stage, verb); err != nil {
			return err
		}
		i := slices.IndexFunc(r.Spec.Schedule.Stages, func(s schedule.Stage) bool { return s.Name == stage })
		if s := r.Spec.Schedule.Stages[i]; verb == "approve" && !gate.MayApprove(s, oneLine(w.who)) {
			return refused("stage %s of %s may be approved by %s, not by %s", stage, name, strings.Join(s.Approvers, ", "), oneLine(w.who))
		}
		if err := w.set(store.Set(tree.ApprovalKey(name, stage), w.toggle(word))); err != nil {
			return err
		}
		w.say("stage %s of %s is %s; see: sluice explain %s", stage, name, done, name)
		return nil
	})
}

// mayDecide refuses what would have no effect. The current stage may be approved: that answers a deadline.
func mayDecide(r *tree.Rollout, stage, verb string) error {
	var names []string
	for _, s := range r.Spec.Schedule.Stages {
		names = append(names, s.Name)
	}
	i := slices.Index(names, stage)
	switch current := r.State.Current(); {
	case i < 0:
		return fmt.Errorf("%s has no stage %q; its stages are %s", r.Spec.Name, stage, strings.Join(names, ", "))
	case i < current:
		return refused("stage %s of %s has passed already", stage, r.Spec.Name)
	case i == current && verb == "deny":
		return refused("stage %s of %s is admitted already: use pause or backout", stage, r.Spec.Name)
	}
	return nil
}
