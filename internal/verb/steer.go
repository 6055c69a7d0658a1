package verb

import (
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

func flag(what string) func(name string) string {
	return func(name string) string { return tree.FlagKey(name, what) }
}

func (r *run) pause() error {
	return r.each(flag("pause"), "true", nil, func(name string, found *tree.Rollout) {
		r.say("%s is paused: its thresholds stay where they are, here and at the edges.", name)
		r.say("%s", stillToRun(found))
		r.say("It goes on with: sluice resume %s --reason ...", name)
	})
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
		words.Count(r.Status.StillToRun, "node"), map[bool]string{true: "is", false: "are"}[r.Status.StillToRun == 1], words.UTC(r.Status.At), r.Spec.Name)
}

func (r *run) resume() error {
	return r.each(flag("pause"), "false", nil, func(name string, _ *tree.Rollout) {
		left := stopsLeft(r.Snap, name)
		if len(left) == 0 {
			r.say("%s goes on when every gate is open: sluice explain %s", name, name)
			return
		}
		r.say("the pause by flags/%s/pause has ended, but %s does not go on:", name, name)
		for _, l := range left {
			r.say("  %s", l)
		}
	})
}

// stopsLeft are the stops that still keep a rollout ("" = any) from going on.
func stopsLeft(snap *tree.Snapshot, name string) []string {
	stops, reading := Stops(snap), flags.Read(snap.Flags)
	var left []string
	if stops.Frozen() {
		left = append(left, gate.Said("everything is frozen", "freeze", reading.Comments["freeze"]))
	}
	if _, ok := stops.Pause[name]; ok {
		left = append(left, "it is paused still")
	}
	if stops.BackedOut(name) {
		left = append(left, gate.BackOutReason(reading, name))
	}
	for _, l := range reading.Loud {
		if len(left) > 0 {
			left = append(left, l)
		}
	}
	return left
}

func (r *run) freeze() error {
	if !r.End {
		if err := r.set(store.Set(tree.FreezeKey, r.toggle("true"))); err != nil {
			return err
		}
		r.say("everything is frozen: no threshold grows, here and at the edges.")
		r.sayFrozen()
		r.say("It ends with: sluice freeze --end --reason ...")
		return nil
	}
	if r.Snap == nil {
		return unreadable("freeze %s: not while the store cannot be read", Field("end"))
	}
	value := r.toggle("false")
	if err := r.set(store.Set(tree.FreezeKey, value)); err != nil {
		return err
	}
	r.Snap.Flags["freeze"] = string(value)
	if left := stopsLeft(r.Snap, ""); len(left) > 0 {
		r.say("flags/freeze is released, but: %s", strings.Join(left, "; "))
		return nil
	}
	r.say("the freeze has ended: rollouts go on when every gate of theirs is open.")
	return nil
}

// sayFrozen names what a freeze does not stop.
func (r *run) sayFrozen() {
	if r.Snap == nil {
		return
	}
	for i := range r.Snap.Rollouts {
		if found := &r.Snap.Rollouts[i]; found.State.Phase.Active() {
			r.say("%s: %s", found.Spec.Name, stillToRun(found))
		}
	}
}

func (r *run) delay() error {
	word, text := "false", func(name string) string { return "the delay of " + name + " has ended." }
	switch n := map[bool]int{true: 1}; {
	case n[r.End]+n[r.For != ""]+n[r.Until != ""] != 1:
		return wrong("for", "delay: expected a duration, a time, or %s", Field("end"))
	case !r.End:
		var err error
		if word, text, err = r.until(r.Now()); err != nil {
			return err
		}
	}
	return r.each(flag("delay"), word, nil, func(name string, _ *tree.Rollout) { r.say("%s", text(name)) })
}

// until checks a delay with the reader that the leader uses: what that cannot read holds without end.
func (r *run) until(now time.Time) (word string, text func(name string) string, err error) {
	field, word := "for", r.For
	if word == "" {
		field, word = "until", r.Until
	}
	d := flags.ReadDelay(word)
	bad := strings.ContainsAny(word, " \t\r\n") || d.Endless || d.Raw == ""
	switch {
	case bad || field == "for" && d.For == 0 || field == "until" && d.Until.IsZero():
		return "", nil, wrong(field, "delay: %q is neither a time nor a duration (expected 90m, 2h, 1d or 2026-01-31T08:00:00Z)", word)
	case !d.Until.IsZero() && !d.Until.After(now):
		return "", nil, wrong(field, "delay: %s is over: it is %s now", word, words.UTC(now))
	case !d.Until.IsZero():
		return word, func(name string) string {
			return fmt.Sprintf("%s does not go on before %s (in %s).", name, words.UTC(d.Until), words.Age(d.Until.Sub(now)))
		}, nil
	}
	return word, func(name string) string {
		return fmt.Sprintf("%s does not go on for %s from when the leader sees this, about %s.", name, word, words.UTC(now.Add(d.For)))
	}, nil
}

func (r *run) backout() error {
	if r.Where != "" {
		if len(r.Ask.Rollouts) != 1 || r.All || r.Select != "" {
			return wrong("where", "backout: %s is for one rollout, by its name", Field("where"))
		}
		return r.cutOut(r.Ask.Rollouts[0], r.Where)
	}
	return r.each(flag("backout"), "true", nil, func(name string, found *tree.Rollout) {
		admitted := "the admitted nodes get"
		if found != nil && !found.Status.At.IsZero() {
			n := found.Status.Verdict.Counts.Admitted
			admitted = fmt.Sprintf("%s admitted (counted %s) %s", words.Count(n, "node"), words.UTC(found.Status.At), map[bool]string{true: "gets", false: "get"}[n == 1])
		}
		r.say("%s is backed out: %s baseline on the next run.", name, admitted)
		r.say("This latches where it is seen: deleting or changing the flag brings nothing back, and the change is vetoed.")
		r.say("To let the change be started again: sluice unveto %s --reason ...", name)
	})
}

// decide approves or denies that a stage begins.
func (r *run) decide() error {
	word, done := "true", "approved"
	if r.verb == "deny" {
		word, done = "false", "denied"
	}
	if r.Stage == "" {
		return wrong("stage", "%s: %s: expected the name of a stage", r.verb, Field("stage"))
	}
	key := func(name string) string { return tree.ApprovalKey(name, r.Stage) }
	return r.each(key, word, r.mayDecide, func(name string, _ *tree.Rollout) {
		r.say("stage %s of %s is %s; see: sluice explain %s", r.Stage, name, done, name)
	})
}

// mayDecide refuses what would have no effect, and who may not. The current stage may be approved: that answers a deadline.
func (r *run) mayDecide(found *tree.Rollout) error {
	var names []string
	for _, s := range found.Spec.Schedule.Stages {
		names = append(names, s.Name)
	}
	i := slices.Index(names, r.Stage)
	switch current := found.State.Current(); {
	case i < 0:
		return missing("stage", "%s has no stage %q; its stages are %s", found.Spec.Name, r.Stage, strings.Join(names, ", "))
	case i < current:
		return refused("stage %s of %s has passed already", r.Stage, found.Spec.Name)
	case i == current && r.verb == "deny":
		return refused("stage %s of %s is admitted already: use pause or backout", r.Stage, found.Spec.Name)
	}
	return r.mayApprove(found, found.Spec.Schedule.Stages[i])
}

func (r *run) mayApprove(found *tree.Rollout, s schedule.Stage) error {
	if r.verb == "approve" && !gate.MayApprove(s, r.who()) {
		return refused("stage %s of %s may be approved by %s, not by %s", s.Name, found.Spec.Name, strings.Join(s.Approvers, ", "), r.who())
	}
	return nil
}
