package verb

import (
	"slices"
	"strings"

	"github.com/openinfrastructure/sluice/gate/schedule"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments"
)

// start asks for a rollout.
func (r *run) start() error {
	name := r.Name
	if name == "" {
		name = strings.ToLower(r.Environment)
	}
	return r.ask(name, &tree.Start{Track: r.Track, Environment: r.Environment, Parameters: r.Parameters, Change: r.Change, Schedule: r.Schedule, Policy: r.Policy})
}

// ask completes and checks what is to be started under a name, and leaves it for the leader, who checks it again.
func (r *run) ask(name string, ask *tree.Start) error {
	if ask.Track == "" && len(r.Snap.Tracks) == 1 {
		ask.Track = r.Snap.Tracks[0].Name
	}
	if ask.Policy == "" {
		ask.Policy = "default"
	}
	for parameter := range ask.Parameters {
		if !segments.IsEnvironment(parameter) {
			return wrong("parameters."+parameter, "start: %s %q: expected a name of letters, digits and _", Field("parameter"), parameter)
		}
	}
	if err := inOrder(name, ask); err != nil {
		return err
	}
	if err := r.startable(name, ask); err != nil {
		return err
	}
	if err := r.leave(name, tree.Request{Kind: tree.RequestStart, Rollout: name, Start: ask}); err != nil {
		return err
	}
	return r.hand("")
}

func inOrder(name string, ask *tree.Start) error {
	reserved := name == ConfirmRestoreID || slices.ContainsFunc([]string{unvetoPrefix, promotePrefix, skipPrefix}, func(p string) bool { return strings.HasPrefix(name, p) })
	switch {
	case (ask.Environment != "") == (len(ask.Parameters) > 0):
		return wrong("environment", "start: expected exactly one of %s and %s", Field("environment"), Field("parameter"))
	case ask.Environment != "" && !segments.IsEnvironment(ask.Environment):
		return wrong("environment", "start: %s %q: expected letters, digits and _", Field("environment"), ask.Environment)
	case name == "":
		return wrong("name", "start: a rollout of parameters needs a name")
	case !schedule.ValidName(name) || reserved:
		return wrong("name", "start: %q cannot be a name (expected lower-case letters, digits, - and _; not %s… nor %s)", name, unvetoPrefix, ConfirmRestoreID)
	case !schedule.ValidName(ask.Schedule):
		return wrong("schedule", "start: %s %q: expected the name of a schedule", Field("schedule"), ask.Schedule)
	case !schedule.ValidName(ask.Policy):
		return wrong("policy", "start: %s %q: expected the name of a policy", Field("policy"), ask.Policy)
	}
	return nil
}

// startable refuses what the store already rules out.
func (r *run) startable(name string, ask *tree.Start) error {
	t := r.Snap.Track(ask.Track)
	if t == nil {
		return wrong("track", "start: %s %q: expected one of %s", Field("track"), ask.Track, strings.Join(trackNames(r.Snap), ", "))
	}
	if t.Baseline == ask.Environment {
		return refused("%s is the baseline of track %s already", ask.Environment, t.Name)
	}
	if slices.Contains(Rollouts(r.Snap), name) {
		return of(name, refused("there is a rollout %s already: sluice status %s; give this one another name", name, name))
	}
	return nil
}

func trackNames(snap *tree.Snapshot) []string {
	var names []string
	for _, t := range snap.Tracks {
		names = append(names, t.Name)
	}
	return names
}
