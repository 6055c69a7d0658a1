package verb

import (
	"errors"
	"fmt"
	"slices"

	"github.com/openinfrastructure/sluice/internal/store"
	"github.com/openinfrastructure/sluice/internal/tree"
	"github.com/openinfrastructure/sluice/segments/selector"
)

// mostChosen keeps a verb within one transaction of the store.
const mostChosen = 50

// RolloutAttributes are what a selector of rollouts knows.
var RolloutAttributes = []string{"name", "track", "change", "environment", "kind", "phase", "by"}

// chosen gives the rollouts that a verb is about: those named, or with all or select those under way. Where the store cannot
// be read as a whole, only names are certain.
func (r *run) chosen() ([]string, error) {
	if n := map[bool]int{true: 1}; (n[len(r.Ask.Rollouts) > 0] + n[r.All] + n[r.Select != ""]) != 1 {
		return nil, wrong("rollouts", "%s: expected the names of rollouts, %s, or %s", r.verb, Field("all"), Field("select"))
	}
	var names []string
	for _, name := range r.Ask.Rollouts {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) > mostChosen {
		return nil, wrong("rollouts", "%s: %d rollouts are named, at most %d are changed at once", r.verb, len(names), mostChosen)
	}
	if len(names) > 0 {
		return names, nil
	}
	var match func(*tree.Rollout) bool
	if r.Select != "" {
		var err error
		if match, err = rolloutSelector(r.Select); err != nil {
			return nil, wrong("select", "%s: %s: %v", r.verb, Field("select"), err)
		}
	}
	if r.Snap == nil {
		return nil, unreadable("%s: not everything can be read, so name the rollouts, or use sluice freeze", r.verb)
	}
	for i := range r.Snap.Rollouts {
		if found := &r.Snap.Rollouts[i]; !found.State.Phase.Ended() && (match == nil || match(found)) {
			names = append(names, found.Spec.Name)
		}
	}
	switch {
	case len(names) == 0:
		return nil, missing("select", "%s: no rollout that has not ended matches", r.verb)
	case len(names) > mostChosen:
		return nil, wrong("select", "%s: %d rollouts match, at most %d are changed at once", r.verb, len(names), mostChosen)
	}
	return names, nil
}

// rolloutSelector reads a selector of rollouts in the syntax of nodes' selectors.
func rolloutSelector(text string) (func(*tree.Rollout) bool, error) {
	ms, err := selector.ParseWith(text, RolloutAttributes)
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

// each writes a flag for every rollout that is chosen and says what that means for each. A name that is wrong writes nothing: it may
// be a slip in all of them. A rollout that may refuses, or for which the verb has no meaning, is left out and reported.
func (r *run) each(key func(name string) string, word string, may func(*tree.Rollout) error, say func(name string, found *tree.Rollout)) error {
	names, err := r.chosen()
	if err != nil {
		return err
	}
	found := map[string]*tree.Rollout{}
	for i, name := range names {
		if found[name], err = r.known(fmt.Sprintf("rollouts[%d]", i), name); err != nil {
			return of(name, err)
		}
	}
	var ops []store.Op
	part := &Partly{}
	for _, name := range names {
		if err := r.allows(found[name], name, may); err != nil {
			var e *Error
			if len(names) == 1 || !errors.As(err, &e) {
				return err
			}
			part.Failed = append(part.Failed, e)
			continue
		}
		part.Done = append(part.Done, name)
		ops = append(ops, store.Set(key(name), r.toggle(word)))
	}
	if len(ops) == 0 {
		return part
	}
	if err := r.set(ops...); err != nil {
		return err
	}
	for _, name := range part.Done {
		if r.Snap != nil {
			r.Snap.Flags[key(name)[len("flags/"):]] = string(r.toggle(word))
		}
		say(name, found[name])
	}
	if len(part.Failed) > 0 {
		return part
	}
	return nil
}

// allows asks the phase of a rollout and then may, which needs one that can be read.
func (r *run) allows(found *tree.Rollout, name string, may func(*tree.Rollout) error) error {
	if found != nil {
		if err := r.alive(found); err != nil {
			return err
		}
	}
	switch {
	case may == nil:
		return nil
	case found == nil:
		return r.cannotRead(name)
	}
	return of(name, may(found))
}
